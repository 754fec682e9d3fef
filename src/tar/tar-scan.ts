import { StoreError } from '../errors.js';
import { MAX_EXTENDED_HEADER_BYTES, MAX_LAYER_ENTRIES } from '../limits.js';
import {
  DATALESS_TYPES,
  EXTENDED_TYPES,
  FILE_TYPES,
  invalidTar,
  isZeroBlock,
  parsePaxSizes,
  parseTarHeader,
  type PaxSizes,
  sparseMapContinues,
  TAR_BLOCK_BYTES,
  type TarHeader,
} from './tar-header.js';

/** What a scan refuses beyond a malformed tar. */
export interface TarScanOptions {
  /** Entries, extended headers not counted. */
  readonly maxEntries?: number | undefined;
  /** Bytes of the extended headers before one entry. */
  readonly maxExtendedBytes?: number | undefined;
  /** Refuse what tar readers do not agree on: sparse files, and data after links, devices and directories. */
  readonly plainFilesOnly?: boolean | undefined;
}

/** What comes next in the tar. */
type Expecting = 'header' | 'second zero block' | 'sparse map' | 'records' | 'end';

/**
 * Walks over a tar as its bytes pass by: checks every header, adds up the
 * sizes of the regular files and keeps nothing but one block and one PAX
 * header. It costs nothing for each byte of data, only for each header.
 *
 * Two zero blocks end the tar as for Go's archive/tar; what follows is not
 * looked at. A tar without them ends where its last entry does.
 */
export class TarScan {
  readonly #maxEntries: number;
  readonly #maxExtendedBytes: number;
  readonly #plainFilesOnly: boolean;
  readonly #block = new Uint8Array(TAR_BLOCK_BYTES);
  #blockBytes = 0;
  #expecting: Expecting = 'header';
  /** Bytes of data still to pass by, and of the padding after them. */
  #dataBytes = 0;
  #paddingBytes = 0;
  #extendedBytes = 0;
  #records: { readonly type: string; readonly bytes: Uint8Array; filled: number } | undefined;
  #pax: PaxSizes = {};
  #entries = 0;
  #fileBytes = 0;

  constructor(options: TarScanOptions = {}) {
    this.#maxEntries = options.maxEntries ?? MAX_LAYER_ENTRIES;
    this.#maxExtendedBytes = options.maxExtendedBytes ?? MAX_EXTENDED_HEADER_BYTES;
    this.#plainFilesOnly = options.plainFilesOnly ?? false;
  }

  /** Bytes of the regular files so far, with the holes of sparse ones. */
  get fileBytes(): number {
    return this.#fileBytes;
  }

  /** Whether the zero blocks that end a tar were seen. */
  get ended(): boolean {
    return this.#expecting === 'end';
  }

  /**
   * Takes the next bytes and returns how many of them belong to the tar: all,
   * or fewer when it ends within them.
   *
   * @throws {StoreError} ARCHIVE_INVALID for a malformed header, ARCHIVE_LIMIT_EXCEEDED when a limit is passed
   */
  push(chunk: Uint8Array): number {
    let at = 0;
    while (at < chunk.length && this.#expecting !== 'end') {
      // The map of a sparse file comes before its data.
      if (this.#expecting === 'sparse map') at += this.#fillBlock(chunk, at);
      else if (this.#dataBytes > 0) at += this.#passData(chunk.subarray(at));
      else if (this.#paddingBytes > 0) {
        const passed = Math.min(this.#paddingBytes, chunk.length - at);
        this.#paddingBytes -= passed;
        at += passed;
      } else at += this.#fillBlock(chunk, at);
    }
    return at;
  }

  /**
   * Ends the tar. Missing zero blocks and missing padding after the last entry are accepted.
   * @throws {StoreError} ARCHIVE_TRUNCATED when it stops inside an entry or a header
   */
  end(): void {
    const complete = this.#dataBytes === 0 && this.#blockBytes === 0 && this.#extendedBytes === 0;
    if (complete && this.#expecting !== 'sparse map' && this.#expecting !== 'records') return;
    throw new StoreError('ARCHIVE_TRUNCATED', 'cannot read the tar: expected the rest of an entry, found the end');
  }

  /** Passes data by, keeping it when it is the records of a PAX header. */
  #passData(bytes: Uint8Array): number {
    const passed = Math.min(this.#dataBytes, bytes.length);
    if (this.#records !== undefined) {
      this.#records.bytes.set(bytes.subarray(0, passed), this.#records.filled);
      this.#records.filled += passed;
    }
    this.#dataBytes -= passed;
    if (this.#dataBytes === 0) this.#finishRecords();
    return passed;
  }

  #finishRecords(): void {
    if (this.#records === undefined) return;
    const { type, bytes } = this.#records;
    this.#records = undefined;
    this.#expecting = 'header';
    const sizes = parsePaxSizes(bytes);
    const sparse = sizes.fileBytes !== undefined;
    if (type === 'g' && (sizes.size !== undefined || sparse)) {
      throw invalidTar('expected no size in a global header, found one');
    }
    if (this.#plainFilesOnly && sparse) throw invalidTar('expected no sparse file, found one');
    if (type === 'x') this.#pax = sizes;
  }

  #fillBlock(chunk: Uint8Array, at: number): number {
    const taken = Math.min(TAR_BLOCK_BYTES - this.#blockBytes, chunk.length - at);
    this.#block.set(chunk.subarray(at, at + taken), this.#blockBytes);
    this.#blockBytes += taken;
    if (this.#blockBytes === TAR_BLOCK_BYTES) {
      this.#blockBytes = 0;
      this.#takeBlock();
    }
    return taken;
  }

  #takeBlock(): void {
    if (this.#expecting === 'sparse map') {
      if (!sparseMapContinues(this.#block)) this.#expecting = 'header';
      return;
    }
    if (isZeroBlock(this.#block)) {
      if (this.#extendedBytes > 0) throw invalidTar('expected an entry after an extended header, found the end');
      this.#expecting = this.#expecting === 'second zero block' ? 'end' : 'second zero block';
      return;
    }
    if (this.#expecting === 'second zero block') throw invalidTar('expected a second zero block, found something else');
    const header = parseTarHeader(this.#block);
    if (EXTENDED_TYPES.has(header.type)) this.#takeExtended(header);
    else this.#takeEntry(header);
  }

  /** An extended header: its limit is checked before any of it is kept, here or by who reads after this scan. */
  #takeExtended(header: TarHeader): void {
    this.#extendedBytes += TAR_BLOCK_BYTES + header.size;
    if (this.#extendedBytes > this.#maxExtendedBytes) {
      throw exceeded('extended header bytes before one entry', this.#maxExtendedBytes, this.#extendedBytes);
    }
    if ((header.type === 'x' || header.type === 'g') && header.size > 0) {
      this.#records = { type: header.type, bytes: new Uint8Array(header.size), filled: 0 };
      this.#expecting = 'records';
    }
    this.#expectData(header.size);
  }

  #takeEntry(header: TarHeader): void {
    this.#entries += 1;
    if (this.#entries > this.#maxEntries) throw exceeded('entries', this.#maxEntries, this.#entries);
    const written = this.#pax.size ?? header.size;
    if (this.#plainFilesOnly) refuseUnusual(header, written);
    const isFile = FILE_TYPES.has(header.type);
    const size = DATALESS_TYPES.has(header.type) ? 0 : written;
    if (isFile) this.#fileBytes += header.sparse?.fileBytes ?? this.#pax.fileBytes ?? size;
    if (header.sparse?.extended) this.#expecting = 'sparse map';
    this.#pax = {};
    this.#extendedBytes = 0;
    this.#expectData(size);
  }

  #expectData(size: number): void {
    this.#dataBytes = size;
    this.#paddingBytes = (TAR_BLOCK_BYTES - (size % TAR_BLOCK_BYTES)) % TAR_BLOCK_BYTES;
  }
}

/** Refuses entries after which some readers would look for the next header elsewhere. */
function refuseUnusual(header: TarHeader, size: number): void {
  if (header.sparse !== undefined) throw invalidTar('expected no sparse file, found one');
  const bare = DATALESS_TYPES.has(header.type) ? header.type !== '5' : header.slash;
  if (bare && size > 0) throw invalidTar(`expected no data for an entry of type ${header.type}, found ${size} bytes`);
}

function exceeded(what: string, limit: number, found: number): StoreError {
  return new StoreError(
    'ARCHIVE_LIMIT_EXCEEDED',
    `cannot read the tar: expected at most ${limit} ${what}, found ${found}`,
    {
      data: { limit, found },
    },
  );
}
