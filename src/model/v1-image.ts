import { type ContainerConfig, containerConfigCodec } from './container-config.js';
import { type ChainId, type Digest, digestOf } from './digest.js';
import { pointerCodec } from './json/composite-codecs.js';
import { type Int64, int64Codec, stringCodec, textCodec } from './json/scalar-codecs.js';
import { field, omitEmptyField, sortedFields, structCodec, type StructFields } from './json/struct-codec.js';
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

/** The fields of Go's `image.V1Image` in JSON. */
export const v1ImageFields: StructFields<V1Image> = {
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

/** What Docker hashes for a v1 id: the v1 fields, the layer, and the parent's v1 id. */
interface V1IdInput extends V1Image {
  readonly layerId: ChainId | '';
}

const v1IdInputCodec = structCodec<V1IdInput>(
  sortedFields<V1IdInput>({ ...v1ImageFields, layerId: field('layer_id', textCodec<ChainId>()) }),
);

const encoder = new TextEncoder();

/**
 * Returns the id that Docker's v1 format gives to an image with this layer: the digest of the v1 fields without their
 * id, the chain id, and the parent's v1 id, as the Go package's v1.CreateID. `layerId` is empty for an image without
 * layers, `parent` for an image without one.
 */
export function createV1Id(v1Image: V1Image, layerId: ChainId | '', parent: Digest | '' = ''): Digest {
  const input = { ...v1Image, id: '', layerId, parent: parent === '' ? v1Image.parent : parent };
  return digestOf(encoder.encode(v1IdInputCodec.encode(input)));
}
