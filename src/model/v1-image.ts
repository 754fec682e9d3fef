import { type ChainId, type Digest, digestOf } from './digest.js';
import { type V1Image, v1IdInputCodec } from './image-config.js';

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
