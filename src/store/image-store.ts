import { digestOf, type ImageId, type Sha256 } from '../model/digest.js';
import { newFromJSON } from '../model/image.js';
import { mustBeString } from './argument-types.js';
import type { CommandPort } from './write/command.js';
import { chainOf, decideCreate, type ImagePolicy, type NewImage } from './decide/create.js';
import type { Decide } from './decide/decision.js';
import { decideDelete } from './decide/delete.js';
import { BUILT_LOCALLY_KEY, decideSetMetadata, LAST_UPDATED_KEY } from './decide/metadata.js';
import { decideSetParent } from './decide/parent.js';
import { originOf } from './write/envelope.js';
import type { HeldLayers } from './layers/held-layers.js';
import type { LayerHolds } from './layers/layer-holds.js';
import { ImageReader, type ImageReaderParts } from './image-reader.js';
import type { LayerMetadata, Store, WriteOptions } from './store.js';

/** What an image store stands on: what reading it does, and a port for commands. */
export interface ImageStoreParts extends ImageReaderParts {
  readonly port: CommandPort;
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
export class ImageStore extends ImageReader implements Store {
  readonly #parts: ImageStoreParts;

  constructor(parts: ImageStoreParts) {
    super(parts);
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
