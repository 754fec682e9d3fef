import type { FileHandle } from 'node:fs/promises';
import { Readable, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ArtifactEntry } from '../../../projections/artifacts.js';
import type { Views } from '../../../projections/views.js';
import { StoreError, throwIfAborted } from '../../errors.js';
import type { ChainId, Digest, ImageId } from '../../model/digest.js';
import { familiarReference } from '../../model/reference.js';
import type { EventStore } from '../event-store.js';
import type { SaveOptions } from '../store.js';
import { parentOf } from '../../../projections/images.js';
import type { SavedArchive, SavedArtifact, SavedImage, SavedLayer } from '../../archive/saved-documents.js';
import { writeArchive, type WrittenArchive } from '../../archive/write-archive.js';
import { type NextBuffer, twoBuffers, writeDurably } from '../files/write-durably.js';
import type { StoreContext } from '../context.js';
import { StoreReader } from '../images.js';
import { selectForSave } from './save-selection.js';

/** Read-ahead: without it, reads and writes to a stream alternate. */
const READ_AHEAD_BYTES = 1024 * 1024;

/** Returns the archive of the named images as a stream; their blobs stay pinned until it ends. */
export function saveArchive(names: readonly string[], options: SaveOptions, context: StoreContext): Readable {
  const { chunks, unpin } = pinnedArchive(names, options, context);
  return Readable.from(chunks, { objectMode: false, highWaterMark: READ_AHEAD_BYTES }).once('close', unpin);
}

/** Writes the archive of the named images to `file`, durable on return. Returns its bytes. */
export async function saveArchiveTo(
  file: FileHandle,
  names: readonly string[],
  options: SaveOptions,
  context: StoreContext,
): Promise<number> {
  const { size, chunks, unpin } = pinnedArchive(names, options, context, twoBuffers());
  try {
    await writeDurably(file, chunks);
    return size;
  } finally {
    unpin();
  }
}

/**
 * Contents are fixed before the first byte: blobs are pinned, so a deletion meanwhile takes nothing
 * away; it takes effect afterwards.
 */
function pinnedArchive(
  names: readonly string[],
  options: SaveOptions,
  context: StoreContext,
  nextBuffer?: NextBuffer,
): WrittenArchive & { readonly unpin: () => void } {
  const { format = 'docker', onNotice, onProgress, signal } = options;
  if (format !== 'docker' && format !== 'oci') throw new RangeError(`format must be docker or oci: ${String(format)}`);
  throwIfAborted(signal);
  const { views, blobs, log } = context;
  const { images, references, artifacts } = selectForSave(names, options.platform, views, (id) =>
    new StoreReader(context).get(id).platform(),
  );
  const artifact = (digest: Digest): SavedArtifact | undefined => savedArtifact(views.artifacts.byDigest.get(digest));
  const saved: SavedArchive = {
    images: [...images].map((id) => savedImage(id, context)),
    references: [...references.values()],
    artifacts: [...artifacts.values()],
    artifact,
    referrers: (digest) => [...(views.artifacts.bySubject.get(digest) ?? [])].flatMap((each) => artifact(each) ?? []),
    content: (digest) => log.content(digest),
    hasBlob: (digest) => views.blobs.byDigest.has(digest),
    openBlob: (digest) => blobs.read(digest, nextBuffer),
  };
  let size = 0;
  const onBytes = onProgress === undefined ? undefined : (bytes: number) => onProgress(bytes, size);
  const written = writeArchive(saved, { format, onBytes, onNotice, signal });
  size = written.size;
  return { ...written, unpin: pin(written.blobs, context) };
}

function savedArtifact(entry: ArtifactEntry | undefined): SavedArtifact | undefined {
  return entry && { ...entry, descriptor: entry.artifact };
}

/** Returns an image with all that an archive has of it. */
export function savedImage(id: ImageId, context: StoreContext, views: Views = context.views): SavedImage {
  const image = new StoreReader(context, views).get(id);
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
      throw new StoreError('LAYER_NOT_FOUND', `cannot save ${id}: its layer ${at} is not in the store`, {
        data: { image: id, chainId: at },
      });
    }
    layers.unshift({ diffId: facts.diffId, blob: facts.blob });
    at = facts.parent;
  }
  return layers;
}

/** Pins blobs; returns the function that unpins them. */
function pin(digests: ReadonlySet<Digest>, { blobs, isBlobNeeded }: StoreContext): () => void {
  for (const digest of digests) blobs.pin(digest);
  return () => {
    for (const digest of digests) blobs.unpin(digest);
    // Never rejects: what cannot be removed waits for the next open's sweep.
    void blobs.removeUnneeded(digests, isBlobNeeded);
  };
}

/** Loads and saves archives, with the shape of the Go package's `Exporter`. */
export interface Exporter {
  /** Loads `input` and writes Docker's messages to `output`, one per image; none when `quiet`. */
  load(input: AsyncIterable<Uint8Array>, output: Writable, quiet: boolean): Promise<void>;
  /** Writes the docker archive of the named images to `output`, and ends it. */
  save(names: readonly string[], output: Writable): Promise<void>;
}

/** Returns the exporter of a store. Its methods throw what the store's `load` and `save` throw. */
export function createExporter(store: Pick<EventStore, 'load' | 'save'>): Exporter {
  return {
    async load(input, output, quiet) {
      const { images, references } = await store.load(input);
      if (quiet) return;
      const named = new Set(references.map(({ image }) => image));
      const lines = references.map(({ reference }) => `Loaded image: ${familiarReference(reference)}\n`);
      for (const { id } of images) if (!named.has(id)) lines.push(`Loaded image ID: ${id}\n`);
      // The output is the caller's: it stays open.
      await pipeline(Readable.from(lines), output, { end: false });
    },
    async save(names, output) {
      await pipeline(store.save(names), output);
    },
  };
}
