/** The polynomial of Castagnoli, bits reversed: what LevelDB checks its files with. */
const POLYNOMIAL = 0x82f63b78;
const MASK_DELTA = 0xa282ead8;

const STEP = 8;

/** For each of eight bytes in a row, what it adds by its place: eight are taken in a step, at three times the speed of one. */
const tables = makeTables();

function makeTables(): Int32Array {
  const all = new Int32Array(STEP * 256);
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = crc & 1 ? (crc >>> 1) ^ POLYNOMIAL : crc >>> 1;
    all[byte] = crc;
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
  let crc = -1;
  for (let at = 0; at < steps; at += STEP) crc = afterStep(crc, bytes, at);
  for (let at = steps; at < bytes.length; at++) crc = (crc >>> 8) ^ entry(0, crc ^ (bytes[at] as number));
  return ~crc >>> 0;
}

function afterStep(crc: number, bytes: Uint8Array, at: number): number {
  const low =
    crc ^
    (byteAt(bytes, at) | (byteAt(bytes, at + 1) << 8) | (byteAt(bytes, at + 2) << 16) | (byteAt(bytes, at + 3) << 24));
  return (
    entry(7, low) ^
    entry(6, low >>> 8) ^
    entry(5, low >>> 16) ^
    entry(4, low >>> 24) ^
    entry(3, byteAt(bytes, at + 4)) ^
    entry(2, byteAt(bytes, at + 5)) ^
    entry(1, byteAt(bytes, at + 6)) ^
    entry(0, byteAt(bytes, at + 7))
  );
}

function entry(table: number, byte: number): number {
  return tables[table * 256 + (byte & 0xff)] as number;
}

function byteAt(bytes: Uint8Array, at: number): number {
  return bytes[at] as number;
}

/** Returns a CRC-32C as LevelDB stores it: turned and moved, so that a checksum of data with checksums stays one. */
export function maskedCrc32c(bytes: Uint8Array): number {
  const crc = crc32c(bytes);
  return (((crc >>> 15) | (crc << 17)) + MASK_DELTA) >>> 0;
}
