import { Decompress } from 'fzstd';
import type { PushDecoder } from './push-decoder.js';

/** Input is given in slices, since a slice of this size can stand for 128 KiB in every 4 of its bytes. */
const SLICE_BYTES = 1024;

/**
 * Returns a zstd decompressor for a Node without its own. It takes several
 * frames and skippable ones; it does not check the frames' checksums, which
 * the digest of the decompressed bytes makes up for.
 */
export function createZstdDecoder(): PushDecoder {
  let pieces: Uint8Array[] = [];
  // The bytes are the decoder's window, which the next block overwrites.
  const decoder = new Decompress((piece) => void pieces.push(new Uint8Array(piece)));
  const take = (): Uint8Array[] => {
    const ready = pieces;
    pieces = [];
    return ready;
  };
  return {
    *push(chunk) {
      // The decoder keeps what it has not used yet, and the chunk is the caller's.
      const owned = new Uint8Array(chunk);
      for (let at = 0; at < owned.length; at += SLICE_BYTES) {
        decoder.push(owned.subarray(at, at + SLICE_BYTES));
        yield* take();
      }
    },
    *end() {
      decoder.push(new Uint8Array(0), true);
      yield* take();
    },
  };
}
