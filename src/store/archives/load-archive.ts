import { createReadStream, type Stats } from 'node:fs';
import { readdir, realpath, stat } from 'node:fs/promises';
import { join, sep } from 'node:path';
import type { ArchiveContents, ArchiveReference, StagedFile, StagedLayer } from '../../archive/archive-files.js';
import { readArchive } from '../../archive/read-archive.js';
import { formatTarHeader, isTarName, TAR_BLOCK_BYTES, tarPadding } from '../../archive/tar-header.js';
import { StoreError, throwIfAborted, thrownText } from '../../errors.js';
import { MAX_ARCHIVE_ENTRIES } from '../../limits.js';
import type { Digest, ImageId } from '../../model/digest.js';
import { canonicalReference, parseRepository } from '../../model/reference.js';
import { mustBeBoolean, mustBeSignal, mustBeText, platformsOf } from '../argument-types.js';
import { chainOf } from '../commands/images.js';
import { decideLoad, type LoadPolicy } from '../commands/load.js';
import type { StoreContext } from '../context.js';
import { openRegularFile, systemCode } from '../files/files.js';
import { bufferPair, readAhead } from '../files/read-ahead.js';
import { StoreReader } from '../images.js';
import { byteChunks, type KeptBlob, StagedBlob, StoredBlob } from '../layers/blob-store.js';
import type { LoadOptions, LoadResult } from '../store.js';
import { type Command, type Origin, originOf } from '../writer.js';

/** Read size for archives that are no regular files. */
const READ_CHUNK_BYTES = 1024 * 1024;

/**
 * Returns the archive at `path`, a file or a directory. It is opened on the first read and closed
 * with the iterator; reads throw the same errors. Chunks are lent, each until the next is pulled.
 * @throws {StoreError} FILE_NOT_FOUND when there is none, IO_FAILED when it cannot be read
 */
export async function archiveFileSource(
  path: string,
): Promise<{ readonly bytes: AsyncIterable<Uint8Array>; readonly total: number }> {
  const facts = await stat(path).catch((error: unknown) => {
    throw readFailure(path, error);
  });
  if (facts.isDirectory()) {
    const { bytes, total } = await directorySource(path).catch((error: unknown) => {
      throw readFailure(path, error);
    });
    return { bytes: readable(path, () => bytes), total };
  }
  const read = (): AsyncIterable<Uint8Array> => (facts.isFile() ? fileChunks(path) : pipeChunks(path));
  return { bytes: readable(path, read), total: facts.size };
}

async function* fileChunks(path: string): AsyncGenerator<Uint8Array> {
  yield* readAhead(await openRegularFile(path, { links: 'followed' }));
}

/** A stream, as it is closed without waiting for a read that hangs. */
function pipeChunks(path: string): AsyncIterable<Uint8Array> {
  return createReadStream(path, { highWaterMark: READ_CHUNK_BYTES });
}

async function* readable(path: string, read: () => AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  try {
    yield* read();
  } catch (error) {
    throw readFailure(path, error);
  }
}

/** The archive is the caller's file: a permission error says nothing about the store. */
function readFailure(archive: string, error: unknown): StoreError {
  if (error instanceof StoreError) return error;
  const code = systemCode(error);
  const path = pathIn(error) ?? archive;
  const options = { cause: error, data: { path, systemCode: code } };
  if (code === 'ENOENT') return new StoreError('FILE_NOT_FOUND', `cannot read ${path}: no such file`, options);
  const found = thrownText(error);
  return new StoreError('IO_FAILED', `cannot read ${path}: ${found}`, options);
}

/** The file of a directory that could not be read. */
function pathIn(error: unknown): string | undefined {
  return error instanceof Error && 'path' in error && typeof error.path === 'string' ? error.path : undefined;
}

type LoadOutcome = Omit<LoadResult, 'seq'>;
type LoadCommand = Pick<Command<LoadOutcome>, 'decide' | 'origin' | 'committed'>;

/** Loads an archive in one atomic transaction. */
export async function loadArchive(
  source: AsyncIterable<Uint8Array> | string,
  options: LoadOptions,
  context: StoreContext,
): Promise<LoadResult> {
  context.checkWritable();
  const origin = originOf(options, context.actor);
  checkOptions(options);
  const platforms = platformsOf(options.platform);
  const tag = options.tag === undefined ? undefined : canonicalReference(options.tag);
  const { allPlatforms, repository, onProgress, signal } = options;
  throwIfAborted(signal);
  const isPath = typeof source === 'string';
  const { bytes, total } = isPath
    ? await archiveFileSource(source)
    : { bytes: byteChunks('source', source), total: undefined };
  const onBytes = onProgress === undefined ? undefined : (count: number) => onProgress(count, total);
  const contents = await readArchive(bytes, context.blobs, { platforms, allPlatforms, repository, onBytes, signal });
  try {
    const named = tag === undefined ? contents : { ...contents, references: withTag(contents, tag) };
    throwIfAborted(signal);
    return await loadContents(named, { origin, overwrite: options.overwrite ?? true }, context);
  } finally {
    await discardStaged(contents, context);
  }
}

/** Whether it was committed is settled by now: that staged files stay until the next open is a notice. */
export async function discardStaged(contents: ArchiveContents, { onNotice }: StoreContext): Promise<void> {
  await contents.discard().catch((error: unknown) => {
    onNotice(`staged files stay until the store is opened again: ${thrownText(error)}`);
  });
}

/** Who loads an archive, and what may happen to references. */
interface LoadedBy {
  readonly origin: Origin;
  readonly overwrite: boolean;
  /** As `LoadPolicy` has them. */
  readonly refreshed?: LoadPolicy['refreshed'];
}

/** Loads what was read of an archive, in one atomic transaction. Its files are the blob store's. */
export async function loadContents(
  contents: ArchiveContents,
  { origin, overwrite, refreshed }: LoadedBy,
  context: StoreContext,
): Promise<LoadResult> {
  const decide = decideLoad(contents, {
    images: context.policy,
    keepsLayers: context.layerPlace === 'own',
    overwrite,
    refreshed,
    readImage: (id) => new StoreReader(context).get(id),
  });
  return commit(contents, { decide, origin }, context);
}

function checkOptions({ allPlatforms, overwrite, repository, tag, signal }: LoadOptions): void {
  mustBeText('repository', repository);
  if (repository !== undefined) parseRepository(repository);
  mustBeBoolean('allPlatforms', allPlatforms);
  mustBeBoolean('overwrite', overwrite);
  mustBeText('tag', tag);
  mustBeSignal('signal', signal);
}

async function commit(contents: ArchiveContents, command: LoadCommand, context: StoreContext): Promise<LoadResult> {
  const { blobs, isBlobNeeded, layerPlace, reader } = context;
  const staged = layerPlace === 'own' ? stagedBlobs(contents, isBlobNeeded) : [];
  for (const { digest } of staged) blobs.pin(digest);
  try {
    // Even those needed already: this restores a lost file.
    await blobs.keep(staged);
    // Blobs are durable from here: a crash before the append leaves files for the sweep.
    let seq: number | undefined;
    const committed = (lastSeq: number): void => {
      seq = lastSeq;
    };
    const outcome = await submitHolding(contents, context, { ...command, committed });
    return { ...outcome, seq: seq ?? reader.head.seq };
  } finally {
    for (const { digest } of staged) blobs.unpin(digest);
    await blobs.removeUnneeded(new Set(staged.map(({ digest }) => digest)), isBlobNeeded);
  }
}

function stagedBlobs(contents: ArchiveContents, isNeeded: (digest: Digest) => boolean): KeptBlob[] {
  const byDigest = new Map<Digest, KeptBlob>();
  const add = (file: StagedFile, digest: Digest): void => {
    if (file instanceof StoredBlob) return;
    byDigest.set(digest, { file: ownFile(file, digest), digest, isNew: !isNeeded(digest) });
  };
  const keep = (staged: StagedLayer | undefined): void => {
    if (staged !== undefined) add(staged.file, staged.blob.digest);
  };
  for (const { layers, manifests } of contents.images) {
    for (const { staged } of layers) keep(staged);
    // Another manifest of an image may have the same layers in another compression.
    for (const { staged } of manifests) staged.forEach(keep);
  }
  for (const { blobs, staged } of contents.artifacts) {
    for (const [at, { digest }] of blobs.entries()) {
      const file = staged[at];
      if (file !== undefined) add(file, digest);
    }
  }
  return [...byDigest.values()];
}

// The archive reader returns the very files that the blob store opened for it.
function ownFile(file: StagedFile, digest: Digest): StagedBlob {
  if (file instanceof StagedBlob) return file;
  throw new StoreError('INTERNAL', `the blob ${digest} was staged elsewhere`);
}

/** Submits the load, holding the layers of each new image where layers are external. */
async function submitHolding(
  contents: ArchiveContents,
  { heldLayers, views, writer }: StoreContext,
  command: LoadCommand,
): Promise<LoadOutcome> {
  if (heldLayers === undefined) return writer.submit(command);
  const images = contents.images.flatMap(({ id, image }) => {
    const chainId = chainOf(image);
    return chainId === undefined ? [] : [{ id, chainId }];
  });
  const hasImage = (id: ImageId): boolean => views.images.has(id);
  return heldLayers.around(images, hasImage, (holding) =>
    writer.submit({ ...command, decide: holding(command.decide) }),
  );
}

/** The extra name stands for what the only name stands for, or for the only thing in the archive. */
function withTag({ references, targets }: ArchiveContents, tag: string): ArchiveReference[] {
  const others = references.filter(({ reference }) => reference !== tag);
  const [named] = references;
  const isOne = references.every(({ image, target }) =>
    image === undefined ? target?.digest === named?.target?.digest : image === named?.image,
  );
  if (named !== undefined && isOne) return [...others, { ...named, reference: tag }];
  const [only, ...more] = targets;
  if (only !== undefined && more.length === 0) return [...others, { ...only, reference: tag }];
  throw new StoreError(
    'REFERENCE_INVALID',
    `cannot tag ${tag}: the archive holds ${targets.length} images, expected one`,
    { data: { reference: tag, images: targets.length } },
  );
}

/** A regular file of a directory, by its path in it with `/`. */
interface DirectoryFile {
  readonly name: string;
  readonly path: string;
  readonly size: number;
}

/**
 * Returns an unpacked archive as a tar: an OCI image layout in a directory, or the files of a
 * `docker save`. Links count if they lead to a file in the directory. What no name of an archive
 * can be (over 100 bytes, not ASCII) is left out, since nothing refers to it.
 * @throws {StoreError} ARCHIVE_LIMIT_EXCEEDED for more than MAX_ARCHIVE_ENTRIES files; the bytes
 *   throw ARCHIVE_TRUNCATED if a file changes its size meanwhile
 */
async function directorySource(
  directory: string,
): Promise<{ readonly bytes: AsyncIterable<Uint8Array>; readonly total: number }> {
  const files: DirectoryFile[] = [];
  const root = await realpath(directory);
  for await (const file of filesIn(root)) {
    files.push(file);
    if (files.length <= MAX_ARCHIVE_ENTRIES) continue;
    throw new StoreError(
      'ARCHIVE_LIMIT_EXCEEDED',
      `cannot read ${directory}: expected at most ${MAX_ARCHIVE_ENTRIES} files, found more`,
      { data: { path: directory, limit: MAX_ARCHIVE_ENTRIES } },
    );
  }
  const size = (file: DirectoryFile): number => TAR_BLOCK_BYTES + file.size + tarPadding(file.size).length;
  return { bytes: tarOf(files), total: files.reduce((sum, file) => sum + size(file), 2 * TAR_BLOCK_BYTES) };
}

async function* filesIn(root: string): AsyncGenerator<DirectoryFile> {
  const names = await readdir(root, { recursive: true });
  for (const name of names.sort()) {
    const entry = name.split(sep).join('/');
    const facts = isTarName(entry) ? await factsInside(root, join(root, name)) : undefined;
    if (facts?.isFile()) yield { name: entry, path: join(root, name), size: facts.size };
  }
}

/** Undefined for a link that leads nowhere or out of `root`. */
async function factsInside(root: string, path: string): Promise<Stats | undefined> {
  const real = await realpath(path).catch(() => undefined);
  return real?.startsWith(`${root}${sep}`) ? stat(real) : undefined;
}

async function* tarOf(files: readonly DirectoryFile[]): AsyncGenerator<Uint8Array> {
  const buffers = bufferPair();
  for (const { name, path, size } of files) {
    yield formatTarHeader({ type: 'file', name, size });
    let left = size;
    for await (const chunk of readAhead(await openRegularFile(path, { links: 'followed' }), buffers)) {
      left -= chunk.length;
      if (left < 0) break;
      yield chunk;
    }
    if (left !== 0) {
      const message = `cannot read ${path}: expected ${size} bytes, found another size: it changed meanwhile`;
      throw new StoreError('ARCHIVE_TRUNCATED', message, { data: { path, expected: size } });
    }
    yield tarPadding(size);
  }
  yield new Uint8Array(2 * TAR_BLOCK_BYTES);
}
