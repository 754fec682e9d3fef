import { createHash } from 'node:crypto';
import type { Digest } from '../../../src/model/digest.js';
import { BlobStore } from '../../../src/store/layers/blob-store.js';
import { Uploads } from '../../../src/store/registry/local-uploads.js';

export const REPOSITORY = 'docker.io/shop/app';

/** What the process that uploads says: each once it was acknowledged. */
export type UploadNews =
  | { readonly what: 'received'; readonly id: string; readonly name: string; readonly size: number }
  | { readonly what: 'finishing'; readonly id: string; readonly name: string }
  | { readonly what: 'staged'; readonly name: string };

/** The bytes that are uploaded under a name: up to 256 KiB that nothing compresses. */
export function namedBytes(name: string): Uint8Array {
  const blocks: Buffer[] = [];
  const seed = createHash('sha512').update(name).digest();
  const count = 1 + (seed.readUInt16BE() % 4_096);
  for (let at = 0; at < count; at++) blocks.push(createHash('sha512').update(seed).update(`${at}`).digest());
  return new Uint8Array(Buffer.concat(blocks));
}

/** The digest of the bytes of a name. */
export function namedDigest(name: string): Digest {
  return `sha256:${createHash('sha256').update(namedBytes(name)).digest('hex')}` as Digest;
}

/** Opens the uploads of a directory that is not a store otherwise. */
export async function openUploads(directory: string): Promise<Uploads> {
  const blobs = new BlobStore(`${directory}/blobs`);
  await blobs.makeDirectories();
  const uploads = new Uploads({
    directory,
    blobs,
    readOnly: false,
    now: Date.now,
    onNotice: (notice) => {
      throw new Error(`unexpected: ${notice}`);
    },
    blobSize: () => undefined,
    content: () => undefined,
    erasedAt: () => undefined,
  });
  await uploads.open();
  return uploads;
}
