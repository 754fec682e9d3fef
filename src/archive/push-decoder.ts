/** A synchronous push decompressor. */
export interface PushDecoder {
  /** Yields the output of `chunk`, decoded lazily piece by piece. */
  push(chunk: Uint8Array): Iterable<Uint8Array>;
  /** Yields remaining output; throws if the input is truncated. */
  end(): Iterable<Uint8Array>;
}
