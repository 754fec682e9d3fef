import { digestOf, type DiffId, type ImageId } from '../../src/model/digest.js';
import { bytesOf } from './text-bytes.js';

/** Returns an image config that differs from that of any other `name`, over layers from the bottom up. */
export function imageConfig(name: string, diffIds: readonly (DiffId | string)[] = []): Uint8Array {
  return bytesOf(
    JSON.stringify({
      architecture: 'amd64',
      os: 'linux',
      config: { Labels: { name } },
      rootfs: { type: 'layers', diff_ids: diffIds },
    }),
  );
}

/** Returns the id of the image that `config` makes. */
export function idOf(config: Uint8Array): ImageId {
  return digestOf(config) as ImageId;
}

/** Returns the id of the image that `imageConfig(name)` makes. */
export function idNamed(name: string): ImageId {
  return idOf(imageConfig(name));
}
