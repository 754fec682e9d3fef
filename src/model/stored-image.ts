import type { ImageId } from './digest.js';
import { type Details, identifiedImage, type Image, type V1Image, withParent } from './image.js';
import type { ContainerConfig } from './container-config.js';
import type { History } from './history.js';
import type { Int64 } from './go-json/codecs.js';
import type { Platform } from './platform.js';
import type { RootFS } from './rootfs.js';
import type { Timestamp } from './timestamp.js';

/**
 * The config of an image in a store: its bytes, and what they say, decoded when somebody asks and then kept. Several images may
 * stand on it, those of all who asked for one id: nothing that it gives can be changed.
 */
export class StoredConfig {
  readonly #bytes: Uint8Array;
  #image: Image | undefined;

  /** Keeps `bytes`, which must not be changed. */
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** Bytes of the config. */
  get size(): number {
    return this.#bytes.length;
  }

  /** Returns the bytes, a copy. */
  bytes(): Uint8Array {
    return new Uint8Array(this.#bytes);
  }

  /**
   * Returns the image called `id` that the config says, with the parent that the store knows. What it answers with is frozen, but for
   * the bytes of `marshalJSON`, and of `rawJSON`: those are shared.
   * @throws {StoreError} CONFIG_INVALID when the bytes were never an image
   */
  image(id: ImageId, parent: ImageId | undefined): Image {
    // Its parent in the past may be another than now.
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

/** What a store knows of an image beside the bytes of its config. */
interface StoredIdentity {
  readonly id: ImageId;
  /** Absent when the store knows none, whatever the config claims. */
  readonly parent: ImageId | undefined;
  /** Called when somebody asks for the details, once. */
  readonly details: (() => Details) | undefined;
}

/**
 * Returns the image that a store has under `id`, whose config is `config`. The bytes that it gives are the caller's own.
 *
 * The config is decoded when a field of it is asked for, which takes longer than to read and check it. The store
 * decoded it before it took it in, so that fails only for bytes that were never an image: then with CONFIG_INVALID.
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

  /** What a debugger or console shows: the config, and not the empty outside of the object. */
  [Symbol.for('nodejs.util.inspect.custom')](): unknown {
    return this.#image;
  }

  get #image(): Image {
    this.#decoded ??= this.#config.image(this.#identity.id, this.#identity.parent);
    return this.#decoded;
  }
}
