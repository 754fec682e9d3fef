import { StoreError } from '../errors.js';
import { MAX_EXTENDED_HEADER_BYTES, MAX_LAYER_ENTRIES, MAX_SPARSE_RUNS } from '../limits.js';
import {
  appendOldSparseRuns,
  DATALESS_TYPES,
  EXTENDED_TYPES,
  FILE_TYPES,
  invalidTar,
  isZeroBlock,
  nameEndsInSlash,
  parsePaxRecords,
  parseTarHeader,
  parseTarNames,
  parseText,
  type PaxRecords,
  sparseMapContinues,
  TAR_BLOCK_BYTES,
  tarPaddingBytes,
  type TarHeader,
} from './tar-header.js';

/** Restrictions beyond well-formedness. */
export interface TarScanOptions {
  /** Maximum entries, not counting extended headers. */
  readonly maxEntries?: number | undefined;
  /** Maximum bytes of extended headers before one entry. */
  readonly maxExtendedBytes?: number | undefined;
  /** Called when an entry's headers are complete, before its data. Without it, none is decoded. */
  readonly onMember?: ((member: TarMember) => void) | undefined;
  /** Refuse what readers disagree on: data after links, devices and names of directories. */
  readonly strict?: boolean | undefined;
}

/** An entry as its headers describe it. */
export interface TarMember {
  /** Type flag; `0` for a regular file, `5` for a directory. */
  readonly type: string;
  /** As written. */
  readonly name: string;
  /** Link target as written; empty for what is no link. */
  readonly target: string;
  /** Bytes that follow in the tar, without padding. */
  readonly size: number;
  /** The PAX records for it, those of global headers included. */
  readonly pax: PaxRecords;
  /** Of the old GNU sparse format: more runs than MAX_SPARSE_RUNS are not kept. */
  readonly oldSparse?: { readonly fileBytes: number; readonly runs: readonly number[] } | undefined;
}

type Expecting = 'header' | 'second zero block' | 'sparse map' | 'end';

/** An extended header whose data is being collected. */
interface Extended {
  readonly type: string;
  readonly bytes: Uint8Array;
  filled: number;
}

/**
 * Scans a tar as a stream: checks every header, sums regular file sizes, and keeps only one block
 * and the extended headers of one entry. Cost is per header, not per data byte.
 *
 * Two zero blocks end the tar, as in Go's archive/tar; anything after is ignored. A tar without
 * them ends with its last entry.
 */
export class TarScan {
  readonly #maxEntries: number;
  readonly #maxExtendedBytes: number;
  readonly #onMember: TarScanOptions['onMember'];
  readonly #strict: boolean;
  readonly #block = new Uint8Array(TAR_BLOCK_BYTES);
  #blockBytes = 0;
  /** Where in the tar the current block begins. */
  #offset = 0;
  #expecting: Expecting = 'header';
  /** Remaining data bytes of the entry, and of the padding after them. */
  #dataBytes = 0;
  #paddingBytes = 0;
  #extendedBytes = 0;
  #extended: Extended | undefined;
  #globalPax: PaxRecords = {};
  #pax: PaxRecords = {};
  #longName: Uint8Array | undefined;
  #longTarget: Uint8Array | undefined;
  /** The member whose sparse map is not complete yet. */
  #pending: { readonly member: TarMember; readonly runs: number[] } | undefined;
  #isTar = false;
  #entries = 0;
  #fileBytes = 0;

  constructor(options: TarScanOptions = {}) {
    this.#maxEntries = options.maxEntries ?? MAX_LAYER_ENTRIES;
    this.#maxExtendedBytes = options.maxExtendedBytes ?? MAX_EXTENDED_HEADER_BYTES;
    this.#onMember = options.onMember;
    this.#strict = options.strict ?? false;
  }

  /** Total bytes of regular files so far, including holes of sparse ones. */
  get fileBytes(): number {
    return this.#fileBytes;
  }

  /** Whether the end-of-tar zero blocks were seen. */
  get ended(): boolean {
    return this.#expecting === 'end';
  }

  /** Byte offset of the block being read, or of the data and padding after it. */
  get offset(): number {
    return this.#offset;
  }

  /** Whether the first block was a header or a zero block. */
  get isTar(): boolean {
    return this.#isTar;
  }

  /** Whether the next bytes are data of the member given last. */
  get isInData(): boolean {
    return this.#dataBytes > 0 && this.#extended === undefined && this.#expecting !== 'sparse map';
  }

  /**
   * Consumes bytes; returns how many belong to the tar (fewer than given if it ends within them).
   * @throws {StoreError} ARCHIVE_INVALID for a bad header, ARCHIVE_LIMIT_EXCEEDED
   */
  push(chunk: Uint8Array): number {
    let at = 0;
    while (at < chunk.length && !this.ended) at += this.advance(chunk, at);
    return at;
  }

  /**
   * Consumes bytes from `at` up to the end of a block, of an entry's data or of its padding, and
   * returns how many. Throws as `push`.
   */
  advance(chunk: Uint8Array, at: number): number {
    // A sparse file's map precedes its data.
    if (this.#expecting === 'sparse map') return this.#fillBlock(chunk, at);
    if (this.#dataBytes > 0) return this.#passData(chunk, at);
    if (this.#paddingBytes === 0) return this.#fillBlock(chunk, at);
    const passed = Math.min(this.#paddingBytes, chunk.length - at);
    this.#paddingBytes -= passed;
    this.#offset += passed;
    return passed;
  }

  /**
   * Ends the tar. Zero blocks may be missing after the last entry; unless strict, padding too.
   * @throws {StoreError} ARCHIVE_TRUNCATED if it stops inside an entry or header, ARCHIVE_INVALID
   *   for a text shorter than a header
   */
  end(): void {
    const start = this.#block.subarray(0, this.#blockBytes);
    // Every header contains NUL bytes, so a short file without any is something else.
    if (!this.#isTar && start.length > 0 && !start.includes(0)) {
      throw invalidTar(`expected a header, found a file of ${start.length} bytes`);
    }
    const isInside = this.#dataBytes > 0 || start.length > 0 || this.#extendedBytes > 0;
    const isCut = isInside || this.#expecting === 'sparse map' || (this.#strict && this.#paddingBytes > 0);
    if (!isCut) return;
    throw new StoreError('ARCHIVE_TRUNCATED', 'cannot read the tar: expected the rest of an entry, found the end');
  }

  /** Skips data, keeping that of an extended header. */
  #passData(chunk: Uint8Array, at: number): number {
    const passed = Math.min(this.#dataBytes, chunk.length - at);
    const extended = this.#extended;
    if (extended !== undefined) {
      extended.bytes.set(chunk.subarray(at, at + passed), extended.filled);
      extended.filled += passed;
    }
    this.#dataBytes -= passed;
    this.#offset += passed;
    if (this.#dataBytes === 0 && extended !== undefined) this.#finishExtended(extended);
    return passed;
  }

  #finishExtended({ type, bytes }: Extended): void {
    this.#extended = undefined;
    if (type === 'L') this.#longName = bytes;
    else if (type === 'K') this.#longTarget = bytes;
    else if (type === 'x') this.#pax = parsePaxRecords(bytes);
    else this.#takeGlobal(parsePaxRecords(bytes));
  }

  /** Readers disagree on whether a global size counts, and so on where the next header is. */
  #takeGlobal({ size, fileBytes, sparse: _, ...names }: PaxRecords): void {
    if (size !== undefined || fileBytes !== undefined) {
      throw invalidTar('expected no size in a global header, found one');
    }
    this.#globalPax = { ...this.#globalPax, ...names };
  }

  #fillBlock(chunk: Uint8Array, at: number): number {
    const taken = Math.min(TAR_BLOCK_BYTES - this.#blockBytes, chunk.length - at);
    this.#block.set(chunk.subarray(at, at + taken), this.#blockBytes);
    this.#blockBytes += taken;
    if (this.#blockBytes < TAR_BLOCK_BYTES) return taken;
    this.#takeBlock();
    this.#blockBytes = 0;
    this.#offset += TAR_BLOCK_BYTES;
    return taken;
  }

  #takeBlock(): void {
    if (this.#expecting === 'sparse map') {
      this.#takeSparseMap();
      return;
    }
    if (isZeroBlock(this.#block)) {
      this.#isTar = true;
      if (this.#extendedBytes > 0) throw invalidTar('expected an entry after an extended header, found the end');
      this.#expecting = this.#expecting === 'second zero block' ? 'end' : 'second zero block';
      return;
    }
    if (this.#expecting === 'second zero block') throw invalidTar('expected a second zero block, found something else');
    const header = parseTarHeader(this.#block);
    this.#isTar = true;
    if (EXTENDED_TYPES.has(header.type)) this.#takeExtended(header);
    else this.#takeEntry(header);
  }

  #takeSparseMap(): void {
    const runs = this.#pending?.runs;
    if (runs !== undefined && runs.length <= 2 * MAX_SPARSE_RUNS) appendOldSparseRuns(this.#block, 'block', runs);
    if (sparseMapContinues(this.#block)) return;
    this.#expecting = 'header';
    if (this.#pending !== undefined) this.#onMember?.(this.#pending.member);
    this.#pending = undefined;
  }

  /** Checks the limit before any of an extended header is kept. */
  #takeExtended(header: TarHeader): void {
    this.#extendedBytes += TAR_BLOCK_BYTES + header.size;
    if (this.#extendedBytes > this.#maxExtendedBytes) {
      throw exceeded('extended header bytes before one entry', this.#maxExtendedBytes, this.#extendedBytes);
    }
    if (header.size > 0) this.#extended = { type: header.type, bytes: new Uint8Array(header.size), filled: 0 };
    this.#expectData(header.size);
  }

  #takeEntry(header: TarHeader): void {
    this.#entries += 1;
    if (this.#entries > this.#maxEntries) throw exceeded('entries', this.#maxEntries, this.#entries);
    const written = this.#pax.size ?? header.size;
    // Pre-POSIX tars mark a directory as a file whose name ends in a slash.
    const type = header.isOld && this.#endsInSlash() ? '5' : header.type;
    if (this.#strict) this.#refuseUnusual(type, written);
    const size = DATALESS_TYPES.has(type) ? 0 : written;
    if (FILE_TYPES.has(type)) this.#fileBytes += header.sparse?.fileBytes ?? this.#pax.fileBytes ?? size;
    if (header.sparse?.extended) this.#expecting = 'sparse map';
    if (this.#onMember !== undefined) this.#giveMember(type, size, header, this.#onMember);
    this.#pax = {};
    this.#longName = undefined;
    this.#longTarget = undefined;
    this.#extendedBytes = 0;
    this.#expectData(size);
  }

  #giveMember(type: string, size: number, { sparse }: TarHeader, give: (member: TarMember) => void): void {
    const names = parseTarNames(this.#block);
    const pax = { ...this.#globalPax, ...this.#pax };
    const name = this.#longName === undefined ? (pax.path ?? names.name) : parseText(this.#longName);
    const target = this.#longTarget === undefined ? (pax.linkpath ?? names.target) : parseText(this.#longTarget);
    if (sparse === undefined) {
      give({ type, name, target, size, pax });
      return;
    }
    const runs: number[] = [];
    appendOldSparseRuns(this.#block, 'header', runs);
    const member = { type, name, target, size, pax, oldSparse: { fileBytes: sparse.fileBytes, runs } };
    if (sparse.extended) this.#pending = { member, runs };
    else give(member);
  }

  #endsInSlash(): boolean {
    if (this.#longName !== undefined) return parseText(this.#longName).endsWith('/');
    return this.#pax.path?.endsWith('/') ?? nameEndsInSlash(this.#block);
  }

  /** Rejects entries after which readers disagree on where the next header is. */
  #refuseUnusual(type: string, size: number): void {
    if (size === 0 || type === '5') return;
    if (!DATALESS_TYPES.has(type) && !(FILE_TYPES.has(type) && this.#endsInSlash())) return;
    throw invalidTar(`expected no data for an entry of type ${type}, found ${size} bytes`);
  }

  #expectData(size: number): void {
    this.#dataBytes = size;
    this.#paddingBytes = tarPaddingBytes(size);
  }
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
