import type { ImageId } from './digest.js';
import { type Details, identifiedImage, type Image, type V1Image, withParent } from './image.js';
import type { ContainerConfig } from './container-config.js';
import type { History } from './history.js';
import type { Int64 } from './go-json/codecs.js';
import type { Platform } from './platform.js';
import type { RootFS } from './rootfs.js';
import type { Timestamp } from './timestamp.js';

/**
 * An image config in a store, decoded once, on demand. Shared by all images returned for an id:
 * everything it returns is immutable.
 */
export class StoredConfig {
  readonly #bytes: Uint8Array;
  #image: Image | undefined;

  /** Keeps `bytes`, which must not change. */
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** Bytes of the config. */
  get size(): number {
    return this.#bytes.length;
  }

  /** Returns a copy. */
  bytes(): Uint8Array {
    return new Uint8Array(this.#bytes);
  }

  /**
   * Returns the image with this id and the parent known to the store. It is frozen, except for the
   * shared bytes of `marshalJSON` and `rawJSON`.
   * @throws {StoreError} CONFIG_INVALID when the bytes are no image config
   */
  image(id: ImageId, parent: ImageId | undefined): Image {
    // The parent in the past may differ.
    if (this.#image === undefined) this.#image = frozen(identifiedImage(this.#bytes, id, parent));
    else if (this.#image.parent !== (parent ?? '')) this.#image = Object.freeze(withParent(this.#image, parent));
    return this.#image;
  }
}

function frozen(image: Image): Image {
  const { containerConfig, config, history, osFeatures, rootFS } = image;
  for (const part of [containerConfig, config, history, osFeatures, rootFS, rootFS.diffIds]) freezeWhole(part);
  return Object.freeze(image);
}

function freezeWhole(value: unknown): void {
  if (typeof value !== 'object' || value === null || Object.isFrozen(value)) return;
  Object.freeze(value);
  for (const part of Object.values(value)) freezeWhole(part);
}

/** What a store knows of an image beside its config. */
export interface StoredIdentity {
  readonly id: ImageId;
  /** As known to the store, which may differ from the config. Always the same. */
  readonly parent: ImageId | undefined;
  /** Called once, on first access. */
  readonly details: (() => Details) | undefined;
}

/**
 * Returns the image of a store with this id and config. Bytes it returns are owned by the caller.
 *
 * The config is decoded on first access to a field, as that takes longer than reading and checking
 * it. The store decoded it once before accepting it, so this fails with CONFIG_INVALID only for
 * bytes that never were an image.
 */
export function storedImage(config: StoredConfig, identity: StoredIdentity): Image {
  return new StoredImage(config, identity);
}

class StoredImage implements Image {
  readonly #config: StoredConfig;
  readonly #identity: StoredIdentity;
  #decoded: Image | undefined;
  #raw: Uint8Array | undefined;
  #marshalled: Uint8Array | undefined;
  #details: Details | undefined;

  constructor(config: StoredConfig, identity: StoredIdentity) {
    this.#config = config;
    this.#identity = identity;
  }

  get parent(): ImageId | '' {
    return this.#identity.parent ?? '';
  }

  get details(): Details | undefined {
    this.#details ??= this.#identity.details?.();
    return this.#details;
  }

  id(): ImageId {
    return this.#identity.id;
  }

  imageID(): string {
    return this.#identity.id;
  }

  rawJSON(): Uint8Array {
    this.#raw ??= this.#config.bytes();
    return this.#raw;
  }

  get comment(): string {
    return this.#image.comment;
  }

  get created(): Timestamp | undefined {
    return this.#image.created;
  }

  get container(): string {
    return this.#image.container;
  }

  get containerConfig(): ContainerConfig {
    return this.#image.containerConfig;
  }

  get dockerVersion(): string {
    return this.#image.dockerVersion;
  }

  get author(): string {
    return this.#image.author;
  }

  get config(): ContainerConfig | undefined {
    return this.#image.config;
  }

  get architecture(): string {
    return this.#image.architecture;
  }

  get variant(): string {
    return this.#image.variant;
  }

  get os(): string {
    return this.#image.os;
  }

  get size(): Int64 {
    return this.#image.size;
  }

  get rootFS(): RootFS {
    return this.#image.rootFS;
  }

  get history(): readonly History[] {
    return this.#image.history;
  }

  get osVersion(): string {
    return this.#image.osVersion;
  }

  get osFeatures(): readonly string[] {
    return this.#image.osFeatures;
  }

  marshalJSON(): Uint8Array {
    this.#marshalled ??= new Uint8Array(this.#image.marshalJSON());
    return this.#marshalled;
  }

  runConfig(): ContainerConfig | undefined {
    return this.#image.runConfig();
  }

  baseImgArch(host?: string): string {
    return this.#image.baseImgArch(host);
  }

  baseImgVariant(): string {
    return this.#image.baseImgVariant();
  }

  operatingSystem(host?: string): string {
    return this.#image.operatingSystem(host);
  }

  platform(): Platform {
    return this.#image.platform();
  }

  v1Image(): V1Image {
    return this.#image.v1Image();
  }

  /** Shows the config in a debugger or console, not an empty object. */
  [Symbol.for('nodejs.util.inspect.custom')](): unknown {
    return this.#image;
  }

  get #image(): Image {
    this.#decoded ??= this.#config.image(this.#identity.id, this.#identity.parent);
    return this.#decoded;
  }
}
