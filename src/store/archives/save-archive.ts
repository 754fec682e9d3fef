import { parentOf } from '../../../projections/children.js';
import type { FileHandle } from 'node:fs/promises';
import { Readable } from 'node:stream';
import type { Views } from '../../../projections/views.js';
import { throwIfAborted } from '../../abort.js';
import type { SavedArchive, SavedImage, SavedLayer } from '../../archive/saved-archive.js';
import { type WrittenArchive, writeArchive } from '../../archive/write-archive.js';
import { StoreError } from '../../errors.js';
import type { ChainId, Digest, ImageId } from '../../model/digest.js';
import { type NextBuffer, twoBuffers } from '../files/lent-chunks.js';
import { writeDurably } from '../files/write-durably.js';
import type { BlobStore } from '../layers/blob-store.js';
import { namedImages } from './named-images.js';
import type { EventStore, SaveOptions } from '../event-store.js';

/** Bytes that are read ahead while others are written: without them, a save to a write stream waits for each by turns. */
const READ_AHEAD_BYTES = 1024 * 1024;

/** What a save needs of the store. */
export interface SaveParts {
  readonly store: Pick<EventStore, 'get' | 'search'>;
  readonly views: Views;
  readonly blobs: BlobStore;
  readonly readContent: (digest: Digest) => Uint8Array | undefined;
  readonly isBlobNeeded: (digest: Digest) => boolean;
}

/** An archive that is settled, with the blobs it takes pinned. */
interface PinnedArchive extends WrittenArchive {
  /** Lets go of the blobs. */
  readonly unpin: () => void;
}

/** Returns the archive of the named images as a stream. Its blobs are pinned until the stream ends. */
export function saveArchive(names: readonly string[], options: SaveOptions, parts: SaveParts): Readable {
  const { chunks, unpin } = pinnedArchive(names, options, parts);
  return Readable.from(chunks, { objectMode: false, highWaterMark: READ_AHEAD_BYTES }).once('close', unpin);
}

/** Writes the archive of the named images to `file`, durable on return. Returns its bytes. */
export async function saveArchiveTo(
  file: FileHandle,
  names: readonly string[],
  options: SaveOptions,
  parts: SaveParts,
): Promise<number> {
  const { size, chunks, unpin } = pinnedArchive(names, options, parts, twoBuffers());
  try {
    await writeDurably(file, chunks);
    return size;
  } finally {
    unpin();
  }
}

/**
 * What is written is settled before the first byte: blobs are pinned, so that a deletion meanwhile takes nothing from it;
 * they go after that.
 */
function pinnedArchive(
  names: readonly string[],
  options: SaveOptions,
  parts: SaveParts,
  nextBuffer?: NextBuffer,
): PinnedArchive {
  const { format = 'docker', onProgress, signal } = options;
  if (format !== 'docker' && format !== 'oci') throw new RangeError(`format must be docker or oci: ${String(format)}`);
  throwIfAborted(signal);
  const { images, references } = namedImages(names, parts.store, parts.views);
  const saved: SavedArchive = {
    images: [...images].map((id) => savedImage(id, parts)),
    references: [...references.values()],
    content: parts.readContent,
    hasBlob: (digest) => parts.views.blobs.byDigest.has(digest),
    openBlob: (digest) => parts.blobs.read(digest, nextBuffer),
  };
  let size = 0;
  const onBytes = onProgress === undefined ? undefined : (bytes: number) => onProgress(bytes, size);
  const written = writeArchive(saved, { format, onBytes, signal });
  size = written.size;
  return { ...written, unpin: pin(blobsOf(saved.images), parts) };
}

function savedImage(id: ImageId, { store, views }: SaveParts): SavedImage {
  const image = store.get(id);
  const chainId = views.images.get(id)?.chainId;
  return {
    id,
    config: image.rawJSON(),
    image,
    layers: chainId === undefined ? [] : layersOf(id, chainId, views),
    parent: parentOf(views.images, id),
    manifests: (views.manifests.get(id) ?? []).map(({ manifest, layers }) => ({ descriptor: manifest, layers })),
  };
}

/** The layers of a chain from the bottom up. */
function layersOf(id: ImageId, chainId: ChainId, views: Views): SavedLayer[] {
  const layers: SavedLayer[] = [];
  for (let at: ChainId | undefined = chainId; at !== undefined; ) {
    const facts = views.layers.byChain.get(at);
    if (facts === undefined) {
      throw new StoreError('LAYER_NOT_FOUND', `cannot save ${id}: its layer chain ${at} is not in the store`, {
        data: { image: id, chainId: at },
      });
    }
    layers.unshift({ diffId: facts.diffId, blob: facts.blob });
    at = facts.parent;
  }
  return layers;
}

function blobsOf(images: readonly SavedImage[]): Set<Digest> {
  const digests = new Set<Digest>();
  for (const { layers, manifests } of images) {
    for (const { blob } of layers) digests.add(blob.digest);
    for (const manifest of manifests) for (const { digest } of manifest.layers) digests.add(digest);
  }
  return digests;
}

/** Returns what lets go of them again. */
function pin(digests: ReadonlySet<Digest>, { blobs, isBlobNeeded }: SaveParts): () => void {
  for (const digest of digests) blobs.pin(digest);
  return () => {
    for (const digest of digests) blobs.unpin(digest);
    // Removal reports nothing: what cannot be removed waits for the next open's sweep.
    void blobs.removeUnneeded(digests, isBlobNeeded);
  };
}
