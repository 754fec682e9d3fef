import unbzip2 from 'unbzip2-stream';
import { MAX_BZIP2_STEP_BYTES } from '../limits.js';
import type { PushDecoder } from './push-decoder.js';

/**
 * Creates a bzip2 decompressor. Checks the CRC of every block and stream, accepts concatenated
 * streams, and throws on trailing data, or when one step yields over `maxStepBytes`.
 */
export function createBzip2Decoder(maxStepBytes = MAX_BZIP2_STEP_BYTES): PushDecoder {
  const decoder = unbzip2() as unknown as EventfulDecoder;
  let pieces: Uint8Array[] = [];
  let pieceBytes = 0;
  let failure: Error | undefined;
  // The decoder catches exceptions thrown here, stops permanently and emits them.
  decoder.on('data', (piece: Uint8Array) => {
    pieceBytes += piece.length;
    if (pieceBytes > maxStepBytes) throw new Error(`one step gave more than ${maxStepBytes} bytes`);
    pieces.push(piece);
  });
  // The library throws function-style errors, or a TypeError when it overruns its input.
  decoder.on('error', (error: Error) => {
    failure ??= new Error(error instanceof TypeError ? 'input stream ended prematurely' : error.message);
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
    // The decoder retains unused input, but the chunk belongs to the caller.
    push: (chunk) => step(() => void decoder.write(new Uint8Array(chunk))),
    end: () => step(() => decoder.end()),
  };
}

/** The API of unbzip2-stream: an old-style stream that works synchronously. */
interface EventfulDecoder {
  on(event: 'data', listener: (piece: Uint8Array) => void): void;
  on(event: 'error', listener: (error: Error) => void): void;
  write(chunk: Uint8Array): boolean;
  end(): void;
}
