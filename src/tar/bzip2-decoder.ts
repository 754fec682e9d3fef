import unbzip2 from 'unbzip2-stream';
import { MAX_BZIP2_STEP_BYTES } from '../limits.js';
import type { PushDecoder } from './push-decoder.js';

/**
 * Returns a bzip2 decompressor. It checks the CRC of every block and stream,
 * takes several streams one after another, and throws on anything after them
 * and on a step that gives more than `maxStepBytes`.
 */
export function createBzip2Decoder(maxStepBytes = MAX_BZIP2_STEP_BYTES): PushDecoder {
  const decoder = unbzip2() as unknown as EventfulDecoder;
  let pieces: Uint8Array[] = [];
  let pieceBytes = 0;
  let failure: Error | undefined;
  // An exception in here is caught by the decoder, which then stops for good and emits it.
  decoder.on('data', (piece: Uint8Array) => {
    pieceBytes += piece.length;
    if (pieceBytes > maxStepBytes) throw new Error(`one step gave more than ${maxStepBytes} bytes`);
    pieces.push(piece);
  });
  // The library throws a function-style error or, where it runs off its input, a TypeError.
  decoder.on('error', (error: Error) => {
    failure ??= new Error(error.message);
  });
  const step = (work: () => void): Uint8Array[] => {
    work();
    const ready = pieces;
    pieces = [];
    pieceBytes = 0;
    if (failure !== undefined) throw failure;
    return ready;
  };
  return {
    // The decoder keeps what it has not used yet, and the chunk is the caller's.
    push: (chunk) => step(() => void decoder.write(new Uint8Array(chunk))),
    end: () => step(() => decoder.end()),
  };
}

/** What unbzip2-stream gives: an old-style stream that works during the call. */
interface EventfulDecoder {
  on(event: 'data', listener: (piece: Uint8Array) => void): void;
  on(event: 'error', listener: (error: Error) => void): void;
  write(chunk: Uint8Array): boolean;
  end(): void;
}
