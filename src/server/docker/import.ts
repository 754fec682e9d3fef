import { containerConfigCodec, type ContainerConfig, newContainerConfig } from '../../model/container-config.js';
import type { ImageId } from '../../model/digest.js';
import { hostArchitecture, hostOs, parsePlatform } from '../../model/platform.js';
import type { EventStore } from '../../store/event-store.js';
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
const IMPORTED = 'Imported from -';

/** Makes an image of one layer from a tar, which may be compressed. */
export async function importImage(
  store: EventStore,
  body: AsyncIterable<Uint8Array>,
  { target, changes, message, platform, write }: ImportRequest,
): Promise<ImageId> {
  // Before a byte is read.
  const config = changedConfig(changes);
  const { os, architecture, variant } =
    platform === undefined || platform === ''
      ? { os: hostOs(), architecture: hostArchitecture(), variant: undefined }
      : parsePlatform(platform);
  const layer = await store.layers.register(body, undefined, write);
  try {
    const created = new Date().toISOString();
    const comment = message === undefined || message === '' ? IMPORTED : message;
    const rootfs = { type: 'layers', diff_ids: [layer.diffId] };
    const facts = { architecture, ...(variant === undefined ? {} : { variant }), comment, created };
    const rest = { history: [{ created, comment }], os, rootfs };
    const settings = JSON.parse(containerConfigCodec.encode(newContainerConfig(config))) as unknown;
    const image = await store.create(Buffer.from(JSON.stringify({ ...facts, config: settings, ...rest })), write);
    if (target !== undefined) await store.tag({ source: image, target }, write);
    return image;
  } finally {
    await store.layers.release(layer, write);
  }
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
