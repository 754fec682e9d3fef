import { Decompress } from 'fzstd';
import type { PushDecoder } from './push-decoder.js';
import { ZstdFrames } from './zstd-frames.js';

/** Input is given in slices, since a slice of this size can stand for 128 KiB in every 4 of its bytes. */
const SLICE_BYTES = 1024;

/**
 * Returns a zstd decompressor. It takes several frames and skippable ones; it does not check the frames' checksums,
 * which the digest of the decompressed bytes makes up for. Node's own, from 22.15 on, is faster, but it stops after
 * the first frame without a word, and layers of several frames are common (zstd:chunked, pzstd).
 */
export function createZstdDecoder(): PushDecoder {
  const frames = new ZstdFrames();
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
        const slice = owned.subarray(at, at + SLICE_BYTES);
        frames.push(slice);
        decoder.push(slice);
        yield* take();
      }
    },
    *end() {
      decoder.push(new Uint8Array(0), true);
      yield* take();
    },
  };
}
