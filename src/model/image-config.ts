import { StoreError } from '../errors.js';
import { type ContainerConfig, containerConfigCodec } from './container-config.js';
import type { ChainId, DiffId, Digest } from './digest.js';
import { type History, historyCodec } from './history.js';
import { type Codec, decodeJson } from './json/codec.js';
import { pointerCodec, sliceCodec } from './json/composite-codecs.js';
import { JsonError } from './json/json-error.js';
import { type Int64, int64Codec, stringCodec, textCodec } from './json/scalar-codecs.js';
import { field, omitEmptyField, structCodec } from './json/struct-codec.js';
import { type Timestamp, timestampCodec } from './timestamp.js';

/** The fields of a config that Docker had before images were content-addressed: image.V1Image in the Go package. */
export interface V1Image {
  /** As the config says; it does not name the image. */
  readonly id: string;
  /** As the config says. */
  readonly parent: string;
  readonly comment: string;
  readonly created?: Timestamp | undefined;
  /** Id of the container that the image was committed from. */
  readonly container: string;
  readonly containerConfig: ContainerConfig;
  readonly dockerVersion: string;
  readonly author: string;
  /** What containers of the image start with. */
  readonly config?: ContainerConfig | undefined;
  readonly architecture: string;
  readonly variant: string;
  readonly os: string;
  /** Bytes, as the config says. */
  readonly size: Int64;
}

/** The `rootfs` of a config. */
export interface RootFSConfig {
  readonly type: string;
  readonly diffIds: readonly (DiffId | '')[] | null;
}

/** What a config holds (OCI image spec, config.md, and Docker's additions), as decoded: nothing is checked yet. */
export interface ImageConfig extends V1Image {
  readonly rootfs?: RootFSConfig | undefined;
  readonly history: readonly History[] | null;
  readonly osVersion: string;
  readonly osFeatures: readonly string[] | null;
}

/** What Docker hashes for a v1 id: the v1 fields, the layer, and the parent's v1 id. */
export interface V1IdInput extends V1Image {
  readonly layerId: ChainId | Digest | '';
}

// Docker marshals an image by way of a map, so its fields come out in the order of their names' bytes: keep this order.
const beforeId = {
  size: omitEmptyField('Size', int64Codec),
  architecture: omitEmptyField('architecture', stringCodec),
  author: omitEmptyField('author', stringCodec),
  comment: omitEmptyField('comment', stringCodec),
  config: omitEmptyField('config', pointerCodec(containerConfigCodec)),
  container: omitEmptyField('container', stringCodec),
  containerConfig: field('container_config', containerConfigCodec),
  created: field('created', pointerCodec(timestampCodec)),
  dockerVersion: omitEmptyField('docker_version', stringCodec),
};
const id = omitEmptyField('id', stringCodec);
const os = omitEmptyField('os', stringCodec);
const parent = omitEmptyField('parent', stringCodec);
const variant = omitEmptyField('variant', stringCodec);

const rootfsCodec: Codec<RootFSConfig> = structCodec<RootFSConfig>({
  type: field('type', stringCodec),
  diffIds: omitEmptyField('diff_ids', sliceCodec(textCodec<DiffId>())),
});

/** Go's `image.Image`. */
export const imageConfigCodec: Codec<ImageConfig> = structCodec<ImageConfig>({
  ...beforeId,
  history: omitEmptyField('history', sliceCodec(historyCodec)),
  id,
  os,
  osFeatures: omitEmptyField('os.features', sliceCodec(stringCodec)),
  osVersion: omitEmptyField('os.version', stringCodec),
  parent,
  rootfs: omitEmptyField('rootfs', pointerCodec(rootfsCodec)),
  variant,
});

/** What Docker's v1 id is the hash of; see `createV1Id`. */
export const v1IdInputCodec: Codec<V1IdInput> = structCodec<V1IdInput>({
  ...beforeId,
  id,
  layerId: field('layer_id', textCodec<ChainId | Digest>()),
  os,
  parent,
  variant,
});

/**
 * Returns what the config `bytes` hold.
 * @throws {StoreError} CONFIG_INVALID when they are no JSON object, a field has the wrong type, or `rootfs` is missing
 */
export function decodeImageConfig(bytes: Uint8Array): ImageConfig & { readonly rootfs: RootFSConfig } {
  const config = readImageConfig(bytes);
  const { rootfs } = config;
  if (rootfs === undefined) throw invalid('expected an object rootfs, found none');
  return config as ImageConfig & { readonly rootfs: RootFSConfig };
}

function readImageConfig(bytes: Uint8Array): ImageConfig {
  try {
    return decodeJson(bytes, imageConfigCodec);
  } catch (error) {
    if (error instanceof JsonError) throw invalid(error.message, error);
    throw error;
  }
}

function invalid(problem: string, cause?: JsonError): StoreError {
  const data = cause === undefined || cause.path === '' ? {} : { field: cause.path };
  return new StoreError('CONFIG_INVALID', `the image config cannot be read: ${problem}`, { cause, data });
}
