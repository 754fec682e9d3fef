import { throwIfAborted } from '../../abort.js';
import type { ArchiveContents, ArchiveReference, StagedLayer } from '../../archive/archive.js';
import { readArchive } from '../../archive/read-archive.js';
import { StoreError } from '../../errors.js';
import type { Digest, ImageId } from '../../model/digest.js';
import { parsePlatform } from '../../model/platform.js';
import { canonicalReference } from '../../model/reference.js';
import { mustBeBoolean, mustBeSignal, mustBeText } from '../argument-types.js';
import { archiveFileSource } from './archive-source.js';
import type { BlobStore, KeptBlob } from '../layers/blob-store.js';
import { byteChunks } from '../layers/byte-chunks.js';
import type { Command, CommandPort } from '../write/command.js';
import { chainOf } from '../decide/create.js';
import { decideLoad, type LoadOutcome, type LoadPolicy } from '../decide/load.js';
import type { Origin } from '../write/envelope.js';
import type { HeldLayers } from '../layers/held-layers.js';
import { StagedBlob } from '../layers/staged-blob.js';
import type { LoadOptions, LoadResult } from '../event-store.js';

export interface LoadParts {
  readonly port: CommandPort;
  readonly blobs: BlobStore;
  readonly policy: Omit<LoadPolicy, 'overwrite'>;
  readonly heldLayers: HeldLayers | undefined;
  readonly hasImage: (id: ImageId) => boolean;
  readonly isBlobNeeded: (digest: Digest) => boolean;
  readonly headSeq: () => number;
}

type LoadCommand = Pick<Command<LoadOutcome>, 'decide' | 'origin' | 'committed'>;

/** Reads an archive and makes all it holds part of the store in one transaction, or none of it. */
export async function loadArchive(
  source: AsyncIterable<Uint8Array> | string,
  options: LoadOptions,
  origin: Origin,
  parts: LoadParts,
): Promise<LoadResult> {
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
  const contents = await readArchive(bytes, parts.blobs, { platform, allPlatforms, onBytes, signal });
  try {
    const named = tag === undefined ? contents : { ...contents, references: withTag(contents, tag) };
    throwIfAborted(signal);
    return await commit(named, { ...parts.policy, overwrite: options.overwrite ?? true }, origin, parts);
  } finally {
    await contents.discard();
  }
}

function checkOptions({ allPlatforms, overwrite, tag, signal }: LoadOptions): void {
  mustBeBoolean('allPlatforms', allPlatforms);
  mustBeBoolean('overwrite', overwrite);
  mustBeText('tag', tag);
  mustBeSignal('signal', signal);
}

async function commit(
  contents: ArchiveContents,
  policy: LoadPolicy,
  origin: Origin,
  parts: LoadParts,
): Promise<LoadResult> {
  const { blobs, isBlobNeeded } = parts;
  const decide = decideLoad(contents, policy);
  const staged = policy.keepsLayers ? stagedBlobs(contents) : [];
  for (const { digest } of staged) blobs.pin(digest);
  try {
    // Also those that are needed already: a file that was lost comes back with its archive.
    await blobs.keep(staged);
    // Blobs are durable from here. A crash before the append leaves files that no event names, for the sweep.
    let seq: number | undefined;
    const committed = (lastSeq: number): void => {
      seq = lastSeq;
    };
    const outcome = await submitHolding(contents, parts, { decide, origin, committed });
    return { ...outcome, seq: seq ?? parts.headSeq() };
  } finally {
    for (const { digest } of staged) blobs.unpin(digest);
    await blobs.removeUnneeded(new Set(staged.map(({ digest }) => digest)), isBlobNeeded);
  }
}

function stagedBlobs(contents: ArchiveContents): KeptBlob[] {
  const byDigest = new Map<Digest, KeptBlob>();
  const keep = (staged: StagedLayer | undefined): void => {
    if (staged !== undefined) byDigest.set(staged.blob.digest, { file: ownFile(staged), digest: staged.blob.digest });
  };
  for (const { layers, manifests } of contents.images) {
    for (const { staged } of layers) keep(staged);
    // A second manifest of an image may have the same layers in another compression.
    for (const { staged } of manifests) staged.forEach(keep);
  }
  return [...byDigest.values()];
}

// The archive reader gives back the very files that the blob store opened for it.
function ownFile({ file, blob }: StagedLayer): StagedBlob {
  if (file instanceof StagedBlob) return file;
  throw new StoreError('INTERNAL', `the layer ${blob.digest} was staged elsewhere`);
}

/** Submits the load with a hold on the layers of each new image, where layers are kept elsewhere. */
async function submitHolding(
  contents: ArchiveContents,
  { heldLayers, hasImage, port }: LoadParts,
  command: LoadCommand,
): Promise<LoadOutcome> {
  if (heldLayers === undefined) return port.submit(command);
  const images = contents.images.flatMap(({ id, image }) => {
    const chainId = chainOf(image);
    return chainId === undefined ? [] : [{ id, chainId }];
  });
  return heldLayers.around(images, hasImage, (holding) => port.submit({ ...command, decide: holding(command.decide) }));
}

// The extra name stands for the archive's only image, or for the platforms of its only name.
function withTag({ images, references }: ArchiveContents, tag: string): ArchiveReference[] {
  const [image] = images;
  const [named] = references;
  const others = references.filter(({ reference }) => reference !== tag);
  if (named !== undefined && references.every(({ image: id }) => id === named.image)) {
    return [...others, { ...named, reference: tag }];
  }
  if (image !== undefined && images.length === 1) {
    return [...others, { reference: tag, image: image.id, target: image.manifests[0]?.descriptor }];
  }
  throw new StoreError(
    'REFERENCE_INVALID',
    `cannot tag ${tag}: the archive holds ${images.length} images, expected one`,
    {
      data: { reference: tag, images: images.length },
    },
  );
}
