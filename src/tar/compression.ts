/** How a layer or a whole archive is compressed; `none` is a plain file. */
export type Compression = 'none' | 'gzip' | 'zstd' | 'bzip2' | 'xz';

/** Bytes at the start of a file that decide how it is compressed. */
export const COMPRESSION_MAGIC_BYTES = 6;

const GZIP = [0x1f, 0x8b];
const ZSTD = [0x28, 0xb5, 0x2f, 0xfd];
const BZIP2 = [0x42, 0x5a, 0x68];
const XZ = [0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00];

/**
 * Tells how a file is compressed from its first COMPRESSION_MAGIC_BYTES bytes,
 * or from all of them when it has fewer. Names and media types are not looked
 * at: `docker save` and registries disagree on them, the bytes never do.
 *
 * Sources: RFC 1952 (gzip), RFC 8878 section 3.1 (zstd frames and skippable
 * frames), the .xz file format 1.2.1 section 2.1.1.1.
 */
export function detectCompression(start: Uint8Array): Compression {
  if (startsWith(start, GZIP)) return 'gzip';
  if (startsWith(start, ZSTD) || isSkippableZstdFrame(start)) return 'zstd';
  if (startsWith(start, BZIP2)) return 'bzip2';
  if (startsWith(start, XZ)) return 'xz';
  return 'none';
}

function startsWith(bytes: Uint8Array, magic: readonly number[]): boolean {
  return bytes.length >= magic.length && magic.every((byte, at) => bytes[at] === byte);
}

/** Skippable frames carry 0x184D2A50 to 0x184D2A5F, little endian. */
function isSkippableZstdFrame(bytes: Uint8Array): boolean {
  return ((bytes[0] ?? 0) & 0xf0) === 0x50 && startsWith(bytes.subarray(1), [0x2a, 0x4d, 0x18]);
}
