import { StoreError } from '../errors.js';
import { type Digest, type ImageId, isDigest } from '../model/digest.js';
import {
  checkMetadataKey,
  decideClearMetadata,
  decideClearParent,
  decideSetMetadata,
  PARENT_KEY,
} from './commands/metadata.js';
import { imageNotFound, refuseErased } from './commands/decision.js';
import type { StoreContext } from './context.js';
import { findMetadata, ImageStore } from './images.js';
import type { DigestWalkFunc, StoreBackend } from './store.js';

/**
 * The raw side of an event store: configs and metadata as Docker's StoreBackend has them. Unlike a
 * filesystem it refuses what is no image config, and the metadata `parent` is the image's parent.
 */
export class LogBackend implements StoreBackend {
  readonly #context: StoreContext;
  readonly #images: ImageStore;

  constructor(context: StoreContext) {
    this.#context = context;
    this.#images = new ImageStore(context);
  }

  walk(visit: DigestWalkFunc): void {
    this.#context.checkOpen();
    for (const id of [...this.#context.views.images.ids()].sort()) visit(id);
  }

  get(digest: Digest): Uint8Array {
    const { views } = this.#context;
    this.#context.checkOpen();
    if (views.images.has(digest as ImageId)) return this.#context.readConfig(digest as ImageId).bytes();
    refuseErased(views.erasures, digest);
    throw imageNotFound(digest);
  }

  set(data: Uint8Array): Promise<Digest> {
    return this.#images.create(data);
  }

  async delete(digest: Digest): Promise<void> {
    await this.#images.delete(digest as ImageId);
  }

  async setMetadata(digest: Digest, key: string, value: Uint8Array): Promise<void> {
    const id = digest as ImageId;
    if (key === PARENT_KEY) await this.#images.setParent(id, parentIn(value, id));
    else await this.#context.submit(decideSetMetadata(id, key, value));
  }

  getMetadata(digest: Digest, key: string): Uint8Array {
    return this.#images.getMetadata(digest as ImageId, key);
  }

  // As in a filesystem, what is not there is deleted already.
  async deleteMetadata(digest: Digest, key: string): Promise<void> {
    this.#context.checkOpen();
    const id = digest as ImageId;
    checkMetadataKey(key);
    if (findMetadata(this.#context.views, id, key) === undefined) return;
    await this.#context.submit(key === PARENT_KEY ? decideClearParent(id) : decideClearMetadata(id, key));
  }
}

function parentIn(value: Uint8Array, id: ImageId): ImageId {
  const parent = new TextDecoder().decode(value);
  if (isDigest(parent)) return parent as ImageId;
  throw new StoreError('METADATA_INVALID', `the metadata parent of ${id} must be an image id`, {
    data: { image: id, parent: parent.slice(0, 100) },
  });
}
