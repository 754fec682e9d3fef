import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { StoreError, throwIfAborted } from '../../errors.js';
import { systemCode } from '../files/files.js';
import type { ArchiveContents, ArchiveReference, StagedFile, StagedLayer } from '../../archive/archive-files.js';
import { readArchive } from '../../archive/read-archive.js';
import type { Digest, ImageId } from '../../model/digest.js';
import type { PlatformImage } from '../../model/events.js';
import { parsePlatform } from '../../model/platform.js';
import { canonicalReference } from '../../model/reference.js';
import { mustBeBoolean, mustBeSignal, mustBeText } from '../argument-types.js';
import { byteChunks, type KeptBlob, StagedBlob } from '../layers/blob-store.js';
import { type Command, type Origin, originOf } from '../writer.js';
import { chainOf } from '../commands/images.js';
import { decideLoad } from '../commands/load.js';
import type { StoreContext } from '../context.js';
import { StoreReader } from '../images.js';
import type { LoadOptions, LoadResult } from '../store.js';

/** Read size for archive files: with 64 KiB a load takes half as long again. */
const READ_CHUNK_BYTES = 1024 * 1024;

/**
 * Returns the archive file at `path`. It is opened on the first read and closed with the iterator;
 * reads throw the same errors.
 * @throws {StoreError} FILE_NOT_FOUND when there is none, ARCHIVE_INVALID when it is a directory,
 *   IO_FAILED when it cannot be read
 */
export async function archiveFileSource(
  path: string,
): Promise<{ readonly bytes: AsyncIterable<Uint8Array>; readonly total: number }> {
  const facts = await stat(path).catch((error: unknown) => {
    throw readFailure(path, error);
  });
  if (facts.isDirectory()) {
    throw new StoreError('ARCHIVE_INVALID', `cannot read ${path}: expected an archive file, found a directory`, {
      data: { path },
    });
  }
  return { bytes: readFile(path), total: facts.size };
}

async function* readFile(path: string): AsyncGenerator<Uint8Array> {
  const stream = createReadStream(path, { highWaterMark: READ_CHUNK_BYTES });
  try {
    yield* stream as AsyncIterable<Uint8Array>;
  } catch (error) {
    throw readFailure(path, error);
  }
}

/** The archive is the caller's file: a permission error says nothing about the store. */
function readFailure(path: string, error: unknown): StoreError {
  const code = systemCode(error);
  const options = { cause: error, data: { path, systemCode: code } };
  if (code === 'ENOENT') return new StoreError('FILE_NOT_FOUND', `cannot read ${path}: no such file`, options);
  const found = error instanceof Error ? error.message : String(error);
  return new StoreError('IO_FAILED', `cannot read ${path}: ${found}`, options);
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
  const platform = typeof options.platform === 'string' ? parsePlatform(options.platform) : options.platform;
  const tag = options.tag === undefined ? undefined : canonicalReference(options.tag);
  const { allPlatforms, onProgress, signal } = options;
  throwIfAborted(signal);
  const isPath = typeof source === 'string';
  const { bytes, total } = isPath
    ? await archiveFileSource(source)
    : { bytes: byteChunks('source', source), total: undefined };
  const onBytes = onProgress === undefined ? undefined : (count: number) => onProgress(count, total);
  const contents = await readArchive(bytes, context.blobs, { platform, allPlatforms, onBytes, signal });
  try {
    const named = tag === undefined ? contents : { ...contents, references: withTag(contents, tag) };
    throwIfAborted(signal);
    return await loadContents(named, { origin, overwrite: options.overwrite ?? true }, context);
  } finally {
    await contents.discard();
  }
}

/** Loads what was read of an archive, in one atomic transaction. Its files are the blob store's. */
export async function loadContents(
  contents: ArchiveContents,
  { origin, overwrite }: { readonly origin: Origin; readonly overwrite: boolean },
  context: StoreContext,
): Promise<LoadResult> {
  const decide = decideLoad(contents, {
    images: context.policy,
    keepsLayers: context.layerPlace === 'own',
    overwrite,
    readImage: (id) => new StoreReader(context).get(id),
  });
  return commit(contents, { decide, origin }, context);
}

function checkOptions({ allPlatforms, overwrite, tag, signal }: LoadOptions): void {
  mustBeBoolean('allPlatforms', allPlatforms);
  mustBeBoolean('overwrite', overwrite);
  mustBeText('tag', tag);
  mustBeSignal('signal', signal);
}

async function commit(contents: ArchiveContents, command: LoadCommand, context: StoreContext): Promise<LoadResult> {
  const { blobs, isBlobNeeded, layerPlace, reader } = context;
  const staged = layerPlace === 'own' ? stagedBlobs(contents) : [];
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

function stagedBlobs(contents: ArchiveContents): KeptBlob[] {
  const byDigest = new Map<Digest, KeptBlob>();
  const keep = (staged: StagedLayer | undefined): void => {
    if (staged === undefined) return;
    const { digest } = staged.blob;
    byDigest.set(digest, { file: ownFile(staged.file, digest), digest });
  };
  for (const { layers, manifests } of contents.images) {
    for (const { staged } of layers) keep(staged);
    // Another manifest of an image may have the same layers in another compression.
    for (const { staged } of manifests) staged.forEach(keep);
  }
  for (const { blobs, staged } of contents.artifacts) {
    for (const [at, { digest }] of blobs.entries()) {
      const file = staged[at];
      if (file !== undefined) byDigest.set(digest, { file: ownFile(file, digest), digest });
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

/**
 * Returns the references with one more, `tag`. It stands for what the archive's only name does, for
 * its only index, or for its only image.
 * @throws {StoreError} REFERENCE_INVALID when there is more than one
 */
export function withTag(
  contents: Pick<ArchiveContents, 'images' | 'references' | 'artifacts'>,
  tag: string,
): ArchiveReference[] {
  const { images, references } = contents;
  const [image] = images;
  const [named] = references;
  const others = references.filter(({ reference }) => reference !== tag);
  if (named !== undefined && references.every((other) => isSameThing(named, other))) {
    return [...others, { ...named, reference: tag }];
  }
  const index = named === undefined ? onlyIndex(contents) : undefined;
  if (index !== undefined) return [{ ...index, reference: tag }];
  if (image !== undefined && images.length === 1) {
    return [...others, { reference: tag, image: image.id, target: image.manifests[0]?.descriptor }];
  }
  throw new StoreError(
    'REFERENCE_INVALID',
    `cannot tag ${tag}: the archive holds ${images.length} images, expected one`,
    { data: { reference: tag, images: images.length } },
  );
}

function isSameThing(one: ArchiveReference, other: ArchiveReference): boolean {
  return one.image === other.image && (one.image !== undefined || one.target?.digest === other.target?.digest);
}

/** Returns the only artifact that nothing in the archive holds, if it has all of its images. */
function onlyIndex({
  images,
  artifacts,
}: Pick<ArchiveContents, 'images' | 'artifacts'>): Omit<ArchiveReference, 'reference'> | undefined {
  const byDigest = new Map(artifacts.map((artifact) => [artifact.descriptor.digest, artifact]));
  const imageOf = new Map(
    images.flatMap((image) =>
      [image.id, ...image.manifests.map(({ descriptor }) => descriptor.digest)].map(
        (digest) => [digest, image] as const,
      ),
    ),
  );
  const contained = new Set(artifacts.flatMap(({ contains }) => contains.map(({ digest }) => digest)));
  const tops = artifacts.filter(({ descriptor: { digest }, subject }) => {
    const isAbout = subject !== undefined && (byDigest.has(subject.digest) || imageOf.has(subject.digest));
    return !contained.has(digest) && !isAbout;
  });
  const [top] = tops;
  if (top === undefined || tops.length > 1) return undefined;
  const found = new Map<ImageId, PlatformImage>();
  const seen = new Set([top.descriptor.digest]);
  // Grows while it is walked: each index adds what it contains.
  for (const digest of seen) {
    const image = imageOf.get(digest);
    if (image !== undefined) found.set(image.id, { image: image.id, ...image.image.platform() });
    else for (const { digest: contained } of byDigest.get(digest)?.contains ?? []) seen.add(contained);
  }
  if (found.size < images.length) return undefined;
  const platforms = [...found.values()];
  const target = top.descriptor;
  return platforms.length === 0 ? { target } : { image: platforms[0]?.image, target, platforms };
}
