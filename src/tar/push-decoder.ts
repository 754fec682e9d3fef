import { Duplex } from 'node:stream';

/** A decompressor that is given its input piece by piece and answers at once. */
export interface PushDecoder {
  /** Gives what `chunk` decompresses to, lazily: the next piece is worked out when it is asked for. */
  push(chunk: Uint8Array): Iterable<Uint8Array>;
  /** Gives what was still held back, and throws when the input stopped in the middle. */
  end(): Iterable<Uint8Array>;
}

type Callback = (error?: Error | null) => void;

/**
 * A PushDecoder as a stream with backpressure: it takes the next input only
 * when every piece of the last one was read, so memory stays at one piece.
 */
export class PushDecoderStream extends Duplex {
  readonly #decoder: PushDecoder;
  #pieces: Iterator<Uint8Array> | undefined;
  #afterPieces: Callback | undefined;

  constructor(decoder: PushDecoder) {
    super({ readableHighWaterMark: 1, writableHighWaterMark: 1 });
    this.#decoder = decoder;
  }

  override _write(chunk: Uint8Array, _encoding: BufferEncoding, callback: Callback): void {
    this.#start(() => this.#decoder.push(chunk), callback);
  }

  override _final(callback: Callback): void {
    const finish: Callback = (error) => {
      if (!error) this.push(null);
      callback(error);
    };
    this.#start(() => this.#decoder.end(), finish);
  }

  override _read(): void {
    this.#pump();
  }

  #start(decode: () => Iterable<Uint8Array>, callback: Callback): void {
    this.#afterPieces = callback;
    try {
      this.#pieces = decode()[Symbol.iterator]();
    } catch (error) {
      this.#finish(error as Error);
      return;
    }
    this.#pump();
  }

  #pump(): void {
    while (this.#pieces !== undefined) {
      let next: IteratorResult<Uint8Array>;
      try {
        next = this.#pieces.next();
      } catch (error) {
        this.#finish(error as Error);
        return;
      }
      if (next.done) this.#finish(null);
      else if (next.value.length > 0 && !this.push(next.value)) return;
    }
  }

  #finish(error: Error | null): void {
    const callback = this.#afterPieces;
    this.#pieces = undefined;
    this.#afterPieces = undefined;
    callback?.(error);
  }
}
