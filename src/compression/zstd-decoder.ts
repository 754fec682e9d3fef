import { Decompress } from 'fzstd';
import { type PushDecoder, TrailingData } from './decoder.js';
import { ZstdFrames } from './zstd-stream.js';

/** Input slice size: every 4 bytes of input can expand to 128 KiB. */
const SLICE_BYTES = 1024;

/**
 * Creates a zstd decompressor. Accepts concatenated and skippable frames. Does not check frame
 * checksums; the digest of the output covers them. For versions of Node without a decoder that reads
 * all frames.
 */
export function createZstdDecoder(): PushDecoder {
  const frames = new ZstdFrames();
  let pieces: Uint8Array[] = [];
  // Copied: the bytes are the decoder's window, overwritten by the next block.
  const decoder = new Decompress((piece) => void pieces.push(new Uint8Array(piece)));
  const take = (): Uint8Array[] => {
    const ready = pieces;
    pieces = [];
    return ready;
  };
  return {
    *push(chunk) {
      // The decoder retains unused input, but the chunk belongs to the caller.
      const owned = new Uint8Array(chunk);
      for (let at = 0; at < owned.length; at += SLICE_BYTES) {
        const slice = owned.subarray(at, at + SLICE_BYTES);
        decoder.push(frames.push(slice));
        yield* take();
        if (frames.isPast) throw new TrailingData('zstd');
      }
    },
    *end() {
      frames.end();
      decoder.push(new Uint8Array(0), true);
      yield* take();
      if (frames.isPast) throw new TrailingData('zstd');
    },
  };
}
