import { ByteReader } from './byte-reader.js';
import { maskedCrc32c } from './crc32c.js';

/** Bytes of the footer at the end of a table (doc/table_format.md). */
export const FOOTER_BYTES = 48;
/** Bytes behind each block: its compression and its checksum. */
export const BLOCK_TRAILER_BYTES = 5;
/** The last eight bytes of a table. */
const MAGIC = Uint8Array.of(0x57, 0xfb, 0x80, 0x8b, 0x24, 0x75, 0x47, 0xdb);

/** Where a block stands in a table; its trailer comes behind it. */
export interface BlockHandle {
  readonly offset: number;
  readonly size: number;
}

/** Returns where the two blocks stand by which LevelDB finds all others, or undefined when these bytes are no footer. */
export function parseFooter(footer: Uint8Array): readonly BlockHandle[] | undefined {
  if (footer.length !== FOOTER_BYTES) return undefined;
  if (!MAGIC.every((byte, at) => footer[FOOTER_BYTES - MAGIC.length + at] === byte)) return undefined;
  const reader = new ByteReader(footer);
  const handles: BlockHandle[] = [];
  for (const _ of ['metaindex', 'index']) {
    const offset = reader.number();
    const size = reader.number();
    if (offset === undefined || size === undefined) return undefined;
    handles.push({ offset, size });
  }
  return handles;
}

/** Whether a block, its trailer behind it, has the checksum that was written with it. */
export function isWholeBlock(blockAndTrailer: Uint8Array): boolean {
  const end = blockAndTrailer.length - 4;
  if (end < 1) return false;
  const stored = new DataView(blockAndTrailer.buffer, blockAndTrailer.byteOffset + end, 4).getUint32(0, true);
  return maskedCrc32c(blockAndTrailer.subarray(0, end)) === stored;
}
