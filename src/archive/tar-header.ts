import { StoreError } from '../errors.js';

/** Size of a tar header; entry data is padded to a multiple of it. */
export const TAR_BLOCK_BYTES = 512;

/** What a header says of its entry's kind and size. */
export interface TarHeader {
  /** Type flag; `0` for a regular file (old tars write NUL). */
  readonly type: string;
  /** Whether the type flag is NUL: then a name that ends in a slash is a directory's. */
  readonly isOld: boolean;
  /** As written in the header, even if no data follows. */
  readonly size: number;
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
export const EXTENDED_TYPES: ReadonlySet<string> = new Set(['x', 'g', 'L', 'K']);

/** Type flags of entries without data; any size that they claim is ignored (like Go's archive/tar). */
export const DATALESS_TYPES: ReadonlySet<string> = new Set(['1', '2', '3', '4', '5', '6']);

/** Type flags of regular files. */
export const FILE_TYPES: ReadonlySet<string> = new Set(['0', '7', 'S']);

const CHECKSUM_OFFSET = 148;
const CHECKSUM_BYTES = 8;
const SIZE_OFFSET = 124;
const SIZE_BYTES = 12;
const TYPE_OFFSET = 156;
const NAME_BYTES = 100;
const TARGET_OFFSET = 157;
const MAGIC_OFFSET = 257;
const PREFIX_OFFSET = 345;
const PREFIX_BYTES = 155;
/** Of star, which keeps times behind the prefix, and its mark at the end of the block. */
const STAR_PREFIX_BYTES = 131;
const STAR_MARK_OFFSET = 508;
const SPARSE_MAP_OFFSET = 386;
const SPARSE_MAP_RUNS = 4;
const SPARSE_BLOCK_RUNS = 21;
const SPARSE_EXTENDED_OFFSET = 482;
const SPARSE_SIZE_OFFSET = 483;
const SPARSE_CONTINUED_OFFSET = 504;

const ZERO_BLOCK = Buffer.alloc(TAR_BLOCK_BYTES);

/** Returns whether `block` is an end-of-tar zero block. */
export function isZeroBlock(block: Uint8Array): boolean {
  return block[0] === 0 && ZERO_BLOCK.equals(block);
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
  const flag = String.fromCharCode(block[TYPE_OFFSET] ?? 0);
  const isOld = flag === '\0';
  const type = isOld ? '0' : flag;
  const size = parseSize(block, SIZE_OFFSET);
  if (type !== 'S') return { type, isOld, size };
  const extended = block[SPARSE_EXTENDED_OFFSET] !== 0;
  return { type, isOld, size, sparse: { fileBytes: parseSize(block, SPARSE_SIZE_OFFSET), extended } };
}

/** Reads the name and the link target of a header; GNU's own format has no prefix. */
export function parseTarNames(block: Uint8Array): { readonly name: string; readonly target: string } {
  const name = parseText(block, 0, NAME_BYTES);
  const target = parseText(block, TARGET_OFFSET, NAME_BYTES);
  if (parseText(block, MAGIC_OFFSET, 6) !== 'ustar') return { name, target };
  const isStar = parseText(block, STAR_MARK_OFFSET, 4) === 'tar';
  const prefix = parseText(block, PREFIX_OFFSET, isStar ? STAR_PREFIX_BYTES : PREFIX_BYTES);
  return { name: prefix === '' ? name : `${prefix}/${name}`, target };
}

/** Decodes the text up to a NUL, at most `length` bytes. */
export function parseText(bytes: Uint8Array, offset = 0, length = bytes.length): string {
  const field = bytes.subarray(offset, offset + length);
  const nul = field.indexOf(0);
  return Buffer.from(field.buffer, field.byteOffset, nul === -1 ? field.length : nul).toString('utf8');
}

/** Returns whether the name in a header ends in a slash. */
export function nameEndsInSlash(block: Uint8Array): boolean {
  const nul = block.indexOf(0);
  return block[Math.min(nul === -1 ? NAME_BYTES : nul, NAME_BYTES) - 1] === 0x2f;
}

/**
 * Appends the offsets and lengths of an old GNU sparse map to `runs`: of a header, or of a block
 * that continues one. What is no number becomes NaN.
 */
export function appendOldSparseRuns(block: Uint8Array, where: 'header' | 'block', runs: number[]): void {
  const [start, count] = where === 'header' ? [SPARSE_MAP_OFFSET, SPARSE_MAP_RUNS] : [0, SPARSE_BLOCK_RUNS];
  for (let at = start; at < start + count * 2 * SIZE_BYTES; at += 2 * SIZE_BYTES) {
    if (block[at] === 0) return;
    runs.push(parseNumber(block, at, SIZE_BYTES) ?? Number.NaN);
    runs.push(parseNumber(block, at + SIZE_BYTES, SIZE_BYTES) ?? Number.NaN);
  }
}

/** Returns whether another sparse map block follows (GNU tar manual, old GNU format). */
export function sparseMapContinues(block: Uint8Array): boolean {
  return block[SPARSE_CONTINUED_OFFSET] !== 0;
}

/** The records of a PAX header that say what the next entry is; absent without a record. */
export interface PaxRecords {
  readonly path?: string;
  readonly linkpath?: string;
  readonly size?: number;
  /** Including holes. */
  readonly fileBytes?: number;
  /** Set for a sparse file in one of GNU's PAX formats. */
  readonly sparse?: PaxSparse;
}

/** GNU.sparse records: 0.0 has pairs, 0.1 a map, 1.0 its map in the data. */
interface PaxSparse {
  readonly name?: string;
  readonly major?: string;
  readonly minor?: string;
  readonly map?: string;
  /** Offsets and lengths in turn, as 0.0 repeats them; a wrong turn is an empty text. */
  readonly pairs?: readonly string[];
}

/** Sparse size records in GNU formats 0.x and 1.0. */
const SPARSE_SIZE_KEYS: ReadonlySet<string> = new Set(['GNU.sparse.size', 'GNU.sparse.realsize']);
const SPARSE = /^GNU\.sparse\.(name|major|minor|map)$/;
const SPARSE_PAIR_KEYS: readonly string[] = ['GNU.sparse.offset', 'GNU.sparse.numbytes'];

/**
 * Parses PAX records. An empty value stands for none.
 * @throws {StoreError} ARCHIVE_INVALID for malformed records or a non-numeric size
 */
export function parsePaxRecords(bytes: Uint8Array): PaxRecords {
  const found: { path?: string; linkpath?: string; size?: number; fileBytes?: number } = {};
  const sparse: Record<string, string> = {};
  const pairs: string[] = [];
  for (const [key, value] of paxRecords(bytes)) {
    const turn = SPARSE_PAIR_KEYS.indexOf(key);
    if (turn !== -1) pairs.push(pairs.length % 2 === turn ? value : '');
    else if (value === '') continue;
    else if (key === 'path' || key === 'linkpath') found[key] = value;
    else if (key === 'size') found.size = parseDecimalSize(value);
    else if (SPARSE_SIZE_KEYS.has(key)) found.fileBytes = parseDecimalSize(value);
    else {
      const sparseKey = SPARSE.exec(key)?.[1];
      if (sparseKey !== undefined) sparse[sparseKey] = value;
    }
  }
  if (pairs.length > 0) return { ...found, sparse: { ...sparse, pairs } };
  return Object.keys(sparse).length === 0 ? found : { ...found, sparse };
}

function parseDecimalSize(value: string): number {
  if (/^\d{1,15}$/.test(value)) return Number(value);
  throw invalidTar(`expected a size, found ${JSON.stringify(value.slice(0, 40))}`);
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

const MODE_OFFSET = 100;
const OWNER_OFFSET = 108;
const GROUP_OFFSET = 116;
const TIME_OFFSET = 136;
const DEVICE_OFFSETS = [329, 337];
const FORMATTED = { directory: { mode: 0o755, flag: '5' }, file: { mode: 0o644, flag: '0' } } as const;
const NAME = /^[\x20-\x7e]{1,100}$/;
/** Digits in a size field, with the space behind them. */
const SIZE_DIGITS = 11;

/** Whether `name` fits into a header block. */
export function isTarName(name: string): boolean {
  return NAME.test(name);
}

/**
 * Builds the header block of an entry in the ustar format: epoch time, owner 0, world-readable.
 * A size of more than 11 octal digits is written in base 256.
 * @throws {RangeError} if the name does not fit
 */
export function formatTarHeader({ type, name, size }: FormattedEntry): Uint8Array {
  // A longer name would need an extra header block.
  if (!isTarName(name)) throw new RangeError(`name must be ASCII, at most 100 bytes: ${JSON.stringify(name)}`);
  const { mode, flag } = FORMATTED[type];
  const block = Buffer.alloc(TAR_BLOCK_BYTES);
  block.write(name, 0, 'latin1');
  writeOctal(block, mode, MODE_OFFSET, 6);
  writeOctal(block, 0, OWNER_OFFSET, 6);
  writeOctal(block, 0, GROUP_OFFSET, 6);
  writeSize(block, size);
  writeOctal(block, 0, TIME_OFFSET, SIZE_DIGITS);
  block.write(flag, TYPE_OFFSET, 'latin1');
  block.write('ustar\x0000', MAGIC_OFFSET, 'latin1');
  for (const offset of DEVICE_OFFSETS) writeOctal(block, 0, offset, 6);
  writeOctal(block, checksum(block), CHECKSUM_OFFSET, 6);
  return block;
}

function writeOctal(block: Buffer, value: number, offset: number, digits: number): void {
  block.write(`${value.toString(8).padStart(digits, '0')} `, offset, 'latin1');
}

function writeSize(block: Buffer, size: number): void {
  if (size < 8 ** SIZE_DIGITS) {
    writeOctal(block, size, SIZE_OFFSET, SIZE_DIGITS);
    return;
  }
  block[SIZE_OFFSET] = 0x80;
  block.writeBigUInt64BE(BigInt(size), SIZE_OFFSET + SIZE_BYTES - 8);
}

/** Returns the zero padding after `size` bytes of data. */
export function tarPadding(size: number): Uint8Array {
  return new Uint8Array(tarPaddingBytes(size));
}

/** Bytes of padding after `size` bytes of data. */
export function tarPaddingBytes(size: number): number {
  return (TAR_BLOCK_BYTES - (size % TAR_BLOCK_BYTES)) % TAR_BLOCK_BYTES;
}
