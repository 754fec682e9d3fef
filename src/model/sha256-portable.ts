import { sha256 as nobleSha256 } from '@noble/hashes/sha2.js';

/** Returns the 32 bytes of SHA-256 over `bytes`: what `#sha256` is in a browser. */
export function sha256(bytes: Uint8Array): Uint8Array {
  return nobleSha256(bytes);
}
