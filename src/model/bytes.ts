/** Whether `bytes` begins with `start`. */
export function startsWithBytes(bytes: Uint8Array, start: Uint8Array): boolean {
  if (bytes.length < start.length) return false;
  for (let at = 0; at < start.length; at++) if (bytes[at] !== start[at]) return false;
  return true;
}

/** Whether `a` and `b` are the same bytes. */
export function equalBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && startsWithBytes(a, b);
}

/** Compares bytewise, a prefix first: negative, zero or positive. */
export function compareBytes(a: Uint8Array, b: Uint8Array): number {
  const length = Math.min(a.length, b.length);
  for (let at = 0; at < length; at++) {
    const difference = (a[at] as number) - (b[at] as number);
    if (difference !== 0) return difference;
  }
  return a.length - b.length;
}

/** Returns the parts one after another. */
function joinBytes(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  const joined = new Uint8Array(parts.reduce((size, { length }) => size + length, 0));
  let at = 0;
  for (const part of parts) {
    joined.set(part, at);
    at += part.length;
  }
  return joined;
}

/** Reads a stream that does not reuse its chunks; undefined once it has more than `limit` bytes. */
export async function readBounded(
  stream: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  limit: number,
): Promise<Uint8Array<ArrayBuffer> | undefined> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of stream) {
    size += chunk.length;
    if (size > limit) return undefined;
    chunks.push(chunk);
  }
  return joinBytes(chunks);
}

/**
 * Passes chunks on until they are more than `size` bytes; throws what `failure` returns for another
 * length, with the bytes found, or `more` of them.
 */
export async function* ofLength(
  chunks: AsyncIterable<Uint8Array>,
  size: number,
  failure: (found: string) => Error,
): AsyncGenerator<Uint8Array> {
  let found = 0;
  for await (const chunk of chunks) {
    found += chunk.length;
    if (found > size) break;
    yield chunk;
  }
  if (found !== size) throw failure(found > size ? 'more' : String(found));
}

/**
 * Writes a varint (LEB128) of 0 to 2^53 - 1, at most eight bytes, at `start`. Returns the offset
 * after it.
 */
export function putVarint(target: Uint8Array | number[], value: number, start: number): number {
  let at = start;
  let left = value;
  for (; left >= 0x80; left = Math.floor(left / 0x80)) target[at++] = (left % 0x80) | 0x80;
  target[at++] = left;
  return at;
}

/** Reads varints and byte strings one after another; undefined when truncated or malformed. */
export class ByteReader {
  readonly #bytes: Uint8Array;
  #at: number;

  constructor(bytes: Uint8Array, at = 0) {
    this.#bytes = bytes;
    this.#at = at;
  }

  /** Offset of the next byte. */
  get at(): number {
    return this.#at;
  }

  /** Bytes not read yet. */
  get left(): number {
    return this.#bytes.length - this.#at;
  }

  get isAtEnd(): boolean {
    return this.left <= 0;
  }

  byte(): number | undefined {
    return this.#bytes[this.#at++];
  }

  /** A varint up to 2^53 - 1. */
  number(): number | undefined {
    const first = this.#bytes[this.#at];
    if (first !== undefined && first < 0x80) {
      this.#at++;
      return first;
    }
    let value = 0;
    for (let factor = 1; factor <= 2 ** 49; factor *= 0x80) {
      const byte = this.byte();
      if (byte === undefined) return undefined;
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return Number.isSafeInteger(value) ? value : undefined;
    }
    return undefined;
  }

  /** Skips `length` bytes; false when there are fewer. */
  skip(length: number): boolean {
    if (length > this.left) return false;
    this.#at += length;
    return true;
  }

  /** Returns `length` bytes, as a view. */
  take(length: number): Uint8Array | undefined {
    return this.skip(length) ? this.#bytes.subarray(this.#at - length, this.#at) : undefined;
  }

  /** Returns length-prefixed bytes, as a view. */
  string(): Uint8Array | undefined {
    const length = this.number();
    return length === undefined ? undefined : this.take(length);
  }
}
