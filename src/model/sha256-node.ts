import * as crypto from 'node:crypto';

const HASH_BYTES = 32;

/**
 * Returns the 32 bytes of SHA-256 over `bytes`: what `#sha256` is in Node, about nine times as fast as
 * the portable one on large inputs. The one-shot call (Node 20.12) as text of one letter a byte takes
 * 1.2 microseconds for the record of an event; as a Buffer it takes 2.4, most of them to make that.
 */
export function sha256(bytes: Uint8Array): Uint8Array {
  const text = crypto.hash('sha256', bytes, 'binary');
  const hash = new Uint8Array(HASH_BYTES);
  for (let at = 0; at < HASH_BYTES; at++) hash[at] = text.charCodeAt(at);
  return hash;
}
