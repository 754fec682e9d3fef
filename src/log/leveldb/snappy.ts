import { ByteReader } from './byte-reader.js';

/**
 * Returns what a block was before Snappy compressed it (google/snappy, format_description.txt), or undefined when the bytes are not what
 * Snappy writes, or stand for more than `limit` bytes.
 */
export function unsnappy(bytes: Uint8Array, limit: number): Uint8Array | undefined {
  const reader = new ByteReader(bytes);
  const size = reader.number();
  if (size === undefined || size > limit) return undefined;
  const output = new Uint8Array(size);
  let at = 0;
  while (!reader.isAtEnd) {
    const tag = reader.byte() as number;
    const element = (tag & 3) === 0 ? literalOf(tag, reader) : copyOf(tag, reader, at);
    if (element === undefined) return undefined;
    const { length } = element;
    if (at + length > size) return undefined;
    if ('bytes' in element) output.set(element.bytes, at);
    // A copy may reach into what it gives itself.
    else for (let i = at; i < at + length; i++) output[i] = output[i - element.offset] as number;
    at += length;
  }
  return at === size ? output : undefined;
}

interface Literal {
  readonly length: number;
  readonly bytes: Uint8Array;
}

interface Copy {
  readonly length: number;
  readonly offset: number;
}

function literalOf(tag: number, reader: ByteReader): Literal | undefined {
  const short = tag >>> 2;
  const length = short < 60 ? short : reader.fixed(short - 59);
  if (length === undefined) return undefined;
  const bytes = reader.take(length + 1);
  return bytes === undefined ? undefined : { length: length + 1, bytes };
}

function copyOf(tag: number, reader: ByteReader, before: number): Copy | undefined {
  const isShort = (tag & 3) === 1;
  const low = reader.fixed(isShort ? 1 : (tag & 3) === 2 ? 2 : 4);
  if (low === undefined) return undefined;
  const offset = isShort ? (tag >>> 5) * 256 + low : low;
  const length = isShort ? ((tag >>> 2) & 7) + 4 : (tag >>> 2) + 1;
  return offset === 0 || offset > before ? undefined : { length, offset };
}
