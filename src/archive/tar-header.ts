import { loadCode, StoreError } from '../errors.js';

/** Size of a tar header; entry data is padded to a multiple of it. */
export const TAR_BLOCK_BYTES = 512;

/** The header fields that TarScan needs. */
export interface TarHeader {
  /** Type flag; `0` for a regular file (old tars write NUL). */
  readonly type: string;
  /** As written in the header, even if no data follows. */
  readonly size: number;
  /** Whether the name in this header ends in a slash. */
  readonly slash: boolean;
  /** Set for a sparse file in the old GNU format. */
  readonly sparse?: OldSparse | undefined;
}

/** Old GNU sparse fields besides the data size. */
interface OldSparse {
  readonly fileBytes: number;
  /** Whether further sparse map blocks precede the data. */
  readonly extended: boolean;
}

/** Type flags of headers that only describe the next entry. */
export const EXTENDED_TYPES: ReadonlySet<string> = new Set(['x', 'g', 'L', 'K', 'N']);

/** Type flags of entries without data, whatever size they claim (like Go's archive/tar). */
export const DATALESS_TYPES: ReadonlySet<string> = new Set(['1', '2', '3', '4', '5', '6']);

/** Type flags of regular files. */
export const FILE_TYPES: ReadonlySet<string> = new Set(['0', '7', 'S']);

const CHECKSUM_OFFSET = 148;
const CHECKSUM_BYTES = 8;
const SIZE_OFFSET = 124;
const SIZE_BYTES = 12;
const TYPE_OFFSET = 156;
const NAME_END = 100;
const SPARSE_EXTENDED_OFFSET = 482;
const SPARSE_SIZE_OFFSET = 483;
const SPARSE_CONTINUED_OFFSET = 504;

/** Returns whether `block` is an end-of-tar zero block. */
export function isZeroBlock(block: Uint8Array): boolean {
  return block[0] === 0 && block.every((byte) => byte === 0);
}

/**
 * Parses a header block of TAR_BLOCK_BYTES and verifies its checksum. Sources: POSIX.1-2017 pax,
 * ustar Interchange Format; the GNU tar manual for base-256 sizes.
 * @throws {StoreError} ARCHIVE_INVALID for a wrong checksum or a non-numeric size
 */
export function parseTarHeader(block: Uint8Array): TarHeader {
  const expected = parseOctal(block, CHECKSUM_OFFSET, CHECKSUM_BYTES);
  const sum = checksum(block);
  if (expected !== sum) {
    throw invalidTar(`expected a header with checksum ${sum}, found ${expected ?? 'no number'}`);
  }
  const letter = String.fromCharCode(block[TYPE_OFFSET] ?? 0);
  const slash = nameEndsInSlash(block);
  // Pre-POSIX tars mark a directory as a file whose name ends in a slash.
  const type = letter === '\0' ? (slash ? '5' : '0') : letter;
  const size = parseSize(block, SIZE_OFFSET);
  if (type === 'S') {
    const extended = block[SPARSE_EXTENDED_OFFSET] !== 0;
    return { type, size, slash, sparse: { fileBytes: parseSize(block, SPARSE_SIZE_OFFSET), extended } };
  }
  return { type, size, slash };
}

/** Returns whether another sparse map block follows (GNU tar manual, old GNU format). */
export function sparseMapContinues(block: Uint8Array): boolean {
  return block[SPARSE_CONTINUED_OFFSET] !== 0;
}

/** Sizes from a PAX header for the next entry; absent without a record. */
export interface PaxSizes {
  readonly size?: number | undefined;
  /** Including holes. */
  readonly fileBytes?: number | undefined;
}

/** Sparse size records in GNU formats 0.x and 1.0. */
const SPARSE_SIZE_KEYS: ReadonlySet<string> = new Set(['GNU.sparse.size', 'GNU.sparse.realsize']);

/**
 * Parses the sizes from PAX records.
 * @throws {StoreError} ARCHIVE_INVALID for malformed records or a non-numeric size
 */
export function parsePaxSizes(records: Uint8Array): PaxSizes {
  let size: number | undefined;
  let fileBytes: number | undefined;
  for (const [key, value] of paxRecords(records)) {
    const isFileSize = SPARSE_SIZE_KEYS.has(key);
    if (key !== 'size' && !isFileSize) continue;
    if (!/^\d{1,15}$/.test(value)) throw invalidTar(`expected a size, found ${JSON.stringify(value.slice(0, 40))}`);
    if (isFileSize) fileBytes = Number(value);
    else size = Number(value);
  }
  return { size, fileBytes };
}

/** Yields the `length key=value\n` records of a PAX header, in order. */
function* paxRecords(bytes: Uint8Array): Generator<[key: string, value: string]> {
  const text = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let at = 0;
  while (at < text.length && text[at] !== 0) {
    const space = text.indexOf(0x20, at);
    const digits = text.toString('latin1', at, Math.min(space === -1 ? at : space, at + 10));
    const end = /^[1-9]\d*$/.test(digits) ? at + Number(digits) : 0;
    const equals = text.indexOf(0x3d, space);
    if (end > text.length || text[end - 1] !== 0x0a || equals === -1 || equals >= end) {
      throw invalidTar('expected PAX records, found something else');
    }
    yield [text.toString('utf8', space + 1, equals), text.toString('utf8', equals + 1, end - 1)];
    at = end;
  }
}

/** Creates the error for an unreadable tar. */
export function invalidTar(found: string): StoreError {
  return new StoreError('ARCHIVE_INVALID', `cannot read the tar: ${found}`);
}

function nameEndsInSlash(block: Uint8Array): boolean {
  const nul = block.indexOf(0);
  return block[Math.min(nul === -1 ? NAME_END : nul, NAME_END) - 1] === 0x2f;
}

/** Sums the header bytes, counting the checksum field as spaces. */
function checksum(block: Uint8Array): number {
  let sum = CHECKSUM_BYTES * 0x20;
  for (let at = 0; at < CHECKSUM_OFFSET; at++) sum += block[at] ?? 0;
  for (let at = CHECKSUM_OFFSET + CHECKSUM_BYTES; at < TAR_BLOCK_BYTES; at++) sum += block[at] ?? 0;
  return sum;
}

function parseSize(block: Uint8Array, offset: number): number {
  const size = parseNumber(block, offset, SIZE_BYTES);
  if (size !== undefined && Number.isSafeInteger(size)) return size;
  throw invalidTar('expected a header with a size, found none that can be read');
}

/** Parses octal digits, or base 256 if the first byte has its top bit set. */
function parseNumber(block: Uint8Array, offset: number, length: number): number | undefined {
  const first = block[offset] ?? 0;
  if ((first & 0x80) === 0) return parseOctal(block, offset, length);
  // 0xff marks a negative number, invalid as a size.
  if (first !== 0x80) return undefined;
  let value = 0;
  for (let at = offset + 1; at < offset + length; at++) value = value * 256 + (block[at] ?? 0);
  return value;
}

const OCTAL_FIELD = /^ *\0*([0-7]*)[ \0]*$/;

/** Parses padded octal digits; empty is 0. Strict, so all readers agree on what is accepted. */
function parseOctal(block: Uint8Array, offset: number, length: number): number | undefined {
  const digits = OCTAL_FIELD.exec(Buffer.from(block.buffer, block.byteOffset + offset, length).toString('latin1'))?.[1];
  return digits === undefined ? undefined : Number.parseInt(digits || '0', 8);
}

/** The variable header fields; all others are constant, so output is deterministic. */
interface FormattedEntry {
  readonly type: 'directory' | 'file';
  /** ASCII, at most 100 bytes; directories end in a slash. */
  readonly name: string;
  readonly size: number;
}

const MODES = { directory: 0o755, file: 0o644 } as const;
const NAME = /^[\x20-\x7e]{1,100}$/;

/**
 * Builds the header block of an entry: epoch time, owner 0, world-readable.
 * @throws {RangeError} if the name does not fit
 */
export async function formatTarHeader({ type, name, size }: FormattedEntry): Promise<Uint8Array> {
  // A longer name would need an extra header block.
  if (!NAME.test(name)) throw new RangeError(`name must be ASCII, at most 100 bytes: ${JSON.stringify(name)}`);
  const { pack } = await loadCode('that writes tar', import('tar-stream'));
  const tar = pack();
  // Only the header is taken from tar-stream, so the missing data causes an error to ignore.
  tar.entry({ name, type, size, mode: MODES[type], mtime: new Date(0) }).on('error', () => undefined);
  for await (const block of tar as unknown as AsyncIterable<Uint8Array>) return block;
  throw new RangeError(`no header was packed for ${name}`);
}

/** Returns the zero padding after `size` bytes of data. */
export function tarPadding(size: number): Uint8Array {
  return new Uint8Array((TAR_BLOCK_BYTES - (size % TAR_BLOCK_BYTES)) % TAR_BLOCK_BYTES);
}
