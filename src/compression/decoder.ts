import { Duplex } from 'node:stream';

/** A synchronous push decompressor. */
export interface PushDecoder {
  /** Yields the output of `chunk`, decoded lazily piece by piece. @throws {TrailingData} */
  push(chunk: Uint8Array): Iterable<Uint8Array>;
  /** Yields remaining output; throws if the input is truncated. */
  end(): Iterable<Uint8Array>;
}

/** Thrown for other data after whole compressed data, of which all output was given before. */
export class TrailingData extends Error {
  constructor(format: string) {
    super(`other data after the end of the ${format} data`);
  }
}

/** Output buffer of Node's decoders: larger ones mean fewer round trips to their threads. */
export const PIECE_BYTES = 256 * 1024;

/** Called once if other data follows the compressed data; the rest of the input is then ignored. */
export type OnTrailing = () => void;

/** A stream that decompresses by one of Node's after another, with backpressure both ways. */
export abstract class NestedStream extends Duplex {
  #inner: Duplex | undefined;
  /** A callback would learn of the error before its listeners do. */
  readonly #fail = (error: Error): void => void this.destroy(error);

  constructor() {
    // Chunks are lent: a writer waits until each, however small, was used.
    super({ writableHighWaterMark: 1 });
  }

  /** Decompresses `chunk`; resolves when the inner stream has used it. */
  protected abstract consume(chunk: Uint8Array): Promise<void>;

  /** Checks that the input is complete, and resolves when all output was passed on. */
  protected abstract complete(): Promise<void>;

  override _write(chunk: Uint8Array, _encoding: BufferEncoding, callback: (error?: Error | null) => void): void {
    this.consume(chunk).then(() => callback(), this.#fail);
  }

  override _final(callback: (error?: Error | null) => void): void {
    const end = (): void => {
      this.push(null);
      callback();
    };
    this.complete().then(end, this.#fail);
  }

  override _read(): void {
    this.#inner?.resume();
  }

  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.#inner?.destroy();
    callback(error);
  }

  /** Passes on the output of `inner`; `seen` is called with each piece before. */
  protected nest(inner: Duplex, seen?: (piece: Uint8Array) => void): void {
    this.#inner = inner;
    inner.on('data', (piece: Uint8Array) => {
      seen?.(piece);
      if (!this.push(piece)) inner.pause();
    });
    inner.on('error', this.#fail);
  }

  /** Resolves when the inner stream has used `chunk`; never if it fails, which destroys this one. */
  protected feed(chunk: Uint8Array): Promise<void> {
    return new Promise((resolve) => void this.#inner?.write(chunk, () => resolve()));
  }

  /** Resolves when all output of the inner stream, which has ended, was passed on. */
  protected ended(): Promise<void> {
    return new Promise((resolve) => {
      const inner = this.#inner;
      const done = (): void => {
        inner?.destroy();
        resolve();
      };
      if (inner === undefined || inner.readableEnded) done();
      else inner.once('end', done);
    });
  }
}
