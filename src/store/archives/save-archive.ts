import type { FileHandle } from 'node:fs/promises';
import { Readable, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { ArtifactEntry } from '../../../projections/artifacts.js';
import { findDigest, type FoundDigest } from '../../../projections/find-digest.js';
import { parentOf } from '../../../projections/images.js';
import { imagesOf, type ReferenceEntry } from '../../../projections/references.js';
import type { Views } from '../../../projections/views.js';
import { OCI_CONFIG } from '../../archive/documents.js';
import { planDocuments, writeArchive, type WrittenArchive } from '../../archive/write-archive.js';
import type {
  SavedArchive,
  SavedArtifact,
  SavedImage,
  SavedLayer,
  SavedReference,
  WrittenDocument,
} from '../../archive/saved-documents.js';
import { isStoreError, StoreError, throwIfAborted } from '../../errors.js';
import { type ChainId, type Descriptor, type Digest, type ImageId, isDigest } from '../../model/digest.js';
import { formatPlatform, isWanted, type Platform } from '../../model/platform.js';
import { canonicalReference, familiarReference, parseReference } from '../../model/reference.js';
import { mustBeString, platformsOf } from '../argument-types.js';
import type { StoreContext } from '../context.js';
import type { EventStore } from '../event-store.js';
import { type NextBuffer, twoBuffers, writeDurably } from '../files/write-durably.js';
import { StoreReader } from '../images.js';
import type { SavedContents, SavedContentsOptions, SavedTree, SaveOptions } from '../store.js';

/** Read-ahead: without it, reads and writes to a stream alternate. */
const READ_AHEAD_BYTES = 1024 * 1024;

/** What is saved from: a store, and the views of it now or in the past. */
interface SavedFrom {
  readonly context: StoreContext;
  readonly views: Views;
}

/** Returns the archive of the named images as a stream; their blobs stay pinned until it ends. */
export function saveArchive(names: readonly string[], options: SaveOptions, from: SavedFrom): Readable {
  const { chunks, unpin } = pinnedArchive(names, options, from);
  return Readable.from(chunks, { objectMode: false, highWaterMark: READ_AHEAD_BYTES }).once('close', unpin);
}

/** Writes the archive of the named images to `file`, durable on return. Returns its bytes. */
export async function saveArchiveTo(
  file: FileHandle,
  names: readonly string[],
  options: SaveOptions,
  context: StoreContext,
): Promise<number> {
  const { size, chunks, unpin } = pinnedArchive(names, options, { context, views: context.views }, twoBuffers());
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
  from: SavedFrom,
  nextBuffer?: NextBuffer,
): WrittenArchive & { readonly unpin: () => void } {
  const { format = 'docker', onNotice, onProgress, signal } = options;
  if (format !== 'docker' && format !== 'oci') throw new RangeError(`format must be docker or oci: ${String(format)}`);
  throwIfAborted(signal);
  const { context, views } = from;
  const saved = savedArchive(names, options, from, nextBuffer);
  let size = 0;
  const onBytes = onProgress === undefined ? undefined : (bytes: number) => onProgress(bytes, size);
  const written = writeArchive(saved, { format, onBytes, onNotice, signal });
  size = written.size;
  if (views !== context.views) for (const digest of written.blobs) checkKept(digest, context);
  return { ...written, unpin: pin(written.blobs, context) };
}

/** @throws {StoreError} BLOB_MISSING for a blob of the past that is gone */
function checkKept(digest: Digest, { blobs }: StoreContext): void {
  if (blobs.size(digest) !== undefined) return;
  throw new StoreError('BLOB_MISSING', `the blob ${digest} was removed since`, { data: { digest } });
}

/** Returns what `saveArchive` would write, to be read one by one; its blobs stay pinned. */
export function savedContents(
  names: readonly string[],
  { platform, onNotice }: SavedContentsOptions,
  context: StoreContext,
): SavedContents {
  const saved = savedArchive(names, { platform }, { context, views: context.views });
  const { roots, referrers } = planDocuments(saved, onNotice);
  const configs = new Map<Digest, Uint8Array>(saved.images.map(({ id, config }) => [id, config]));
  const toTree = memoized((document: WrittenDocument): SavedTree => {
    const { descriptor, bytes, blobs, parts, image } = document;
    const config = image && configs.get(image);
    const own = image === undefined || config === undefined ? [] : [configOf(image, config)];
    return { descriptor, bytes, blobs: [...own, ...blobs], parts: parts.map(toTree) };
  });
  const trees = { roots: roots.map(toTree), referrers: referrers.map(toTree) };
  const release = pin(blobsIn([...trees.roots, ...trees.referrers]), context);
  return { ...trees, open: (digest) => opened(configs.get(digest), digest, saved), release };
}

function configOf(image: ImageId, config: Uint8Array): Descriptor {
  return { digest: image, size: config.length, mediaType: OCI_CONFIG };
}

async function* opened(
  config: Uint8Array | undefined,
  digest: Digest,
  saved: SavedArchive,
): AsyncGenerator<Uint8Array> {
  if (config !== undefined) yield config;
  else yield* saved.openBlob(digest);
}

/** Indexes may share parts: each is converted once. */
function memoized<Key extends object, Value>(make: (key: Key) => Value): (key: Key) => Value {
  const known = new WeakMap<Key, { readonly value: Value }>();
  return (key) => {
    const value = known.get(key) ?? { value: make(key) };
    known.set(key, value);
    return value.value;
  };
}

function blobsIn(trees: readonly SavedTree[]): ReadonlySet<Digest> {
  const digests = new Set<Digest>();
  // A set is walked as it grows.
  const seen = new Set(trees);
  for (const { blobs, parts } of seen) {
    for (const { digest } of blobs) digests.add(digest);
    for (const part of parts) seen.add(part);
  }
  return digests;
}

function savedArchive(
  names: readonly string[],
  { platform }: Pick<SaveOptions, 'platform'>,
  { context, views }: SavedFrom,
  nextBuffer?: NextBuffer,
): SavedArchive {
  const { blobs, log } = context;
  const { images, references, artifacts } = selectForSave(names, platform, views, (id) =>
    new StoreReader(context, views).get(id).platform(),
  );
  const artifact = (digest: Digest): SavedArtifact | undefined => savedArtifact(views.artifacts.byDigest.get(digest));
  return {
    images: [...images].map((id) => savedImage(id, context, views)),
    references: [...references.values()],
    artifacts: [...artifacts.values()],
    artifact,
    referrers: (digest) => [...(views.artifacts.bySubject.get(digest) ?? [])].flatMap((each) => artifact(each) ?? []),
    content: (digest) => log.content(digest),
    hasBlob: (digest) => views.blobs.byDigest.has(digest),
    openBlob: (digest) => blobs.read(digest, nextBuffer),
  };
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

/** Images to save, the references to write with them, and artifacts that were named by digest. */
interface Selection {
  readonly images: Set<ImageId>;
  readonly references: Map<string, SavedReference>;
  readonly artifacts: Map<Digest, SavedArtifact>;
}

/**
 * Resolves `names` as Docker does: a full id, a reference, a repository without a tag (all its
 * tags), or the beginning of a digest of an image, manifest, index or artifact. Digests bring no
 * references.
 * @throws {StoreError} IMAGE_NOT_FOUND, ID_AMBIGUOUS, PLATFORM_NOT_FOUND
 */
function selectForSave(
  names: readonly string[],
  platform: SaveOptions['platform'],
  views: Views,
  platformOf: (image: ImageId) => Platform,
): Selection {
  if (!Array.isArray(names)) throw new TypeError('names must be a string or an array of strings');
  for (const name of names) mustBeString('each of names', name);
  if (names.length === 0) throw new RangeError('names must not be empty');
  const selection: Selection = { images: new Set(), references: new Map(), artifacts: new Map() };
  const wanted = platformsOf(platform);
  for (const name of names) {
    const entries = isDigest(name) ? [] : entriesOf(name, views);
    for (const entry of entries) addReference(selection, entry, wanted, platformOf);
    if (entries.length === 0) addDigest(selection, name, views);
  }
  return selection;
}

function addReference(
  { images, references }: Selection,
  entry: ReferenceEntry,
  wanted: readonly Platform[],
  platformOf: (image: ImageId) => Platform,
): void {
  references.set(entry.reference, entry);
  if (wanted.length === 0) {
    for (const image of imagesOf(entry)) images.add(image);
    return;
  }
  const all = entry.platforms ?? imagesOf(entry).map((image) => ({ image, ...platformOf(image) }));
  for (const platform of wanted) {
    if (all.length === 0 || all.some((each) => isWanted([platform], each))) continue;
    const found = all.map(formatPlatform);
    throw new StoreError(
      'PLATFORM_NOT_FOUND',
      `${entry.reference} has no image for ${formatPlatform(platform)}: found ${found.join(', ')}`,
      { data: { wanted: formatPlatform(platform), found } },
    );
  }
  for (const each of all) if (isWanted(wanted, each)) images.add(each.image);
}

function addDigest({ images, artifacts }: Selection, name: string, views: Views): void {
  const { kind, digest, image } = found(name, views);
  if (kind === 'image' || kind === 'manifest') {
    if (image !== undefined) images.add(image);
    return;
  }
  const entry = views.artifacts.byDigest.get(digest);
  const [reference] = views.references.byTarget.get(digest) ?? [];
  const named = reference === undefined ? undefined : views.references.byName.get(reference);
  const descriptor = entry?.artifact ?? named?.target;
  if (descriptor === undefined) return;
  artifacts.set(digest, { artifactType: '', contains: [], blobs: [], ...entry, descriptor });
  for (const each of named === undefined ? imagesIn(digest, views) : imagesOf(named)) images.add(each);
}

/** Returns the images whose manifests an index contains, or those below it. */
function imagesIn(index: Digest, { artifacts, manifests }: Views): ReadonlySet<ImageId> {
  const imageOf = new Map<Digest, ImageId>();
  for (const [image, entries] of manifests) for (const { manifest } of entries) imageOf.set(manifest.digest, image);
  const images = new Set<ImageId>();
  const seen = new Set([index]);
  for (const at of seen) {
    const image = imageOf.get(at);
    if (image !== undefined) images.add(image);
    for (const { digest } of artifacts.byDigest.get(at)?.contains ?? []) seen.add(digest);
  }
  return images;
}

function found(name: string, views: Views): FoundDigest {
  try {
    return findDigest(views, name);
  } catch (error) {
    if (!isStoreError(error, 'IMAGE_NOT_FOUND')) throw error;
    throw new StoreError(
      'IMAGE_NOT_FOUND',
      `no image ${JSON.stringify(name)}: it is not a reference and begins no image id`,
      { cause: error, data: { name } },
    );
  }
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

function parsedOrUndefined(name: string): ReturnType<typeof parseReference> | undefined {
  try {
    return parseReference(name);
  } catch (error) {
    if (isStoreError(error, 'REFERENCE_INVALID')) return undefined;
    throw error;
  }
}
