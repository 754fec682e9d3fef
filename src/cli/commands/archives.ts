import { basename } from 'node:path';
import { addAbortSignal } from 'node:stream';
import { StoreError } from '../../errors.js';
import type { EventStore } from '../../store/event-store.js';
import type { LoadOptions, LoadResult } from '../../store/store.js';
import type { Grammar } from '../command.js';
import { answer, type CommandContext } from '../context.js';
import { UsageError } from '../exit-codes.js';
import { withOwnHint } from '../hints.js';
import { openFor } from '../open-for.js';
import { option, platformNames, referenceName, repositoryName } from '../option-values.js';
import { Pace, type Progress, progressBar } from '../render/progress.js';
import { printable, sizeText } from '../../model/texts.js';
import { tellLoaded } from '../load-result.js';
import { pipeline } from 'node:stream/promises';
import type { FileContent } from '../archive-target.js';
import { wholeReference } from '../cut-reference.js';
import { noticeLine } from '../failure.js';

interface LoadFlags {
  readonly platform?: readonly string[];
  readonly allowEmpty?: boolean;
  readonly repository?: string;
  readonly allPlatforms?: boolean;
  /** False with `--no-overwrite`. */
  readonly overwrite: boolean;
  readonly tag?: string;
}

/** `imagelog load`: loads each archive in one transaction and prints what was added and moved. */
export const loadGrammar: Grammar = () => ({
  about:
    'Reads what Docker, buildx, containerd, podman, skopeo, crane, oras and cosign write: docker archives, and OCI ' +
    'image layouts in a tar or a directory, plain or compressed. Indexes, attestations, signatures and other ' +
    'artifacts are kept as they came. Each archive is one transaction: it is loaded whole or not at all.',
  examples: [
    ['imagelog load shop.tar', 'load an archive; creates a missing store'],
    ['docker save shop/app:1.0 | imagelog load', 'load from a pipe'],
    ['imagelog load ./layout', 'load an OCI image layout from its directory'],
    ['imagelog load --platform linux/arm64 multi.tar', 'load one platform of a multi-platform archive'],
    ['imagelog load --repository shop/app layout.tar', 'load the bare tag v1 as shop/app:v1'],
    [
      'imagelog load --no-overwrite --reason "nightly build" shop.tar',
      'fail instead of moving a tag, and record the reason',
    ],
    ['imagelog load --tag shop/app:nightly build.tar', 'name the only image of an archive'],
  ],
  arguments: [['archives, or directories of OCI layouts; `-`, or none, is the standard input']],
  options: [
    option('--platform <platform>', 'only this platform of multi-platform images; repeatable', platformNames),
    option('--all-platforms', 'fail when the archive lacks a platform that it names'),
    option('--no-overwrite', 'fail when a reference would move to another image'),
    option('--tag <reference>', 'one more reference for the only image, index or artifact', referenceName),
    option(
      '--repository <name>',
      'repository for names that are only a tag, as oras and umoci write them',
      repositoryName,
    ),
    option('--allow-empty', 'succeed even if an archive holds nothing to load'),
  ],
  action: load,
});

const STDIN = '-';
const OWN_HINTS = { FILE_NOT_FOUND: 'check the path; without FILE the archive is read from the standard input' };
const TAG_HINT =
  '--tag names the only image, index or artifact; of several load all, then `imagelog tag DIGEST REFERENCE` names each';

async function load(context: CommandContext, files: readonly string[], flags: LoadFlags): Promise<void> {
  const sources = files.length === 0 ? [STDIN] : files;
  if (sources.includes(STDIN) && context.io.stdin.isTTY === true) {
    throw new UsageError('the standard input is a terminal: name an archive, or pipe one in');
  }
  if (sources.filter((source) => source === STDIN).length > 1) {
    throw new UsageError('the standard input can be read only once');
  }
  await mustBeThere(context, sources[0]);
  await using store = await openFor(context, 'create');
  const pace = new Pace(context.io);
  for (const source of sources) {
    const result = await loadOne(context, { store, pace }, source, flags);
    const facts = { file: source === STDIN ? null : source };
    await tellLoaded(context, store, { name: nameOf(source), what: `${result.format} archive`, facts, result });
    const isEmpty = result.images.length + result.artifacts.length === 0;
    if (isEmpty && flags.allowEmpty !== true) throw nothingLoaded(nameOf(source));
  }
}

/** A name that is mistyped makes no store. */
async function mustBeThere({ files }: CommandContext, source: string | undefined): Promise<void> {
  if (source === undefined || source === STDIN) return;
  await files.mustBeThere(source).catch((error: unknown) => {
    throw withOwnHint(error, OWN_HINTS);
  });
}

function nothingLoaded(name: string): StoreError {
  return new StoreError('ARCHIVE_EMPTY', `loaded nothing from ${name} (--allow-empty accepts that)`);
}

async function loadOne(
  context: CommandContext,
  { store, pace }: { readonly store: EventStore; readonly pace: Pace },
  source: string,
  { platform, allPlatforms, overwrite, tag, repository }: LoadFlags,
): Promise<LoadResult> {
  const progress = progressBar(context, `load ${printable(nameOf(source))}`, sizeText, pace);
  const archive = source === STDIN ? undefined : context.files.archive(source);
  const options: LoadOptions = {
    ...context.write,
    platform,
    allPlatforms,
    overwrite,
    tag,
    repository,
    signal: context.signal,
    onProgress: (done, total) => progress.update(done, total ?? archive?.total()),
  };
  try {
    if (archive !== undefined) return await store.load(archive.source, options);
    // Lets an abort end a read that waits for a slow writer.
    return await store.load(addAbortSignal(context.signal, context.io.stdin), options);
  } catch (error) {
    throw withOwnHint(error, tag === undefined ? OWN_HINTS : { ...OWN_HINTS, REFERENCE_INVALID: TAG_HINT });
  } finally {
    progress.end();
  }
}

function nameOf(source: string): string {
  return source === STDIN ? 'standard input' : basename(source);
}

interface SaveFlags {
  readonly output?: string;
  readonly format: 'docker' | 'oci';
  readonly platform?: readonly string[];
}

/** `imagelog save`: writes an archive to a file (atomically) or standard output. */
export const saveGrammar: Grammar = () => ({
  about:
    'The same images give the same bytes. A file appears whole or not at all. A name without a tag saves all of its ' +
    'tags. A name is saved with its index, attestations, signatures and other artifacts, and keeps its digest.',
  examples: [
    ['imagelog save shop/app:1.0 -o app.tar', 'save one image'],
    ['imagelog save shop/app shop/db:3 -o shop.tar', 'save every tag of one name, and one of another'],
    ['imagelog save --format oci shop/app:1.0 -o app-oci.tar', 'save as an OCI image layout'],
    ['imagelog save --platform linux/arm64 shop/app:1.0 -o arm64.tar', 'save one platform, with a smaller index'],
    ['imagelog save shop/app:1.0 | docker load', 'give it to Docker'],
  ],
  arguments: [['references, ids, or the first digits of ids or digests']],
  options: [
    option('-o, --output <file>', 'the archive; `-`, or none, is the standard output'),
    option('--format <format>', 'layout of the archive').choices(['docker', 'oci']).default('docker'),
    option('--platform <platform>', 'only this platform of multi-platform images; repeatable', platformNames),
  ],
  action: save,
});

async function save(context: CommandContext, typed: readonly string[], flags: SaveFlags): Promise<void> {
  const { output = '-', format, platform } = flags;
  if (output === '-' && context.out.isTerminal) {
    throw new UsageError('an archive is not for a terminal: name a file with -o, or give it to a program');
  }
  await using store = await openFor(context, 'read');
  const names = typed.map((name) => wholeReference(name, store) ?? name);
  const progress = progressBar(context, output === '-' ? 'save' : `save ${printable(output)}`);
  let written = 0;
  const notices: string[] = [];
  const count: Progress['update'] = (bytes, total) => {
    written = bytes;
    progress.update(bytes, total);
  };
  try {
    const { signal } = context;
    const onNotice = (notice: string): void => void notices.push(notice);
    const options = { format, platform, onProgress: count, onNotice, signal };
    const archive: FileContent = {
      writeTo: (file) => store.saveTo(file, names, options),
      stream: () => store.save(names, options),
    };
    if (output === '-') await pipeline(archive.stream(), context.out.stream, { end: false, signal });
    else await context.files.write(archive, output, signal);
  } finally {
    progress.end();
  }
  for (const notice of notices) await context.err.line(noticeLine(notice, context.errColors));
  if (output === '-') return;
  const saved = `saved ${names.map(printable).join(', ')} to ${printable(output)}, ${sizeText(written)}`;
  await answer(context, { file: output, format, names, bytes: written }, saved);
}
