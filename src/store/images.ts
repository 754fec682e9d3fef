import { type DigestRows, NO_ROW } from '../../projections/digest-index.js';
import { findByDigest, searchDigest } from '../../projections/find-digest.js';
import { childrenOf, headsOf, parentOf } from '../../projections/images.js';
import type { ImageIds } from '../../projections/image-table.js';
import type { Erasure } from '../../projections/content.js';
import type { Views } from '../../projections/views.js';
import type { ManifestEntry } from '../../projections/content.js';
import { StoreError } from '../errors.js';
import { type Digest, digestOf, type ImageId } from '../model/digest.js';
import { type Details, type Image, newFromJSON } from '../model/image.js';
import { formatPlatform, parsePlatform, type Platform, platformMatches } from '../model/platform.js';
import { canonicalReference } from '../model/reference.js';
import { type StoredConfig, type StoredIdentity, storedImage } from '../model/stored-image.js';
import { type Instant, parseTimestamp } from '../model/timestamp.js';
import { mustBeOptions, mustBeString } from './argument-types.js';
import { chainOf, decideCreate, decideDelete, type ImagePolicy } from './commands/images.js';
import { type Decide, imageNotFound } from './commands/decision.js';
import {
  BUILT_LOCALLY_KEY,
  checkMetadataKey,
  decideSetMetadata,
  decideSetParent,
  LAST_UPDATED_KEY,
  metadataNotFound,
  noParent,
  PARENT_KEY,
} from './commands/metadata.js';
import { referenceNotImage } from './commands/artifacts.js';
import { referenceNotFound } from './commands/tag.js';
import type { HeldLayers, LayerHolds } from './layers/layer-store.js';
import {
  type ImageReads,
  type LayerMetadata,
  type ReferenceEntry,
  type ResolveOptions,
  resolveOptionNames,
  type Store,
  type WriteOptions,
  writeOptionNames,
} from './store.js';
import { originOf, type Writer } from './writer.js';

/** What a store knows of an image without reading its config. */
export interface ListedImage {
  readonly id: ImageId;
  /** From the config, to the nanosecond; absent without one, for Go's zero time, and when erased. */
  readonly created?: Instant | undefined;
  /** Bytes of all layers; absent if the store does not keep them, and when the config is erased. */
  readonly size?: number | undefined;
}

/** The context of an image store: an event store, or a backend without log, references, layers. */
interface ImageContext {
  readonly views: Views;
  readonly writer: Pick<Writer, 'submit'>;
  readonly policy: ImagePolicy;
  /** The holds on layers kept elsewhere; undefined if layers are in the views or not kept. */
  readonly heldLayers: HeldLayers | undefined;
  /** The holds on the store's own layers; told which are removed. */
  readonly holds?: LayerHolds | undefined;
  readonly actor: string;
  readonly now: () => number;
  /** Reads metadata the views lack. Configs vanish with their images, so maps read eagerly. */
  readonly backendMetadata?: ((id: ImageId, key: string) => Uint8Array | undefined) | undefined;
  /** @throws {StoreError} STORE_CLOSED */
  checkOpen(): void;
  /** Reads a config known to the views. */
  readConfig(id: ImageId): StoredConfig;
}

/** All reads of images and references, present and past: only the views differ. */
export class StoreReader implements ImageReads {
  readonly #context: ImageContext;
  readonly #allViews: Views;

  constructor(context: ImageContext, views: Views = context.views) {
    this.#context = context;
    this.#allViews = views;
  }

  get(id: ImageId): Image {
    const { images } = this.#views;
    mustBeString('id', id);
    const row = images.index.find(id);
    if (row === NO_ROW) throw imageNotFound(id);
    return this.#read(id, row);
  }

  search(partial: string): ImageId {
    const views = this.#views;
    mustBeString('partial', partial);
    return searchDigest(views, partial);
  }

  getParent(id: ImageId): ImageId {
    const { images } = this.#views;
    mustBeString('id', id);
    const parent = parentOf(images, id);
    if (parent !== undefined) return parent;
    throw images.has(id) ? noParent(id) : imageNotFound(id);
  }

  getLastUpdated(id: ImageId): Date | undefined {
    const value = this.#metadata(id, LAST_UPDATED_KEY);
    if (value === undefined) return undefined;
    const text = new TextDecoder().decode(value);
    const time = new Date(text);
    if (!Number.isNaN(time.getTime())) return time;
    throw new StoreError(
      'CONTENT_CORRUPT',
      `the image ${id} was last updated at ${JSON.stringify(text)}, which is not a time`,
      { data: { image: id, value: text } },
    );
  }

  isBuiltLocally(id: ImageId): boolean {
    return this.#metadata(id, BUILT_LOCALLY_KEY)?.[0] === 1;
  }

  children(id: ImageId): ImageId[] {
    const { images } = this.#views;
    mustBeString('id', id);
    return childrenOf(images, id);
  }

  map(): ReadonlyMap<ImageId, Image> {
    return this.#imagesOf(this.#views.images.ids());
  }

  heads(): ReadonlyMap<ImageId, Image> {
    return this.#imagesOf(headsOf(this.#views.images));
  }

  len(): number {
    return this.#views.images.size;
  }

  imageEntries(): ListedImage[] {
    const { images, layers } = this.#views;
    const { erasures } = this.#context.views;
    const entries: ListedImage[] = [];
    for (const [id, { chainId, created }] of images) {
      const size = chainId === undefined ? 0 : layers.byChain.get(chainId)?.size;
      entries.push(erasures.has(id) ? { id } : { id, created, size });
    }
    return entries;
  }

  manifests(id: ImageId): readonly ManifestEntry[] {
    const { manifests } = this.#views;
    mustBeString('id', id);
    return manifests.get(id) ?? [];
  }

  metadata(id: ImageId): ReadonlyMap<string, Uint8Array> {
    const { images, metadata } = this.#views;
    mustBeString('id', id);
    if (!images.has(id)) throw imageNotFound(id);
    const values = [...(metadata.get(id) ?? [])].sort(([one], [other]) => (one < other ? -1 : 1));
    return new Map(values.map(([key, value]) => [key, new Uint8Array(value)]));
  }

  /** Returns a copy of a value; the key `parent` is the image's parent, as in Docker's layout. */
  getMetadata(id: ImageId, key: string): Uint8Array {
    const views = this.#views;
    mustBeString('key', key);
    if (!views.images.has(id)) throw imageNotFound(id);
    checkMetadataKey(key);
    const value = findMetadata(views, id, key);
    if (value === undefined) throw metadataNotFound(id, key);
    return new Uint8Array(value);
  }

  resolve(reference: string, options: ResolveOptions = {}): ImageId {
    const { references } = this.#views;
    mustBeString('reference', reference);
    mustBeOptions(options, resolveOptionNames);
    const { platform } = options;
    const name = canonicalReference(reference);
    const entry = references.byName.get(name) ?? findByDigest(this.#allViews, name);
    if (entry === undefined) throw referenceNotFound(name);
    const { image, platforms } = entry;
    if (image === undefined) throw referenceNotImage(entry, artifactTypeOf(this.#allViews, entry));
    return chosenImage({ reference: name, image, platforms }, platform, (id) => this.get(id).platform());
  }

  references(id: ImageId): string[] {
    return [...(this.#views.references.byImage.get(id) ?? [])].sort();
  }

  referenceEntries(): ReferenceEntry[] {
    return [...this.#views.references.byName.values()].sort((a, b) => (a.reference < b.reference ? -1 : 1));
  }

  erasures(): ReadonlyMap<Digest, Erasure> {
    return new Map(this.#views.erasures);
  }

  get #views(): Views {
    this.#context.checkOpen();
    return this.#allViews;
  }

  /** `row` is that of the image in the view now, NO_ROW if it has gone. */
  #read(id: ImageId, row: number): Image {
    const config = this.#context.readConfig(id);
    // A caller's backend stores only configs and metadata.
    const hasDetails = this.#context.backendMetadata === undefined;
    return storedImage(config, new KnownIdentity(id, row, this.#allViews, hasDetails));
  }

  #imagesOf(ids: ImageIds): ReadonlyMap<ImageId, Image> {
    const images = new LazyImageMap(ids, (id) => this.#read(id, this.#allViews.images.index.find(id)));
    return this.#context.backendMetadata === undefined ? images : new Map(images);
  }

  // As in Docker, a missing image was never updated and not built locally.
  #metadata(id: ImageId, key: string): Uint8Array | undefined {
    const { images, metadata } = this.#views;
    mustBeString('id', id);
    if (!images.has(id)) return undefined;
    const { backendMetadata } = this.#context;
    return backendMetadata === undefined ? metadata.get(id)?.get(key) : backendMetadata(id, key);
  }
}

/** The image store over any context. */
export class ImageStore extends StoreReader implements Store {
  readonly #context: ImageContext;

  constructor(context: ImageContext) {
    super(context);
    this.#context = context;
  }

  async create(config: Uint8Array, options: WriteOptions = {}): Promise<ImageId> {
    const { views, policy, heldLayers } = this.#context;
    this.#context.checkOpen();
    mustBeOptions(options, writeOptionNames);
    if (!(config instanceof Uint8Array)) throw new TypeError('config must be a Uint8Array');
    // The caller may reuse its buffer while the command is queued.
    const bytes = new Uint8Array(config);
    const incoming = { id: digestOf(bytes) as ImageId, config: bytes, image: newFromJSON(bytes) };
    const decide = decideCreate(incoming, policy);
    const chainId = chainOf(incoming.image);
    if (heldLayers === undefined || chainId === undefined) return this.#submit(decide, options);
    const { id } = incoming;
    const hasImage = (image: ImageId): boolean => views.images.has(image);
    await heldLayers.around([{ id, chainId }], hasImage, (holding) => this.#submit(holding(decide), options));
    return id;
  }

  async delete(id: ImageId, options: Parameters<Store['delete']>[1] = {}): Promise<readonly LayerMetadata[]> {
    const { holds, heldLayers, writer, actor } = this.#context;
    this.#context.checkOpen();
    mustBeString('id', id);
    mustBeOptions(options, { ...writeOptionNames, onlyNames: true });
    const { onlyNames } = options;
    if (onlyNames !== undefined && !Array.isArray(onlyNames)) throw new TypeError('onlyNames must be a list');
    const origin = originOf(options, actor);
    const removed = await writer.submit({ decide: decideDelete(id, onlyNames), origin, ...holds?.removal() });
    return heldLayers === undefined ? removed : heldLayers.release(id);
  }

  async setParent(id: ImageId, parent: ImageId, options: WriteOptions = {}): Promise<void> {
    this.#context.checkOpen();
    mustBeString('id', id);
    mustBeString('parent', parent);
    mustBeOptions(options, writeOptionNames);
    await this.#submit(decideSetParent(id, parent), options);
  }

  async setLastUpdated(id: ImageId, options: WriteOptions = {}): Promise<void> {
    this.#context.checkOpen();
    mustBeOptions(options, writeOptionNames);
    const time = new TextEncoder().encode(new Date(this.#context.now()).toISOString());
    await this.#submit(decideSetMetadata(id, LAST_UPDATED_KEY, time), options);
  }

  async setBuiltLocally(id: ImageId, options: WriteOptions = {}): Promise<void> {
    this.#context.checkOpen();
    mustBeOptions(options, writeOptionNames);
    await this.#submit(decideSetMetadata(id, BUILT_LOCALLY_KEY, Uint8Array.of(1)), options);
  }

  #submit<Result>(decide: Decide<Result>, options: WriteOptions): Promise<Result> {
    return this.#context.writer.submit({ decide, origin: originOf(options, this.#context.actor) });
  }
}

/** Returns an image's value under `key`, owned by the view; undefined without one. */
export function findMetadata(views: Views, id: ImageId, key: string): Uint8Array | undefined {
  if (key !== PARENT_KEY) return views.metadata.get(id)?.get(key);
  const parent = parentOf(views.images, id);
  return parent === undefined ? undefined : new TextEncoder().encode(parent);
}

/** Name of the layer storage of an event store, in the place of Docker's graph drivers. */
const DRIVER = 'imagelog';

/** An image as the views knew it when it was read. */
class KnownIdentity implements StoredIdentity {
  readonly id: ImageId;
  readonly #views: Views;
  readonly #hasDetails: boolean;
  /** Rows keep their digest, so that the parent becomes a string only when it is asked for. */
  readonly #digests: DigestRows;
  readonly #parent: number;

  constructor(id: ImageId, row: number, views: Views, hasDetails: boolean) {
    const { digests, tree } = views.images;
    this.id = id;
    this.#views = views;
    this.#hasDetails = hasDetails;
    this.#digests = digests;
    this.#parent = row === NO_ROW ? NO_ROW : tree.parent(row);
  }

  get parent(): ImageId | undefined {
    return this.#parent === NO_ROW ? undefined : (this.#digests.digest(this.#parent) as ImageId);
  }

  get details(): (() => Details) | undefined {
    return this.#hasDetails ? () => imageDetails(this.#views, this.id) : undefined;
  }
}

/** Returns what the views know of an image besides its config; metadata values as text. */
function imageDetails(views: Views, id: ImageId): Details {
  const chainId = views.images.get(id)?.chainId;
  const values = [...(views.metadata.get(id) ?? [])];
  const metadata = Object.fromEntries(values.map(([key, value]) => [key, new TextDecoder().decode(value)]));
  const lastUpdated = metadata[LAST_UPDATED_KEY];
  return {
    references: [...(views.references.byImage.get(id) ?? [])].sort(),
    size: chainId === undefined ? 0 : (views.layers.byChain.get(chainId)?.size ?? 0),
    metadata,
    driver: DRIVER,
    ...(lastUpdated === undefined ? {} : { lastUpdated: parseTimestamp(lastUpdated) }),
  };
}

/** Images by id, in order, each read on access. The ids are fixed at creation. */
class LazyImageMap implements ReadonlyMap<ImageId, Image> {
  readonly #ids: ImageIds;
  readonly #read: (id: ImageId) => Image;

  constructor(ids: ImageIds, read: (id: ImageId) => Image) {
    this.#ids = ids;
    this.#read = read;
  }

  get size(): number {
    return this.#ids.size;
  }

  has(id: ImageId): boolean {
    return this.#ids.has(id);
  }

  get(id: ImageId): Image | undefined {
    return this.has(id) ? this.#read(id) : undefined;
  }

  keys(): MapIterator<ImageId> {
    return this.#ids[Symbol.iterator]();
  }

  *values(): MapIterator<Image> {
    for (const id of this.#ids) yield this.#read(id);
  }

  *entries(): MapIterator<[ImageId, Image]> {
    for (const id of this.#ids) yield [id, this.#read(id)];
  }

  [Symbol.iterator](): MapIterator<[ImageId, Image]> {
    return this.entries();
  }

  forEach(visit: (image: Image, id: ImageId, map: ReadonlyMap<ImageId, Image>) => void, thisArg?: unknown): void {
    for (const [id, image] of this) visit.call(thisArg, image, id, this);
  }
}

function artifactTypeOf({ artifacts }: Views, { target }: ReferenceEntry): string {
  return target === undefined ? '' : (artifacts.byDigest.get(target.digest)?.artifactType ?? '');
}

/**
 * Returns the image a reference has for `platform`, or its first if none is given.
 * @throws {StoreError} PLATFORM_NOT_FOUND, PLATFORM_INVALID
 */
export function chosenImage(
  entry: Pick<ReferenceEntry, 'reference' | 'platforms'> & { readonly image: ImageId },
  platform: Platform | string | undefined,
  platformOf: (id: ImageId) => Platform,
): ImageId {
  if (platform === undefined) return entry.image;
  const wanted = typeof platform === 'string' ? parsePlatform(platform) : platform;
  const candidates = entry.platforms ?? [{ ...platformOf(entry.image), image: entry.image }];
  const found = candidates.find((candidate) => platformMatches(wanted, candidate));
  if (found !== undefined) return found.image;
  const there = candidates.map(formatPlatform);
  throw new StoreError(
    'PLATFORM_NOT_FOUND',
    `${entry.reference} has no image for ${formatPlatform(wanted)}, only for ${there.join(', ')}`,
    { data: { reference: entry.reference, platform: formatPlatform(wanted), platforms: there } },
  );
}
