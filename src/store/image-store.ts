import { headsOf } from '../../projections/heads.js';
import type { Views } from '../../projections/views.js';
import { StoreError } from '../errors.js';
import type { Details } from '../model/details.js';
import { digestOf, type ImageId, type Sha256 } from '../model/digest.js';
import { type Image, newFromJSON } from '../model/image.js';
import { storedImage } from '../model/stored-image.js';
import { mustBeString } from './argument-types.js';
import type { CommandPort } from './write/command.js';
import { chainOf, decideCreate, type ImagePolicy, type NewImage } from './decide/create.js';
import type { Decide } from './decide/decision.js';
import { decideDelete } from './decide/delete.js';
import { BUILT_LOCALLY_KEY, decideSetMetadata, LAST_UPDATED_KEY } from './decide/metadata.js';
import { imageNotFound } from './decide/need.js';
import { decideSetParent, noParent } from './decide/parent.js';
import { originOf } from './write/envelope.js';
import type { HeldLayers } from './layers/held-layers.js';
import type { LayerHolds } from './layers/layer-holds.js';
import { LazyImageMap } from './lazy-image-map.js';
import type { LayerMetadata, Store, WriteOptions } from './store.js';

/** What an image store stands on: views to read, a port for commands, and where the bytes are. */
export interface ImageStoreParts {
  readonly views: Views;
  readonly port: CommandPort;
  /** Reads the bytes of a config that the views know. */
  readonly readConfig: (id: ImageId) => Uint8Array;
  readonly readMetadata: (id: ImageId, key: string) => Uint8Array | undefined;
  /** What the store knows of an image beside its config; absent where nothing more is known. */
  readonly details?: ((id: ImageId) => Details) | undefined;
  /** Whether a config can be read after its image is deleted, so that a map may read it late. */
  readonly configsOutliveImages: boolean;
  readonly policy: ImagePolicy;
  /** The holds on layers kept elsewhere; undefined when layers are part of the views, or not kept at all. */
  readonly heldLayers: HeldLayers | undefined;
  /** The holds on the store's own layers, to be told which go; absent where layers are not part of the views. */
  readonly holds?: LayerHolds | undefined;
  readonly actor: string;
  readonly now: () => number;
  readonly hash: Sha256;
}

/**
 * The image store over any views and command port: the event store and a store over a
 * filesystem differ only in the parts they pass.
 */
export class ImageStore implements Store {
  readonly #parts: ImageStoreParts;

  constructor(parts: ImageStoreParts) {
    this.#parts = parts;
  }

  async create(config: Uint8Array, options: WriteOptions = {}): Promise<ImageId> {
    const { views, policy, heldLayers, hash } = this.#parts;
    if (!(config instanceof Uint8Array)) throw new TypeError('config must be a Uint8Array');
    // The caller may reuse its buffer while the command waits.
    const bytes = new Uint8Array(config);
    const incoming: NewImage = { id: digestOf(bytes, hash) as ImageId, config: bytes, image: newFromJSON(bytes) };
    const decide = decideCreate(incoming, policy);
    const chainId = chainOf(incoming.image);
    if (heldLayers === undefined || chainId === undefined) return (await this.#submit(decide, options)).id;
    const { id } = incoming;
    const hasImage = (image: ImageId): boolean => views.images.byId.has(image);
    await heldLayers.around([{ id, chainId }], hasImage, (holding) => this.#submit(holding(decide), options));
    return id;
  }

  get(id: ImageId): Image {
    mustBeString('id', id);
    if (!this.#parts.views.images.byId.has(id)) throw imageNotFound(id);
    return this.#read(id);
  }

  async delete(id: ImageId, options: WriteOptions = {}): Promise<readonly LayerMetadata[]> {
    mustBeString('id', id);
    const origin = originOf(options, this.#parts.actor);
    const removal = this.#parts.holds?.removal();
    const removed = await this.#parts.port.submit({ decide: decideDelete(id), origin, ...removal });
    return this.#parts.heldLayers === undefined ? removed : this.#parts.heldLayers.release(id);
  }

  search(partial: string): ImageId {
    mustBeString('partial', partial);
    return this.#parts.views.search.find(partial);
  }

  async setParent(id: ImageId, parent: ImageId, options: WriteOptions = {}): Promise<void> {
    mustBeString('id', id);
    mustBeString('parent', parent);
    await this.#submit(decideSetParent(id, parent), options);
  }

  getParent(id: ImageId): ImageId {
    const { views } = this.#parts;
    const parent = views.children.parent(id);
    if (parent !== undefined) return parent;
    throw views.images.byId.has(id) ? noParent(id) : imageNotFound(id);
  }

  async setLastUpdated(id: ImageId, options: WriteOptions = {}): Promise<void> {
    const time = new TextEncoder().encode(new Date(this.#parts.now()).toISOString());
    await this.#submit(decideSetMetadata(id, LAST_UPDATED_KEY, time), options);
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

  async setBuiltLocally(id: ImageId, options: WriteOptions = {}): Promise<void> {
    await this.#submit(decideSetMetadata(id, BUILT_LOCALLY_KEY, Uint8Array.of(1)), options);
  }

  isBuiltLocally(id: ImageId): boolean {
    return this.#metadata(id, BUILT_LOCALLY_KEY)?.[0] === 1;
  }

  children(id: ImageId): ImageId[] {
    return this.#parts.views.children.children(id).sort();
  }

  map(): ReadonlyMap<ImageId, Image> {
    return this.#imagesOf([...this.#parts.views.images.byId.keys()]);
  }

  heads(): ReadonlyMap<ImageId, Image> {
    return this.#imagesOf(headsOf(this.#parts.views.children));
  }

  len(): number {
    return this.#parts.views.images.byId.size;
  }

  #submit<Result>(decide: Decide<Result>, options: WriteOptions): Promise<Result> {
    return this.#parts.port.submit({ decide, origin: originOf(options, this.#parts.actor) });
  }

  #read(id: ImageId): Image {
    const { views, readConfig, details } = this.#parts;
    const parent = views.children.parent(id);
    return storedImage(readConfig(id), { id, parent, details: details && (() => details(id)) });
  }

  #imagesOf(ids: ImageId[]): ReadonlyMap<ImageId, Image> {
    if (this.#parts.configsOutliveImages) return new LazyImageMap(ids, (id) => this.#read(id));
    return new Map(ids.map((id) => [id, this.#read(id)]));
  }

  // As Docker answers: an image that is not there was never updated and not built here.
  #metadata(id: ImageId, key: string): Uint8Array | undefined {
    return this.#parts.views.images.byId.has(id) ? this.#parts.readMetadata(id, key) : undefined;
  }
}
