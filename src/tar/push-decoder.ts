/** A decompressor that is given its input piece by piece and answers at once. */
export interface PushDecoder {
  /** Gives what `chunk` decompresses to, lazily: the next piece is worked out when it is asked for. */
  push(chunk: Uint8Array): Iterable<Uint8Array>;
  /** Gives what was still held back, and throws when the input stopped in the middle. */
  end(): Iterable<Uint8Array>;
}
