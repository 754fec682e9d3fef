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
