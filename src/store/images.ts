import { childrenOf, headsOf, parentOf, searchImage } from '../../projections/images.js';
import type { Page, Views } from '../../projections/views.js';
import { type Digest, digestOf, type ImageId } from '../model/digest.js';
import { mustBeString } from './argument-types.js';
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
import { type Decide, imageNotFound } from './commands/decision.js';
import { type Details, type Image, newFromJSON } from '../model/image.js';
import { parseTimestamp } from '../model/timestamp.js';
import type { ImageIds } from '../../projections/image-table.js';
import { MAX_KEPT_CONFIG_BYTES } from '../limits.js';
import { StoredConfig, storedImage } from '../model/stored-image.js';
import { StoreError } from '../errors.js';
import type { ImageReads } from './past/audit.js';
import { type CommandPort, originOf } from './writer.js';
import { chainOf, decideCreate, type ImagePolicy, type NewImage } from './commands/create.js';
import { decideDelete } from './commands/delete.js';
import type { HeldLayers, LayerHolds } from './layers/layer-store.js';
import type { LayerMetadata, Store, WriteOptions } from './event-store.js';

/**
 * Returns a copy of the value that an image has under `key`; the key `parent` is its parent, as in Docker's layout.
 * @throws {StoreError} IMAGE_NOT_FOUND, METADATA_NOT_FOUND, METADATA_INVALID
 */
export function storedMetadata(views: Views, id: ImageId, key: string): Uint8Array {
  mustBeString('key', key);
  if (!views.images.has(id)) throw imageNotFound(id);
  checkMetadataKey(key);
  const value = findMetadata(views, id, key);
  if (value === undefined) throw metadataNotFound(id, key);
  return new Uint8Array(value);
}

/** Returns the value that an image has under `key`, which is the view's own; undefined when it has none. */
export function findMetadata(views: Views, id: ImageId, key: string): Uint8Array | undefined {
  if (key !== PARENT_KEY) return views.metadata.get(id)?.get(key);
  const parent = parentOf(views.images, id);
  return parent === undefined ? undefined : new TextEncoder().encode(parent);
}

/** Name of what keeps the layers of an event store, as Docker names its graph drivers. */
const DRIVER = 'imagelog';

/** Returns what the views know of an image beside its config. Metadata values are given as text. */
export function imageDetails(views: Views, id: ImageId): Details {
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

/**
 * The images of some ids, in order; each is read when it is asked for. The ids are those of
 * the moment when the map was made.
 */
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

/**
 * Configs that were read and checked: who asks for one again gets it without the database, and decoded if it was. It has two halves;
 * when the newer is full, the older is forgotten, and what is asked for in the older passes to the newer. So
 * what was not asked for lately goes, and an answer moves nothing most of the time.
 *
 * It says nothing of whether an image is there, now or in the past: that is asked before.
 */
export class ConfigCache {
  readonly #maxHalfBytes: number;
  #newer = new Map<Digest, StoredConfig>();
  #older = new Map<Digest, StoredConfig>();
  #newerBytes = 0;

  constructor(maxBytes = MAX_KEPT_CONFIG_BYTES) {
    this.#maxHalfBytes = maxBytes / 2;
  }

  /** Returns the config called `id`, read by `read` when it is not here. @throws what `read` throws */
  get(id: Digest, read: () => Uint8Array): StoredConfig {
    const newer = this.#newer.get(id);
    if (newer !== undefined) return newer;
    const config = this.#older.get(id) ?? new StoredConfig(read());
    this.#keep(id, config);
    return config;
  }

  /** Forgets what events removed: the bytes of an image that is erased must leave the memory too. */
  forgetRemoved(page: Page): void {
    for (const event of page) {
      if (event.type === 'ImageDeleted') this.#forget(event.image);
      else if (event.type === 'ContentErased') this.#forget(event.digest);
    }
  }

  #keep(id: Digest, config: StoredConfig): void {
    if (config.size > this.#maxHalfBytes) return;
    if (this.#newerBytes + config.size > this.#maxHalfBytes) {
      this.#older = this.#newer;
      this.#newer = new Map();
      this.#newerBytes = 0;
    }
    this.#older.delete(id);
    this.#newer.set(id, config);
    this.#newerBytes += config.size;
  }

  #forget(id: Digest): void {
    this.#older.delete(id);
    this.#newerBytes -= this.#newer.get(id)?.size ?? 0;
    this.#newer.delete(id);
  }
}

/** What the reading of images stands on: views, and where the bytes are. */
interface ImageReaderParts {
  readonly views: Views;
  /** Reads a config that the views know. */
  readonly readConfig: (id: ImageId) => StoredConfig;
  readonly readMetadata: (id: ImageId, key: string) => Uint8Array | undefined;
  /** What the store knows of an image beside its config; absent where nothing more is known. */
  readonly details?: ((id: ImageId) => Details) | undefined;
  /** Whether a config can be read after its image is deleted, so that a map may read it late. */
  readonly configsOutliveImages: boolean;
}

/** The reading half of an image store, of the present and of the past: they differ only in the views they pass. */
export class ImageReader implements ImageReads {
  readonly #parts: ImageReaderParts;

  constructor(parts: ImageReaderParts) {
    this.#parts = parts;
  }

  get(id: ImageId): Image {
    mustBeString('id', id);
    if (!this.#parts.views.images.has(id)) throw imageNotFound(id);
    return this.#read(id);
  }

  search(partial: string): ImageId {
    mustBeString('partial', partial);
    return searchImage(this.#parts.views.images, partial);
  }

  getParent(id: ImageId): ImageId {
    mustBeString('id', id);
    const { views } = this.#parts;
    const parent = parentOf(views.images, id);
    if (parent !== undefined) return parent;
    throw views.images.has(id) ? noParent(id) : imageNotFound(id);
  }

  getLastUpdated(id: ImageId): Date | undefined {
    const value = this.#metadata(id, LAST_UPDATED_KEY);
    if (value === undefined) return undefined;
    const text = new TextDecoder().decode(value);
    const time = new Date(text);
    if (!Number.isNaN(time.getTime())) return time;
    throw new StoreError(
      'CONTENT_CORRUPT',
      `the image ${id} was last updated at ${JSON.stringify(text)}, which is no time`,
      {
        data: { image: id, value: text },
      },
    );
  }

  isBuiltLocally(id: ImageId): boolean {
    return this.#metadata(id, BUILT_LOCALLY_KEY)?.[0] === 1;
  }

  children(id: ImageId): ImageId[] {
    mustBeString('id', id);
    return childrenOf(this.#parts.views.images, id);
  }

  map(): ReadonlyMap<ImageId, Image> {
    return this.#imagesOf(this.#parts.views.images.ids());
  }

  heads(): ReadonlyMap<ImageId, Image> {
    return this.#imagesOf(headsOf(this.#parts.views.images));
  }

  len(): number {
    return this.#parts.views.images.size;
  }

  #read(id: ImageId): Image {
    const { views, readConfig, details } = this.#parts;
    const parent = parentOf(views.images, id);
    return storedImage(readConfig(id), { id, parent, details: details && (() => details(id)) });
  }

  #imagesOf(ids: ImageIds): ReadonlyMap<ImageId, Image> {
    const images = new LazyImageMap(ids, (id) => this.#read(id));
    return this.#parts.configsOutliveImages ? images : new Map(images);
  }

  // As Docker answers: an image that is not there was never updated and not built here.
  #metadata(id: ImageId, key: string): Uint8Array | undefined {
    mustBeString('id', id);
    return this.#parts.views.images.has(id) ? this.#parts.readMetadata(id, key) : undefined;
  }
}

/** What an image store stands on: what reading it does, and a port for commands. */
interface ImageStoreParts extends ImageReaderParts {
  readonly port: CommandPort;
  readonly policy: ImagePolicy;
  /** The holds on layers kept elsewhere; undefined when layers are part of the views, or not kept at all. */
  readonly heldLayers: HeldLayers | undefined;
  /** The holds on the store's own layers, to be told which go; absent where layers are not part of the views. */
  readonly holds?: LayerHolds | undefined;
  readonly actor: string;
  readonly now: () => number;
}

/**
 * The image store over any views and command port: the event store and a store over a
 * filesystem differ only in the parts they pass.
 */
export class ImageStore extends ImageReader implements Store {
  readonly #parts: ImageStoreParts;

  constructor(parts: ImageStoreParts) {
    super(parts);
    this.#parts = parts;
  }

  async create(config: Uint8Array, options: WriteOptions = {}): Promise<ImageId> {
    const { views, policy, heldLayers } = this.#parts;
    if (!(config instanceof Uint8Array)) throw new TypeError('config must be a Uint8Array');
    // The caller may reuse its buffer while the command waits.
    const bytes = new Uint8Array(config);
    const incoming: NewImage = { id: digestOf(bytes) as ImageId, config: bytes, image: newFromJSON(bytes) };
    const decide = decideCreate(incoming, policy);
    const chainId = chainOf(incoming.image);
    if (heldLayers === undefined || chainId === undefined) return (await this.#submit(decide, options)).id;
    const { id } = incoming;
    const hasImage = (image: ImageId): boolean => views.images.has(image);
    await heldLayers.around([{ id, chainId }], hasImage, (holding) => this.#submit(holding(decide), options));
    return id;
  }

  async delete(id: ImageId, options: WriteOptions = {}): Promise<readonly LayerMetadata[]> {
    mustBeString('id', id);
    const origin = originOf(options, this.#parts.actor);
    const removal = this.#parts.holds?.removal();
    const removed = await this.#parts.port.submit({ decide: decideDelete(id), origin, ...removal });
    return this.#parts.heldLayers === undefined ? removed : this.#parts.heldLayers.release(id);
  }

  async setParent(id: ImageId, parent: ImageId, options: WriteOptions = {}): Promise<void> {
    mustBeString('id', id);
    mustBeString('parent', parent);
    await this.#submit(decideSetParent(id, parent), options);
  }

  async setLastUpdated(id: ImageId, options: WriteOptions = {}): Promise<void> {
    const time = new TextEncoder().encode(new Date(this.#parts.now()).toISOString());
    await this.#submit(decideSetMetadata(id, LAST_UPDATED_KEY, time), options);
  }

  async setBuiltLocally(id: ImageId, options: WriteOptions = {}): Promise<void> {
    await this.#submit(decideSetMetadata(id, BUILT_LOCALLY_KEY, Uint8Array.of(1)), options);
  }

  #submit<Result>(decide: Decide<Result>, options: WriteOptions): Promise<Result> {
    return this.#parts.port.submit({ decide, origin: originOf(options, this.#parts.actor) });
  }
}
