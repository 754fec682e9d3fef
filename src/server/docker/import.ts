import type { FileHandle } from 'node:fs/promises';
import { LayerMeter, requireLayer } from '../../archive/layer-meter.js';
import { formatTarHeader, TAR_BLOCK_BYTES, tarPadding } from '../../archive/tar-header.js';
import { StoreError } from '../../errors.js';
import { containerConfigCodec, type ContainerConfig, newContainerConfig } from '../../model/container-config.js';
import type { DiffId, ImageId } from '../../model/digest.js';
import { hostArchitecture, hostOs, parsePlatform } from '../../model/platform.js';
import type { EventStore } from '../../store/event-store.js';
import { inSystem, unnamedFile } from '../../store/files/files.js';
import { writeWhole } from '../../store/files/write-durably.js';
import type { WriteOptions } from '../../store/store.js';
import { badRequest } from './failures.js';

/** How a root filesystem becomes an image. */
interface ImportRequest {
  /** Canonical reference to set. */
  readonly target: string | undefined;
  /** Instructions of a Dockerfile. */
  readonly changes: readonly string[];
  /** Comment of the image. */
  readonly message: string | undefined;
  /** `os/arch/variant`; default the host's. */
  readonly platform: string | undefined;
  readonly write: WriteOptions;
}

/** Comment of an imported image without another. */
const COMMENT = 'Imported from -';
/** Reason of the events of an import. */
export const IMPORT_REASON = 'docker import';
const DOING = 'keep a filesystem until it is imported';

/** Makes an image of one layer from a tar, which may be compressed: in one transaction, as a load. */
export async function importImage(
  store: Pick<EventStore, 'directory' | 'load'>,
  body: AsyncIterable<Uint8Array>,
  { target, changes, message, platform, write }: ImportRequest,
): Promise<ImageId> {
  // Before a byte is read.
  const config = changedConfig(changes);
  const { os, architecture, variant } =
    platform === undefined || platform === ''
      ? { os: hostOs(), architecture: hostArchitecture(), variant: undefined }
      : parsePlatform(platform);
  await using file = await inSystem(DOING, () => unnamedFile(store.directory));
  const { size, diffId } = await stage(body, file);
  const created = new Date().toISOString();
  const comment = message === undefined || message === '' ? COMMENT : message;
  const facts = { architecture, ...(variant === undefined ? {} : { variant }), comment, created };
  const rest = { history: [{ created, comment }], os, rootfs: { type: 'layers', diff_ids: [diffId] } };
  const settings = JSON.parse(containerConfigCodec.encode(newContainerConfig(config))) as unknown;
  const archive = archiveOf({ ...facts, config: settings, ...rest }, size, file);
  const { images } = await store.load(archive, { ...write, reason: IMPORT_REASON, tag: target });
  const [image] = images;
  if (image === undefined) throw new StoreError('INTERNAL', 'an import made no image');
  return image.id;
}

/** Keeps the bytes of a layer, and measures them: its config names it before they can be read again. */
async function stage(
  body: AsyncIterable<Uint8Array>,
  file: FileHandle,
): Promise<{ readonly size: number; readonly diffId: DiffId }> {
  const meter = new LayerMeter();
  try {
    for await (const chunk of body) {
      await Promise.all([inSystem(DOING, () => writeWhole(file, chunk)), meter.write(chunk)]);
    }
    const measurement = await meter.finish();
    return { size: measurement.blob.size, diffId: requireLayer(measurement).diffId };
  } finally {
    meter.destroy();
  }
}

/** An archive as `docker save` wrote it, of one image and one layer. */
async function* archiveOf(config: object, size: number, layer: FileHandle): AsyncGenerator<Uint8Array> {
  const manifest = [{ Config: 'config.json', RepoTags: null, Layers: ['layer.tar'] }];
  yield formatTarHeader({ type: 'file', name: 'layer.tar', size });
  yield* layer.createReadStream({ start: 0, autoClose: false }) as AsyncIterable<Uint8Array>;
  yield tarPadding(size);
  for (const [name, value] of Object.entries({ 'config.json': config, 'manifest.json': manifest })) {
    const bytes = Buffer.from(JSON.stringify(value));
    yield formatTarHeader({ type: 'file', name, size: bytes.length });
    yield bytes;
    yield tarPadding(bytes.length);
  }
  yield new Uint8Array(2 * TAR_BLOCK_BYTES);
}

type Settings = { -readonly [Name in keyof ContainerConfig]?: ContainerConfig[Name] };

/** Applies instructions of a Dockerfile to an empty config. @throws {HttpFailure} 400 */
function changedConfig(changes: readonly string[]): Settings {
  const settings: Settings = {};
  for (const change of changes) {
    const [, instruction = '', rest = ''] = /^\s*(\S+)\s*([\s\S]*?)\s*$/.exec(change) ?? [];
    const apply = instructions[instruction.toUpperCase()];
    if (apply === undefined) throw badRequest(`${instruction.toLowerCase()} is not a valid change command`);
    if (rest === '') throw badRequest(`${instruction.toUpperCase()} requires at least one argument`);
    apply(settings, rest);
  }
  return settings;
}

const instructions: Readonly<Record<string, (settings: Settings, rest: string) => void>> = {
  CMD: (settings, rest) => {
    settings.cmd = commandOf(rest);
  },
  ENTRYPOINT: (settings, rest) => {
    settings.entrypoint = commandOf(rest);
  },
  ENV: (settings, rest) => {
    const set = pairsOf('ENV', rest);
    const others = (settings.env ?? []).filter((each) => !Object.hasOwn(set, each.slice(0, each.indexOf('='))));
    settings.env = [...others, ...Object.entries(set).map(([name, value]) => `${name}=${value}`)];
  },
  LABEL: (settings, rest) => {
    settings.labels = { ...settings.labels, ...pairsOf('LABEL', rest) };
  },
  EXPOSE: (settings, rest) => {
    const ports = wordsOf(rest).map((port) => [port.includes('/') ? port : `${port}/tcp`, {}] as const);
    settings.exposedPorts = { ...settings.exposedPorts, ...Object.fromEntries(ports) };
  },
  VOLUME: (settings, rest) => {
    const paths = (listOf(rest) ?? wordsOf(rest)).map((path) => [path, {}] as const);
    settings.volumes = { ...settings.volumes, ...Object.fromEntries(paths) };
  },
  USER: (settings, rest) => {
    settings.user = rest;
  },
  WORKDIR: (settings, rest) => {
    settings.workingDir = rest.startsWith('/') ? rest : `${settings.workingDir ?? ''}/${rest}`;
  },
  STOPSIGNAL: (settings, rest) => {
    settings.stopSignal = rest;
  },
  ONBUILD: (settings, rest) => {
    settings.onBuild = [...(settings.onBuild ?? []), rest];
  },
};

/** Reads a JSON list of strings; undefined for any other text. */
function listOf(text: string): readonly string[] | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) && value.every((each) => typeof each === 'string') ? value : undefined;
  } catch {
    return undefined;
  }
}

/** A command that is no list runs in a shell. */
function commandOf(text: string): readonly string[] {
  return listOf(text) ?? ['/bin/sh', '-c', text];
}

/** Reads `KEY=VALUE …`, or `KEY VALUE` for one. */
function pairsOf(instruction: string, text: string): Readonly<Record<string, string>> {
  const words = wordsOf(text);
  const [first = ''] = words;
  if (!first.includes('=')) {
    const value = text.slice(first.length).trim();
    if (value === '') throw badRequest(`${instruction} must have two arguments`);
    return { [first]: value };
  }
  const pairs = words.map((word) => [word.slice(0, word.indexOf('=')), word.slice(word.indexOf('=') + 1)] as const);
  if (words.every((word) => word.indexOf('=') > 0)) return Object.fromEntries(pairs);
  throw badRequest(`Syntax error - can't find = in ${JSON.stringify(text.slice(0, 100))}`);
}

/** Splits at spaces outside of quotes, and takes quotes and backslashes away. */
function wordsOf(text: string): string[] {
  const words = text.match(/(?:\\.|"(?:\\.|[^"\\])*"|'[^']*'|[^\s"'\\])+/g) ?? [];
  return words.map((word) =>
    word.replaceAll(
      /\\(.)|"((?:\\.|[^"\\])*)"|'([^']*)'/g,
      (_, escaped?: string, double?: string, single?: string) =>
        escaped ?? single ?? (double ?? '').replaceAll(/\\(["\\$])/g, '$1'),
    ),
  );
}
