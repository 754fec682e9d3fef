import { ByteReader } from '../../model/bytes.js';
/** Thrown for corrupt LevelDB bytes, with the code `level` uses for damage. */
export class LevelDamage extends Error {
  readonly code = 'LEVEL_CORRUPTION';
}

/** Castagnoli polynomial, bit-reversed: LevelDB's checksums. */
const POLYNOMIAL = 0x82f63b78;
const MASK_DELTA = 0xa282ead8;

const STEP = 8;

/** Slicing-by-8 tables: eight bytes a step, three times as fast as one. */
const tables = makeTables();

function makeTables(): Int32Array {
  const all = new Int32Array(STEP * 256);
  // The CRC of a sum is the sum of the CRCs: eight of them make the others.
  let crc = 1;
  for (let bit = 128; bit > 0; bit >>>= 1) {
    crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
    for (let rest = 0; rest < 256; rest += 2 * bit) all[bit + rest] = crc ^ (all[rest] as number);
  }
  for (let at = 256; at < all.length; at++) {
    const before = all[at - 256] as number;
    all[at] = (before >>> 8) ^ (all[before & 0xff] as number);
  }
  return all;
}

/** Returns the CRC-32C of `bytes` (RFC 3720, appendix B.4), 0 to 2^32 - 1. */
export function crc32c(bytes: Uint8Array): number {
  const steps = bytes.length - (bytes.length % STEP);
  // One function with constant table offsets: halves the time at open, before it is optimized.
  const table = tables;
  let crc = -1;
  for (let at = 0; at < steps; at += STEP) {
    const low =
      crc ^
      ((bytes[at] as number) |
        ((bytes[at + 1] as number) << 8) |
        ((bytes[at + 2] as number) << 16) |
        ((bytes[at + 3] as number) << 24));
    crc =
      (table[0x700 | (low & 0xff)] as number) ^
      (table[0x600 | ((low >>> 8) & 0xff)] as number) ^
      (table[0x500 | ((low >>> 16) & 0xff)] as number) ^
      (table[0x400 | (low >>> 24)] as number) ^
      (table[0x300 | (bytes[at + 4] as number)] as number) ^
      (table[0x200 | (bytes[at + 5] as number)] as number) ^
      (table[0x100 | (bytes[at + 6] as number)] as number) ^
      (table[bytes[at + 7] as number] as number);
  }
  for (let at = steps; at < bytes.length; at++) {
    crc = (crc >>> 8) ^ (table[(crc ^ (bytes[at] as number)) & 0xff] as number);
  }
  return ~crc >>> 0;
}

/** Returns a CRC-32C masked as LevelDB stores it, so that checksums of data with checksums work. */
export function maskedCrc32c(bytes: Uint8Array): number {
  const crc = crc32c(bytes);
  return (((crc >>> 15) | (crc << 17)) + MASK_DELTA) >>> 0;
}

/** Bytes of a decompressed size, a varint of 32 bits. */
const MAX_SIZE_BYTES = 5;

/**
 * Decompresses a Snappy block (google/snappy, format_description.txt); undefined when it is
 * malformed or longer than `limit` bytes decompressed.
 */
export function unsnappy(bytes: Uint8Array, limit: number): Uint8Array | undefined {
  const reader = new ByteReader(bytes);
  const size = reader.number();
  if (size === undefined || reader.at > MAX_SIZE_BYTES || size > limit) return undefined;
  const output = new Uint8Array(size);
  let from = reader.at;
  let to = 0;
  // One loop without objects: table reads spend half their time here.
  while (from < bytes.length) {
    const tag = bytes[from++] as number;
    const kind = tag & 3;
    const extra = kind === 0 ? Math.max(0, (tag >>> 2) - 59) : kind === 3 ? 4 : kind;
    if (from + extra > bytes.length) return undefined;
    let number = 0;
    for (let at = extra - 1; at >= 0; at--) number = number * 256 + (bytes[from + at] as number);
    from += extra;
    if (kind === 0) {
      const length = (extra === 0 ? tag >>> 2 : number) + 1;
      if (from + length > bytes.length || to + length > size) return undefined;
      if (length <= 16) for (let at = 0; at < length; at++) output[to + at] = bytes[from + at] as number;
      else output.set(bytes.subarray(from, from + length), to);
      from += length;
      to += length;
      continue;
    }
    const length = kind === 1 ? ((tag >>> 2) & 7) + 4 : (tag >>> 2) + 1;
    const offset = kind === 1 ? (tag >>> 5) * 256 + number : number;
    if (offset === 0 || offset > to || to + length > size) return undefined;
    // A copy may overlap its own output.
    for (const end = to + length; to < end; to++) output[to] = output[to - offset] as number;
  }
  return to === size ? output : undefined;
}
