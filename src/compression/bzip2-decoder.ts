import unbzip2 from 'unbzip2-stream';
import { MAX_BZIP2_STEP_BYTES } from '../limits.js';
import { type PushDecoder, TrailingData } from './decoder.js';

/** What the library says where it expects another stream. */
const NO_MAGIC = 'No magic number found';

/**
 * Creates a bzip2 decompressor. Checks the CRC of every block and stream, accepts concatenated
 * streams, and throws when one step yields over `maxStepBytes`.
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
    // The first stream has its magic number, or it would not be taken for bzip2.
    if (error.message === NO_MAGIC) failure ??= new TrailingData('bzip2');
    else failure ??= new Error(error instanceof TypeError ? 'input stream ended prematurely' : error.message);
  });
  const step = function* (work: () => void): Generator<Uint8Array> {
    work();
    const ready = pieces;
    pieces = [];
    pieceBytes = 0;
    if (failure === undefined || failure instanceof TrailingData) yield* ready;
    if (failure !== undefined) throw failure;
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
