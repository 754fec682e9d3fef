import { loadCode, StoreError } from '../errors.js';

/** Size of a tar header, and what every entry's data is padded to. */
export const TAR_BLOCK_BYTES = 512;

/** What the scan of a tar needs of a header: its type letter and size. */
export interface TarHeader {
  /** Type flag as the character it is, `0` for a regular file (also where old tars write NUL). */
  readonly type: string;
  /** As the header writes it, whether or not data follow. */
  readonly size: number;
  /** Whether the name in the header itself ends in a slash. */
  readonly slash: boolean;
  /** Set on a sparse file in the old GNU format. */
  readonly sparse?: OldSparse | undefined;
}

/** What the old GNU format says of a sparse file beside the size of its data. */
interface OldSparse {
  /** Bytes of the file with its holes. */
  readonly fileBytes: number;
  /** Whether blocks that continue the map of holes come before the data. */
  readonly extended: boolean;
}

/** Type flags of the headers that only say something about the next entry. */
export const EXTENDED_TYPES: ReadonlySet<string> = new Set(['x', 'g', 'L', 'K', 'N']);

/** Type flags of entries that have no data, whatever size they write (as Go's archive/tar reads them). */
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

/** Whether `block` is one of the zero blocks that end a tar. */
export function isZeroBlock(block: Uint8Array): boolean {
  return block[0] === 0 && block.every((byte) => byte === 0);
}

/**
 * Returns what the TAR_BLOCK_BYTES of `block` say, after checking their
 * checksum. Sources: POSIX.1-2017 pax, ustar Interchange Format; the GNU tar
 * manual for base-256 sizes.
 *
 * @throws {StoreError} ARCHIVE_INVALID for a wrong checksum or a size that is no number
 */
export function parseTarHeader(block: Uint8Array): TarHeader {
  const expected = parseOctal(block, CHECKSUM_OFFSET, CHECKSUM_BYTES);
  const sum = checksum(block);
  if (expected !== sum) {
    throw invalidTar(`expected a header with checksum ${sum}, found ${expected ?? 'no number'}`);
  }
  const letter = String.fromCharCode(block[TYPE_OFFSET] ?? 0);
  const slash = nameEndsInSlash(block);
  // Before POSIX a directory was a file whose name ends in a slash.
  const type = letter === '\0' ? (slash ? '5' : '0') : letter;
  const size = parseSize(block, SIZE_OFFSET);
  if (type === 'S') {
    const extended = block[SPARSE_EXTENDED_OFFSET] !== 0;
    return { type, size, slash, sparse: { fileBytes: parseSize(block, SPARSE_SIZE_OFFSET), extended } };
  }
  return { type, size, slash };
}

/** Whether another block of a sparse file's map follows this one (GNU tar manual, old GNU format). */
export function sparseMapContinues(block: Uint8Array): boolean {
  return block[SPARSE_CONTINUED_OFFSET] !== 0;
}

/** Sizes that a PAX header gives the entry after it; each is absent when no record gives it. */
export interface PaxSizes {
  /** Bytes of data. */
  readonly size?: number | undefined;
  /** Bytes of a sparse file with its holes. */
  readonly fileBytes?: number | undefined;
}

/** Records that give the size of a sparse file, in the versions 0.x and 1.0 of GNU's format. */
const SPARSE_SIZE_KEYS: ReadonlySet<string> = new Set(['GNU.sparse.size', 'GNU.sparse.realsize']);

/**
 * Returns the sizes in the records of a PAX header.
 * @throws {StoreError} ARCHIVE_INVALID when the records are malformed or a size is no number
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

/** The records `length key=value\n` of a PAX header, in order. */
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

/** Returns the error for a tar that cannot be read. */
export function invalidTar(found: string): StoreError {
  return new StoreError('ARCHIVE_INVALID', `cannot read the tar: ${found}`);
}

function nameEndsInSlash(block: Uint8Array): boolean {
  const nul = block.indexOf(0);
  return block[Math.min(nul === -1 ? NAME_END : nul, NAME_END) - 1] === 0x2f;
}

/** The sum of the header's bytes, its own field counted as spaces. */
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

/** A number field: octal digits, or base 256 when its first byte has the top bit set. */
function parseNumber(block: Uint8Array, offset: number, length: number): number | undefined {
  const first = block[offset] ?? 0;
  if ((first & 0x80) === 0) return parseOctal(block, offset, length);
  // 0xff starts a negative number, which no size is.
  if (first !== 0x80) return undefined;
  let value = 0;
  for (let at = offset + 1; at < offset + length; at++) value = value * 256 + (block[at] ?? 0);
  return value;
}

const OCTAL_FIELD = /^ *\0*([0-7]*)[ \0]*$/;

/**
 * Octal digits with padding; an empty field is 0. Stricter than most readers,
 * so that every reader finds the same number in what is accepted here.
 */
function parseOctal(block: Uint8Array, offset: number, length: number): number | undefined {
  const digits = OCTAL_FIELD.exec(Buffer.from(block.buffer, block.byteOffset + offset, length).toString('latin1'))?.[1];
  return digits === undefined ? undefined : Number.parseInt(digits || '0', 8);
}

/** What a header says of an entry; the rest is the same for all, so that the same entries give the same bytes. */
interface FormattedEntry {
  readonly type: 'directory' | 'file';
  /** ASCII, at most 100 bytes; of a directory with a slash at its end. */
  readonly name: string;
  /** Bytes of its data. */
  readonly size: number;
}

const MODES = { directory: 0o755, file: 0o644 } as const;
const NAME = /^[\x20-\x7e]{1,100}$/;

/**
 * Resolves with the header block of an entry with its time at the epoch and owner 0: readable by all, and directories by whoever searches them.
 * @throws {RangeError} when the name does not fit
 */
export async function formatTarHeader({ type, name, size }: FormattedEntry): Promise<Uint8Array> {
  // A longer name would have a block before.
  if (!NAME.test(name)) throw new RangeError(`name must be ASCII, at most 100 bytes: ${JSON.stringify(name)}`);
  const { pack } = await loadCode('that writes tar', import('tar-stream'));
  const tar = pack();
  // Its data never comes: of all that tar-stream packs, the header alone is taken.
  tar.entry({ name, type, size, mode: MODES[type], mtime: new Date(0) }).on('error', () => undefined);
  for await (const block of tar as unknown as AsyncIterable<Uint8Array>) return block;
  throw new RangeError(`no header was packed for ${name}`);
}

/** Returns the zero bytes between data of `size` bytes and the next header. */
export function tarPadding(size: number): Uint8Array {
  return new Uint8Array((TAR_BLOCK_BYTES - (size % TAR_BLOCK_BYTES)) % TAR_BLOCK_BYTES);
}
