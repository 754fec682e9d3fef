import { parentOf } from '../../../projections/children.js';
import { Readable } from 'node:stream';
import type { Views } from '../../../projections/views.js';
import { throwIfAborted } from '../../abort.js';
import type { SavedArchive, SavedImage, SavedLayer } from '../../archive/saved-archive.js';
import { writeArchive } from '../../archive/write-archive.js';
import { StoreError } from '../../errors.js';
import type { ChainId, Digest, ImageId } from '../../model/digest.js';
import type { BlobStore } from '../layers/blob-store.js';
import { namedImages } from './named-images.js';
import type { EventStore, SaveOptions } from '../event-store.js';

/** Bytes that are read ahead while others are written: without them, a save to a write stream waits for each by turns. */
const READ_AHEAD_BYTES = 1024 * 1024;

export interface SaveParts {
  readonly store: Pick<EventStore, 'get' | 'search'>;
  readonly views: Views;
  readonly blobs: BlobStore;
  readonly readContent: (digest: Digest) => Uint8Array | undefined;
  readonly isBlobNeeded: (digest: Digest) => boolean;
}

/**
 * Returns the archive of the named images as a stream. What is written is settled before the first byte: blobs are
 * pinned until the stream ends, so that a deletion meanwhile takes nothing from it; they go after that.
 */
export function saveArchive(names: readonly string[], options: SaveOptions, parts: SaveParts): Readable {
  const { format = 'docker', onProgress, signal } = options;
  if (format !== 'docker' && format !== 'oci') throw new RangeError(`format must be docker or oci: ${String(format)}`);
  throwIfAborted(signal);
  const { images, references } = namedImages(names, parts.store, parts.views);
  const saved: SavedArchive = {
    images: [...images].map((id) => savedImage(id, parts)),
    references: [...references.values()],
    content: parts.readContent,
    hasBlob: (digest) => parts.views.blobs.byDigest.has(digest),
    openBlob: (digest) => parts.blobs.read(digest),
  };
  let size = 0;
  const onBytes = onProgress === undefined ? undefined : (bytes: number) => onProgress(bytes, size);
  const written = writeArchive(saved, { format, onBytes, signal });
  size = written.size;
  const stream = Readable.from(written.chunks, { objectMode: false, highWaterMark: READ_AHEAD_BYTES });
  return pinned(stream, blobsOf(saved.images), parts);
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

function pinned(stream: Readable, digests: ReadonlySet<Digest>, { blobs, isBlobNeeded }: SaveParts): Readable {
  for (const digest of digests) blobs.pin(digest);
  stream.once('close', () => {
    for (const digest of digests) blobs.unpin(digest);
    // Removal reports nothing: what cannot be removed waits for the next open's sweep.
    void blobs.removeUnneeded(digests, isBlobNeeded);
  });
  return stream;
}
