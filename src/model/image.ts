import { type OptionNames, refuseUnknown } from './option-names.js';
import {
  type Codec,
  decodeJson,
  field,
  type Int64,
  int64Codec,
  mapCodec,
  omitEmptyField,
  pointerCodec,
  sliceCodec,
  sortedFields,
  stringCodec,
  structCodec,
  type StructFields,
  textCodec,
} from './go-json/codecs.js';
import { type Timestamp, timestampCodec } from './timestamp.js';
import { type ContainerConfig, containerConfigCodec, newContainerConfig } from './container-config.js';
import { type ChainId, type DiffId, type Digest, digestOf, type ImageId } from './digest.js';
import { StoreError } from '../errors.js';
import { MAX_CONFIG_BYTES, MAX_CONFIG_VALUES, MAX_HISTORY_ENTRIES } from '../limits.js';
import { type History, historyCodec, newHistory, sameHistory } from './history.js';
import { JsonError, type JsonLimits } from './go-json/parse.js';
import { hostArchitecture, hostOs, type Platform } from './platform.js';
import { fixedRootFS, type RootFS, TypeLayers } from './rootfs.js';

/** What a store knows of an image beyond its config. */
export interface Details {
  /** Canonical references to the image. */
  readonly references: readonly string[];
  /** Bytes of all layers. */
  readonly size: Int64;
  readonly metadata: Readonly<Record<string, string>>;
  /** Storage driver of the layers. */
  readonly driver: string;
  readonly lastUpdated?: Timestamp | undefined;
}

/** Config fields from before Docker's content-addressed images: Go's image.V1Image. */
export interface V1Image {
  /** From the config; not the image's id. */
  readonly id: string;
  /** From the config. */
  readonly parent: string;
  readonly comment: string;
  readonly created?: Timestamp | undefined;
  /** Container that the image was committed from. */
  readonly container: string;
  /** Settings of that container. */
  readonly containerConfig: ContainerConfig;
  readonly dockerVersion: string;
  readonly author: string;
  /** Default settings of containers. */
  readonly config?: ContainerConfig | undefined;
  readonly architecture: string;
  readonly variant: string;
  readonly os: string;
  /** Bytes, from the config. */
  readonly size: Int64;
}

const v1ImageFields: StructFields<V1Image> = {
  id: omitEmptyField('id', stringCodec),
  parent: omitEmptyField('parent', stringCodec),
  comment: omitEmptyField('comment', stringCodec),
  created: field('created', pointerCodec(timestampCodec)),
  container: omitEmptyField('container', stringCodec),
  containerConfig: field('container_config', containerConfigCodec),
  dockerVersion: omitEmptyField('docker_version', stringCodec),
  author: omitEmptyField('author', stringCodec),
  config: omitEmptyField('config', pointerCodec(containerConfigCodec)),
  architecture: omitEmptyField('architecture', stringCodec),
  variant: omitEmptyField('variant', stringCodec),
  os: omitEmptyField('os', stringCodec),
  size: omitEmptyField('Size', int64Codec),
};

/** Docker's input of a v1 id: v1 fields, layer, and the parent's v1 id. */
interface V1IdInput extends V1Image {
  readonly layerId: ChainId | '';
}

const v1IdInputCodec = structCodec<V1IdInput>(
  sortedFields<V1IdInput>({ ...v1ImageFields, layerId: field('layer_id', textCodec<ChainId>()) }),
);

const encoder = new TextEncoder();

/**
 * Returns the Docker v1 id of an image with this layer: the digest of the v1 fields without id, the
 * chain id, and the parent's v1 id, like Go's v1.CreateID. `layerId` is empty without layers,
 * `parent` without a parent.
 */
export function createV1Id(v1Image: V1Image, layerId: ChainId | '', parent: Digest | '' = ''): Digest {
  const input = { ...v1Image, id: '', layerId, parent: parent === '' ? v1Image.parent : parent };
  return digestOf(encoder.encode(v1IdInputCodec.encode(input)));
}

interface RootFSConfig {
  readonly type: string;
  readonly diffIds: readonly (DiffId | '')[] | null;
}

/** A decoded, unchecked config (OCI image spec, config.md, and Docker's additions). */
interface ImageConfig extends V1Image {
  readonly rootfs?: RootFSConfig | undefined;
  readonly history: readonly History[] | null;
  readonly osVersion: string;
  readonly osFeatures: readonly string[] | null;
}

const rootfsCodec: Codec<RootFSConfig> = structCodec<RootFSConfig>({
  type: field('type', stringCodec),
  diffIds: omitEmptyField('diff_ids', sliceCodec(textCodec<DiffId>())),
});

const imageConfigCodec: Codec<ImageConfig> = structCodec<ImageConfig>(
  sortedFields<ImageConfig>({
    ...v1ImageFields,
    history: omitEmptyField('history', sliceCodec(historyCodec)),
    osFeatures: omitEmptyField('os.features', sliceCodec(stringCodec)),
    osVersion: omitEmptyField('os.version', stringCodec),
    rootfs: omitEmptyField('rootfs', pointerCodec(rootfsCodec)),
  }),
  (zero) => ({ ...zero }),
);

/** Stored configs may exceed current limits. */
const STORED: JsonLimits = { maxNumberLength: MAX_CONFIG_BYTES };
const INCOMING: JsonLimits = { maxValues: MAX_CONFIG_VALUES };

/**
 * Decodes a config.
 * @throws {StoreError} CONFIG_INVALID for no JSON object, a field of the wrong type, no `rootfs`, or
 *   more than `limits`
 */
function decodeImageConfig(bytes: Uint8Array, limits: JsonLimits): ImageConfig {
  const config = readImageConfig(bytes, limits);
  if (config.rootfs === undefined) throw invalid('expected an object rootfs, found none');
  return config;
}

function readImageConfig(bytes: Uint8Array, limits: JsonLimits): ImageConfig {
  try {
    return decodeJson(bytes, imageConfigCodec, limits);
  } catch (error) {
    if (error instanceof JsonError) throw invalid(error.message, error);
    throw error;
  }
}

const labelsCodec = structCodec({
  config: field('config', structCodec({ labels: field('Labels', mapCodec(stringCodec)) })),
});

/**
 * Returns the labels in a stored config, in half the time of `image.config`: lists read thousands.
 * @throws {StoreError} CONFIG_INVALID
 */
export function labelsIn(bytes: Uint8Array): Readonly<Record<string, string>> | null {
  try {
    return decodeJson(bytes, labelsCodec, STORED).config.labels;
  } catch (error) {
    if (error instanceof JsonError) throw invalid(error.message, error);
    throw error;
  }
}

function invalid(problem: string, cause?: JsonError): StoreError {
  const data = cause === undefined || cause.path === '' ? {} : { field: cause.path };
  return new StoreError('CONFIG_INVALID', `the image config cannot be read: ${problem}`, { cause, data });
}

/**
 * An immutable image: its config and id. Text that the config lacks is empty. `size` is the config's;
 * `details` has the store's measure.
 */
export interface Image extends Omit<V1Image, 'id' | 'parent'> {
  /** Image it was built from: the store's answer, or, before that, the config's unchecked claim. */
  readonly parent: ImageId | '';
  /** Refuses `append`: clone it first. */
  readonly rootFS: RootFS;
  /** First step first. */
  readonly history: readonly History[];
  readonly osVersion: string;
  readonly osFeatures: readonly string[];
  /** Added by a store. */
  readonly details?: Details | undefined;

  /**
   * Returns the config exactly as Docker marshals it: known fields only, sorted, compact. Computed
   * once; do not modify it.
   */
  marshalJSON(): Uint8Array;
  /** Returns the bytes the image was read from, always the same; if none, `marshalJSON()`. */
  rawJSON(): Uint8Array;
  /** Returns the id the image was given, else the digest of `rawJSON()`. */
  id(): ImageId;
  /** Returns `id()` as plain text. */
  imageID(): string;
  /** Returns `config`. */
  runConfig(): ContainerConfig | undefined;
  /** Returns the architecture; if the config has none, `host` (default this machine's). */
  baseImgArch(host?: string): string;
  /** Returns the variant, or the empty string. */
  baseImgVariant(): string;
  /** Returns the operating system; if the config has none, `host` (default this machine's). */
  operatingSystem(host?: string): string;
  /** Returns the config's platform, without the host's defaults. */
  platform(): Platform;
  /** Returns the fields from before content-addressed images. */
  v1Image(): V1Image;
}

interface Parts {
  readonly config: ImageConfig;
  /** Decoded already; default that of `config`. */
  readonly rootFS?: RootFS | undefined;
  readonly id?: ImageId | undefined;
  readonly raw?: Uint8Array | undefined;
}

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
    this.rootFS = parts.rootFS ?? rootFSOf(config);
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
    // `parent` of the image shadows the one in Go's type, which a config cannot set.
    return { ...v1Image, parent: '' };
  }

  /** Returns the image with another parent; shares decoded fields. */
  withParent(parent: ImageId | ''): Image {
    return new ConfiguredImage({ ...this.#parts, config: { ...this.#parts.config, parent }, rootFS: this.rootFS });
  }

  /** Returns the image under another id, also in its config. */
  renamed(id: ImageId): Image {
    return new ConfiguredImage({ ...this.#parts, config: { ...this.#parts.config, id }, rootFS: this.rootFS, id });
  }
}

/**
 * Returns the image of the config `bytes`, which are kept and must not change. Like Go's
 * NewFromJSON: ignores unknown fields and does not check diff ids. Callers must bound the size.
 * @throws {StoreError} CONFIG_INVALID when it is not a JSON object, a field has the wrong type,
 *   `rootfs` is missing, or it has more than MAX_CONFIG_VALUES values, MAX_HISTORY_ENTRIES build
 *   steps, or MAX_JSON_NUMBER_LENGTH characters of a number
 */
export function newFromJSON(bytes: Uint8Array): Image {
  const config = decodeImageConfig(bytes, INCOMING);
  const found = config.history?.length ?? 0;
  if (found > MAX_HISTORY_ENTRIES) {
    throw invalid(`history: expected at most ${MAX_HISTORY_ENTRIES} build steps, found ${found}`);
  }
  return new ConfiguredImage({ config, raw: bytes });
}

/**
 * Returns the image of the config `bytes`, with this id and parent (or none).
 * @throws {StoreError} CONFIG_INVALID as `newFromJSON`
 */
export function identifiedImage(bytes: Uint8Array, id: ImageId, parent: ImageId | undefined): Image {
  const config = { ...decodeImageConfig(bytes, STORED), parent: parent ?? '' };
  return new ConfiguredImage({ config, raw: bytes, id });
}

/** Returns `image` with another parent, or none; shares decoded fields. */
export function withParent(image: Image, parent: ImageId | undefined): Image {
  if (image instanceof ConfiguredImage) return image.withParent(parent ?? '');
  return identifiedImage(image.rawJSON(), image.id(), parent);
}

/** Returns an image with the id `id` and no config. */
export function newImage(id: ImageId): Image {
  return new ConfiguredImage({ config: imageConfigCodec.zero(), id });
}

/** Returns a copy of `image` with another id, also in its config: it marshals differently. */
export function clone(image: Image, id: ImageId): Image {
  if (image instanceof ConfiguredImage) return image.renamed(id);
  return clone(identifiedImage(image.rawJSON(), image.id(), image.parent || undefined), id);
}

function rootFSOf({ rootfs }: ImageConfig): RootFS {
  return fixedRootFS(rootfs?.type ?? TypeLayers, (rootfs?.diffIds ?? []) as readonly DiffId[]);
}

/** What a commit adds to an image. Absent settings are Go's zero values. */
export interface ChildConfig {
  /** Container that is committed. */
  readonly containerId?: string | undefined;
  readonly author?: string | undefined;
  readonly comment?: string | undefined;
  /** The new layer; the empty layer (`EMPTY_LAYER_DIFF_ID`) adds none. */
  readonly diffId: DiffId;
  /** Settings of the container; `cmd` becomes the history entry's `createdBy`. */
  readonly containerConfig?: Partial<ContainerConfig> | undefined;
  /** Default settings of the new image's containers. */
  readonly config?: Partial<ContainerConfig> | undefined;
}

/** Defaults for a child image. */
interface ChildImageOptions {
  /** Milliseconds since the epoch, for `created`; default `Date.now`. */
  readonly now?: (() => number) | undefined;
  /** Architecture if the parent has none; default this machine's. */
  readonly hostArchitecture?: string | undefined;
}

const childImageOptionNames: OptionNames<ChildImageOptions> = { now: true, hostArchitecture: true };

/** Digest of a tar without entries: the layer of a step that changed no file. */
export const EMPTY_LAYER_DIFF_ID = 'sha256:5f70bf18a086007016e948b04aed3b82103a36bea41755b6cddfaf10ace3c6ef' as DiffId;

/** Value of `docker_version`, in place of a Docker version. */
const DOCKER_VERSION = 'library-import';

/**
 * Returns the image of a commit on top of `image`, for the operating system `os`: one more layer
 * unless empty, and one more history entry, created now. Like Go's NewChildImage, it drops the
 * comment and does not name its parent.
 */
export function newChildImage(image: Image, child: ChildConfig, os: string, options: ChildImageOptions = {}): Image {
  refuseUnknown(options, childImageOptionNames);
  const isEmptyLayer = child.diffId === EMPTY_LAYER_DIFF_ID;
  const containerConfig = newContainerConfig(child.containerConfig);
  const createdBy = (containerConfig.cmd ?? []).join(' ');
  const step = newHistory(child.author ?? '', child.comment ?? '', createdBy, isEmptyLayer, options.now);
  const { type, diffIds } = image.rootFS;
  const config: ImageConfig = {
    ...imageConfigCodec.zero(),
    dockerVersion: DOCKER_VERSION,
    config: child.config === undefined ? undefined : newContainerConfig(child.config),
    architecture: image.baseImgArch(options.hostArchitecture ?? hostArchitecture()),
    variant: image.baseImgVariant(),
    os,
    container: child.containerId ?? '',
    containerConfig,
    author: child.author ?? '',
    created: step.created,
    rootfs: { type, diffIds: isEmptyLayer ? diffIds : [...diffIds, child.diffId] },
    history: [...image.history, step],
    osVersion: image.osVersion,
    osFeatures: image.osFeatures,
  };
  return new ConfiguredImage({ config });
}

/**
 * Checks that the history fits the layers: at most one layer entry per diff id.
 * @throws {StoreError} HISTORY_INVALID when there are more
 */
export function checkHistory(image: Pick<Image, 'history' | 'rootFS'>): void {
  const steps = image.history.filter((entry) => !entry.emptyLayer).length;
  const layers = image.rootFS.diffIds.length;
  if (steps <= layers) return;
  const message = `too many non-empty layers in the image's history: expected at most ${layers}, found ${steps}`;
  throw new StoreError('HISTORY_INVALID', message, { data: { layers, steps } });
}

/**
 * Whether `child` may be built from `parent`: its history extends the parent's, and its diff ids
 * extend or equal the parent's; or neither has a history. Docker's loader requires exactly one more
 * history entry; archives it wrote itself have more.
 */
export function isValidParent(
  child: Pick<Image, 'history' | 'rootFS'>,
  parent: Pick<Image, 'history' | 'rootFS'>,
): boolean {
  if (child.history.length === 0 && parent.history.length === 0) return true;
  if (parent.history.length >= child.history.length) return false;
  return (
    parent.history.every((entry, at) => {
      const other = child.history[at];
      return other !== undefined && sameHistory(entry, other);
    }) && parent.rootFS.diffIds.every((diffId, at) => diffId === child.rootFS.diffIds[at])
  );
}

/**
 * Checks that `os` is `expected` (default this machine's), ignoring case.
 * @throws {StoreError} OS_UNSUPPORTED otherwise
 */
export function checkOS(os: string, expected: string = hostOs()): void {
  if (os.toLowerCase() === expected.toLowerCase()) return;
  const message = `operating system ${JSON.stringify(os)} is not supported: expected ${JSON.stringify(expected)}`;
  throw new StoreError('OS_UNSUPPORTED', message, { data: { os, expected } });
}
