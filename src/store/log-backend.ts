import type { Views } from '../../projections/views.js';
import { StoreError } from '../errors.js';
import { type Digest, type ImageId, isDigest } from '../model/digest.js';
import type { StoredConfig } from '../model/stored-image.js';
import { type Decide, imageNotFound } from './commands/decision.js';
import {
  checkMetadataKey,
  decideClearMetadata,
  decideClearParent,
  decideSetMetadata,
  PARENT_KEY,
} from './commands/metadata.js';
import { refuseErased } from './commands/erase.js';
import { findMetadata, storedMetadata } from './images.js';
import type { DigestWalkFunc, Store, StoreBackend } from './event-store.js';

/** What the raw side of an event store is made of. */
interface LogBackendParts {
  readonly images: Store;
  readonly readConfig: (id: ImageId) => StoredConfig;
  readonly submit: (decide: Decide<void>) => Promise<void>;
  /** Throws STORE_CLOSED when the store is. */
  readonly checkOpen: () => void;
}

/**
 * The raw side of an event store: configs and metadata as Docker's StoreBackend has them. Unlike a
 * filesystem it refuses what is no image config, and the metadata `parent` is the image's parent.
 */
export class LogBackend implements StoreBackend {
  readonly #views: Views;
  readonly #parts: LogBackendParts;

  constructor(views: Views, parts: LogBackendParts) {
    this.#views = views;
    this.#parts = parts;
  }

  walk(visit: DigestWalkFunc): void {
    this.#parts.checkOpen();
    for (const id of [...this.#views.images.ids()].sort()) visit(id);
  }

  get(digest: Digest): Uint8Array {
    return this.#parts.readConfig(this.#known(digest)).bytes();
  }

  set(data: Uint8Array): Promise<Digest> {
    return this.#parts.images.create(data);
  }

  async delete(digest: Digest): Promise<void> {
    await this.#parts.images.delete(digest as ImageId);
  }

  async setMetadata(digest: Digest, key: string, value: Uint8Array): Promise<void> {
    const id = digest as ImageId;
    if (key === PARENT_KEY) await this.#parts.images.setParent(id, parentIn(value, id));
    else await this.#parts.submit(decideSetMetadata(id, key, value));
  }

  getMetadata(digest: Digest, key: string): Uint8Array {
    this.#parts.checkOpen();
    return storedMetadata(this.#views, digest as ImageId, key);
  }

  // As in a filesystem, what is not there is deleted already.
  async deleteMetadata(digest: Digest, key: string): Promise<void> {
    this.#parts.checkOpen();
    const id = digest as ImageId;
    checkMetadataKey(key);
    if (findMetadata(this.#views, id, key) === undefined) return;
    await this.#parts.submit(key === PARENT_KEY ? decideClearParent(id) : decideClearMetadata(id, key));
  }

  #known(digest: Digest): ImageId {
    this.#parts.checkOpen();
    if (this.#views.images.has(digest as ImageId)) return digest as ImageId;
    refuseErased(this.#views.erasures, digest);
    throw imageNotFound(digest);
  }
}

function parentIn(value: Uint8Array, id: ImageId): ImageId {
  const parent = new TextDecoder().decode(value);
  if (isDigest(parent)) return parent as ImageId;
  throw new StoreError('METADATA_INVALID', `the metadata parent of ${id} must be an image id`, {
    data: { image: id, parent: parent.slice(0, 100) },
  });
}
