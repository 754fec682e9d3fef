import type { ContainerConfig } from './container-config.js';
import type { Details } from './details.js';
import { digestOf, type DiffId, type ImageId } from './digest.js';
import type { History } from './history.js';
import { hostArchitecture, hostOs } from './host.js';
import { decodeImageConfig, decodeIncomingConfig, type ImageConfig, imageConfigCodec } from './image-config.js';
import type { Int64 } from './json/scalar-codecs.js';
import type { Platform } from './platform.js';
import { fixedRootFS, type RootFS, TypeLayers } from './rootfs.js';
import type { Timestamp } from './timestamp.js';
import type { V1Image } from './v1-image.js';

/** An image: what its config says, and its id. It never changes; text that the config does not give is empty. */
export interface Image {
  /** The image it was built from. In an image that a store gives, the store's answer; before that, what the config claims, unchecked. */
  readonly parent: ImageId | '';
  readonly comment: string;
  readonly created?: Timestamp | undefined;
  /** Id of the container that the image was committed from. */
  readonly container: string;
  /** Settings of that container. */
  readonly containerConfig: ContainerConfig;
  readonly dockerVersion: string;
  readonly author: string;
  /** What containers of the image start with. */
  readonly config?: ContainerConfig | undefined;
  readonly architecture: string;
  readonly variant: string;
  readonly os: string;
  /** Bytes, as the config says; the store's own measure is in `details`. */
  readonly size: Int64;
  /** Refuses `append`: clone it first. */
  readonly rootFS: RootFS;
  /** From the first step to the last. */
  readonly history: readonly History[];
  readonly osVersion: string;
  readonly osFeatures: readonly string[];
  /** What a store adds. */
  readonly details?: Details | undefined;

  /** Returns the config as Docker marshals it, to the byte: known fields only, sorted, compact. Computed once; do not change it. */
  marshalJSON(): Uint8Array;
  /** Returns the bytes the image was read from, the same at each call; for an image that was not read from any, `marshalJSON()`. */
  rawJSON(): Uint8Array;
  /** Returns the id the image was given, else the digest of `rawJSON()`. */
  id(): ImageId;
  /** Returns `id()` as plain text. */
  imageID(): string;
  /** Returns `config`. */
  runConfig(): ContainerConfig | undefined;
  /** Returns the architecture; `host`, by default this machine's, when the config gives none. */
  baseImgArch(host?: string): string;
  /** Returns the variant, empty when the config gives none. */
  baseImgVariant(): string;
  /** Returns the operating system; `host`, by default this machine's, when the config gives none. */
  operatingSystem(host?: string): string;
  /** Returns the platform as the config says, without the host's. */
  platform(): Platform;
  /** Returns the fields that Docker had before images were content-addressed. */
  v1Image(): V1Image;
}

/** What an image is made of. */
interface Parts {
  readonly config: ImageConfig;
  readonly rootFS: RootFS;
  readonly id?: ImageId | undefined;
  readonly raw?: Uint8Array | undefined;
}

const encoder = new TextEncoder();

class ConfiguredImage implements Image {
  readonly #parts: Parts;
  #id: ImageId | undefined;
  #marshalled: Uint8Array | undefined;
  readonly details: undefined;
  readonly parent: ImageId | '';
  readonly comment: string;
  readonly created: Timestamp | undefined;
  readonly container: string;
  readonly containerConfig: ContainerConfig;
  readonly dockerVersion: string;
  readonly author: string;
  readonly config: ContainerConfig | undefined;
  readonly architecture: string;
  readonly variant: string;
  readonly os: string;
  readonly size: Int64;
  readonly rootFS: RootFS;
  readonly history: readonly History[];
  readonly osVersion: string;
  readonly osFeatures: readonly string[];

  constructor(parts: Parts) {
    const { config } = parts;
    this.#parts = parts;
    this.#id = parts.id;
    this.parent = config.parent as ImageId | '';
    this.comment = config.comment;
    this.created = config.created;
    this.container = config.container;
    this.containerConfig = config.containerConfig;
    this.dockerVersion = config.dockerVersion;
    this.author = config.author;
    this.config = config.config;
    this.architecture = config.architecture;
    this.variant = config.variant;
    this.os = config.os;
    this.size = config.size;
    this.rootFS = parts.rootFS;
    this.history = config.history ?? [];
    this.osVersion = config.osVersion;
    this.osFeatures = config.osFeatures ?? [];
  }

  marshalJSON(): Uint8Array {
    this.#marshalled ??= encoder.encode(imageConfigCodec.encode(this.#parts.config));
    return this.#marshalled;
  }

  rawJSON(): Uint8Array {
    return this.#parts.raw ?? this.marshalJSON();
  }

  id(): ImageId {
    this.#id ??= digestOf(this.rawJSON()) as ImageId;
    return this.#id;
  }

  imageID(): string {
    return this.id();
  }

  runConfig(): ContainerConfig | undefined {
    return this.config;
  }

  baseImgArch(host: string = hostArchitecture()): string {
    return this.architecture || host;
  }

  baseImgVariant(): string {
    return this.variant;
  }

  operatingSystem(host: string = hostOs()): string {
    return this.os || host;
  }

  platform(): Platform {
    return {
      os: this.os,
      architecture: this.architecture,
      ...(this.variant === '' ? {} : { variant: this.variant }),
      ...(this.osVersion === '' ? {} : { osVersion: this.osVersion }),
      ...(this.osFeatures.length === 0 ? {} : { osFeatures: this.osFeatures }),
    };
  }

  v1Image(): V1Image {
    const { rootfs, history, osVersion, osFeatures, ...v1Image } = this.#parts.config;
    // The image's own `parent` hides the one of the Go type, which a config cannot set.
    return { ...v1Image, parent: '' };
  }

  /** The same image with another parent. What was decoded is shared. */
  withParent(parent: ImageId | ''): Image {
    return new ConfiguredImage({ ...this.#parts, config: { ...this.#parts.config, parent } });
  }

  /** The same image called `id`, in its config too. */
  renamed(id: ImageId): Image {
    return new ConfiguredImage({ ...this.#parts, config: { ...this.#parts.config, id }, id });
  }
}

/**
 * Returns the image whose config is `bytes`, which are kept and must not be changed. Answers as the Go package's
 * NewFromJSON: unknown fields are passed over and diff ids are not checked. The caller bounds the size.
 * @throws {StoreError} CONFIG_INVALID when they are no JSON object, a field has the wrong type, or `rootfs` is missing; when
 *   they hold more values than MAX_CONFIG_VALUES, more build steps than MAX_HISTORY_ENTRIES, or a number longer than
 *   MAX_JSON_NUMBER_LENGTH
 */
export function newFromJSON(bytes: Uint8Array): Image {
  const config = decodeIncomingConfig(bytes);
  return new ConfiguredImage({ config, rootFS: rootFSOf(config), raw: bytes });
}

/**
 * Returns the image whose config is `bytes`, under another id and with a parent, or none, in place of what the config claims.
 * @throws {StoreError} CONFIG_INVALID as `newFromJSON` does
 */
export function identifiedImage(bytes: Uint8Array, id: ImageId, parent: ImageId | undefined): Image {
  const config = { ...decodeImageConfig(bytes), parent: parent ?? '' };
  return new ConfiguredImage({ config, rootFS: rootFSOf(config), raw: bytes, id });
}

/** Returns `image` with another parent, or none; what was decoded of its config is shared. */
export function withParent(image: Image, parent: ImageId | undefined): Image {
  if (image instanceof ConfiguredImage) return image.withParent(parent ?? '');
  return identifiedImage(image.rawJSON(), image.id(), parent);
}

/** Returns an image without a config that is called `id`. */
export function newImage(id: ImageId): Image {
  const config = imageConfigCodec.zero();
  return new ConfiguredImage({ config, rootFS: rootFSOf(config), id });
}

/** Returns an image that has the fields `config`, and the rest as Go's zero values. */
export function imageFromConfig(config: Partial<ImageConfig>): Image {
  const whole = { ...imageConfigCodec.zero(), ...config };
  return new ConfiguredImage({ config: whole, rootFS: rootFSOf(whole) });
}

/** Returns a copy of `image` called `id`: its config's `id` says so too, so that it marshals to other bytes. */
export function clone(image: Image, id: ImageId): Image {
  if (image instanceof ConfiguredImage) return image.renamed(id);
  return clone(identifiedImage(image.rawJSON(), image.id(), image.parent || undefined), id);
}

function rootFSOf({ rootfs }: ImageConfig): RootFS {
  return fixedRootFS(rootfs?.type ?? TypeLayers, (rootfs?.diffIds ?? []) as readonly DiffId[]);
}
