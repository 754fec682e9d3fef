import type { FileHandle } from 'node:fs/promises';
import { Readable, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { imagesOf, type ReferenceEntry } from '../../../projections/references.js';
import type { Views } from '../../../projections/views.js';
import { isStoreError, StoreError, throwIfAborted } from '../../errors.js';
import { type ChainId, type Digest, type ImageId, isDigest } from '../../model/digest.js';
import { canonicalReference, familiarReference, parseReference } from '../../model/reference.js';
import { mustBeString } from '../argument-types.js';
import type { EventStore } from '../event-store.js';
import type { SaveOptions } from '../store.js';
import { parentOf } from '../../../projections/images.js';
import type { SavedArchive, SavedImage, SavedLayer, SavedReference } from '../../archive/saved-documents.js';
import { writeArchive, type WrittenArchive } from '../../archive/write-archive.js';
import { type NextBuffer, twoBuffers, writeDurably } from '../files/write-durably.js';
import { referenceNotImage } from '../commands/artifacts.js';
import type { StoreContext } from '../context.js';
import { StoreReader } from '../images.js';

/** Resolved images, and the references to write with them. */
interface NamedImages {
  readonly images: ReadonlySet<ImageId>;
  readonly references: ReadonlyMap<string, SavedReference>;
}

/**
 * Resolves `names` as Docker does: a full id, a reference, a repository without a tag (all its
 * tags), or an id prefix. Names by id bring no references.
 * @throws {StoreError} IMAGE_NOT_FOUND, ID_AMBIGUOUS, REFERENCE_NOT_IMAGE
 */
function namedImages(names: readonly string[], store: Pick<EventStore, 'search'>, views: Views): NamedImages {
  if (!Array.isArray(names)) throw new TypeError('names must be a string or an array of strings');
  for (const name of names) mustBeString('each of names', name);
  if (names.length === 0) throw new RangeError('names must not be empty');
  const images = new Set<ImageId>();
  const references = new Map<string, SavedReference>();
  for (const name of names) {
    const entries = isDigest(name) ? [] : entriesOf(name, views);
    for (const entry of entries) {
      const { image } = entry;
      if (image === undefined) throw referenceNotImage(entry, '');
      references.set(entry.reference, { ...entry, image });
      for (const each of imagesOf(entry)) images.add(each);
    }
    if (entries.length === 0) images.add(imageOf(name, store));
  }
  return { images, references };
}

function entriesOf(name: string, views: Views): ReferenceEntry[] {
  const parsed = parsedOrUndefined(name);
  if (parsed === undefined) return [];
  const { byName } = views.references;
  if (parsed.tag !== undefined || parsed.digest !== undefined) {
    const entry = byName.get(canonicalReference(name));
    return entry === undefined ? [] : [entry];
  }
  const { domain, path } = parsed;
  return [...byName.values()].filter(({ reference }) => {
    const other = parseReference(reference);
    return other.domain === domain && other.path === path;
  });
}

function imageOf(name: string, store: Pick<EventStore, 'search'>): ImageId {
  try {
    return store.search(name);
  } catch (error) {
    if (!isStoreError(error, 'IMAGE_NOT_FOUND')) throw error;
    throw new StoreError(
      'IMAGE_NOT_FOUND',
      `no image ${JSON.stringify(name)}: it is not a reference and begins no image id`,
      {
        cause: error,
        data: { name },
      },
    );
  }
}

function parsedOrUndefined(name: string): ReturnType<typeof parseReference> | undefined {
  try {
    return parseReference(name);
  } catch (error) {
    if (isStoreError(error, 'REFERENCE_INVALID')) return undefined;
    throw error;
  }
}

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
  const { format = 'docker', onProgress, signal } = options;
  if (format !== 'docker' && format !== 'oci') throw new RangeError(`format must be docker or oci: ${String(format)}`);
  throwIfAborted(signal);
  const { views, blobs, log } = context;
  const { images, references } = namedImages(names, new StoreReader(context), views);
  const saved: SavedArchive = {
    images: [...images].map((id) => savedImage(id, context)),
    references: [...references.values()],
    artifacts: [],
    artifact: () => undefined,
    referrers: () => [],
    content: (digest) => log.content(digest),
    hasBlob: (digest) => views.blobs.byDigest.has(digest),
    openBlob: (digest) => blobs.read(digest, nextBuffer),
  };
  let size = 0;
  const onBytes = onProgress === undefined ? undefined : (bytes: number) => onProgress(bytes, size);
  const written = writeArchive(saved, { format, onBytes, signal });
  size = written.size;
  return { ...written, unpin: pin(blobsOf(saved.images), context) };
}

function savedImage(id: ImageId, context: StoreContext): SavedImage {
  const { views } = context;
  const image = new StoreReader(context).get(id);
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
