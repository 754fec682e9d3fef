import type { Writable } from 'node:stream';
import { type Extract, extract, type Header } from 'tar-stream';
import { StoreError } from '../errors.js';
import {
  MAX_ARCHIVE_ENTRIES,
  MAX_ARCHIVE_NAME_BYTES,
  MAX_EXTENDED_HEADER_BYTES,
  MAX_LAYER_ENTRIES,
} from '../limits.js';
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

/** Restrictions beyond well-formedness. */
export interface TarScanOptions {
  /** Maximum entries, not counting extended headers. */
  readonly maxEntries?: number | undefined;
  /** Maximum bytes of extended headers before one entry. */
  readonly maxExtendedBytes?: number | undefined;
  /** Refuse what readers disagree on: sparse files, data after links, devices, directories. */
  readonly plainFilesOnly?: boolean | undefined;
}

type Expecting = 'header' | 'second zero block' | 'sparse map' | 'records' | 'end';

/**
 * Scans a tar as a stream: checks every header, sums regular file sizes, and keeps only one block
 * and one PAX header. Cost is per header, not per data byte.
 *
 * Two zero blocks end the tar, as in Go's archive/tar; anything after is ignored. A tar without
 * them ends with its last entry.
 */
export class TarScan {
  readonly #maxEntries: number;
  readonly #maxExtendedBytes: number;
  readonly #plainFilesOnly: boolean;
  readonly #block = new Uint8Array(TAR_BLOCK_BYTES);
  #blockBytes = 0;
  #expecting: Expecting = 'header';
  /** Remaining data bytes of the entry, and of the padding after them. */
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

  /** Total bytes of regular files so far, including holes of sparse ones. */
  get fileBytes(): number {
    return this.#fileBytes;
  }

  /** Whether the end-of-tar zero blocks were seen. */
  get ended(): boolean {
    return this.#expecting === 'end';
  }

  /**
   * Consumes bytes; returns how many belong to the tar (fewer than given if it ends within them).
   * @throws {StoreError} ARCHIVE_INVALID for a bad header, ARCHIVE_LIMIT_EXCEEDED
   */
  push(chunk: Uint8Array): number {
    let at = 0;
    while (at < chunk.length && this.#expecting !== 'end') {
      // A sparse file's map precedes its data.
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
   * Ends the tar. Zero blocks and padding may be missing after the last entry.
   * @throws {StoreError} ARCHIVE_TRUNCATED if it stops inside an entry or header
   */
  end(): void {
    const complete = this.#dataBytes === 0 && this.#blockBytes === 0 && this.#extendedBytes === 0;
    if (complete && this.#expecting !== 'sparse map' && this.#expecting !== 'records') return;
    throw new StoreError('ARCHIVE_TRUNCATED', 'cannot read the tar: expected the rest of an entry, found the end');
  }

  /** Skips data, keeping it if it holds PAX records. */
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

  /** Checks the limit before any of an extended header is kept, here or by a later reader. */
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

/** Rejects entries after which readers disagree on where the next header is. */
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

type Sink = Pick<Writable, 'destroyed'> & {
  on(event: 'drain' | 'close', listener: () => void): unknown;
  off(event: 'drain' | 'close', listener: () => void): unknown;
};

/** Resolves once `sink` drains or is destroyed. Call after a write returned false. */
export function drained(sink: Sink): Promise<void> {
  // 'close' is emitted only once, so listening after destruction would wait forever.
  if (sink.destroyed) return Promise.resolve();
  return new Promise((resolve) => {
    const done = (): void => {
      sink.off('drain', done);
      sink.off('close', done);
      resolve();
    };
    sink.on('drain', done);
    sink.on('close', done);
  });
}

/** Limits for one archive; defaults in limits.ts. */
export interface TarReaderOptions {
  readonly maxEntries?: number | undefined;
  readonly maxNameBytes?: number | undefined;
  readonly maxExtendedBytes?: number | undefined;
}

/** A tar entry. `other` is a device, a pipe or an unknown type. */
export interface TarEntry {
  /** As written in the archive. */
  readonly name: string;
  readonly type: 'file' | 'directory' | 'symlink' | 'link' | 'other';
  readonly size: number;
  /** Link target as written in the archive; empty otherwise. */
  readonly target: string;
  /** The data. Anything unread when the next entry is requested is skipped. */
  readonly body: AsyncIterable<Uint8Array>;
}

/**
 * Yields the entries of the tar in `source`, in order. Read each before requesting the next.
 * Memory: a few chunks and one extended header. Drops bytes after the end of the tar.
 *
 * tar-stream decodes names, links and bodies. A TarScan sees every byte first, because tar-stream
 * buffers whole extended headers before checking them, reads past the end, and accepts what other
 * readers refuse.
 * @throws {StoreError} ARCHIVE_INVALID if it is not a tar, ARCHIVE_TRUNCATED if it stops early or
 *   lacks the final zero blocks, ARCHIVE_LIMIT_EXCEEDED
 */
export async function* readTar(
  source: AsyncIterable<Uint8Array>,
  options: TarReaderOptions = {},
): AsyncGenerator<TarEntry> {
  // Pre-POSIX headers have no format mark; the scan has verified their checksums.
  const parser = extract({ allowUnknownFormat: true } as object);
  const failure: Failure = { error: undefined };
  const feeding = feed(source, parser, options);
  feeding.catch((error: unknown) => {
    failure.error = error;
    parser.destroy(error as Error);
  });
  try {
    for await (const entry of parser) {
      yield toEntry(entry as unknown as ParsedEntry, failure, options.maxNameBytes ?? MAX_ARCHIVE_NAME_BYTES);
      entry.resume();
    }
    await feeding;
  } catch (error) {
    if (failure.error !== undefined) throw failure.error;
    throw isParserError(error) ? invalidTar(`found ${error.message}`) : error;
  } finally {
    parser.destroy(null);
  }
}

/** Reads `source` to its end; feeds the tar to `parser` after the scan has checked it. */
async function feed(source: AsyncIterable<Uint8Array>, parser: Extract, options: TarReaderOptions): Promise<void> {
  const scan = new TarScan({
    maxEntries: options.maxEntries ?? MAX_ARCHIVE_ENTRIES,
    maxExtendedBytes: options.maxExtendedBytes ?? MAX_EXTENDED_HEADER_BYTES,
    plainFilesOnly: true,
  });
  let bytes = 0;
  let isText = true;
  for await (const chunk of source) {
    if (parser.destroyed) return;
    if (bytes < TAR_BLOCK_BYTES) isText &&= !chunk.subarray(0, TAR_BLOCK_BYTES - bytes).includes(0);
    bytes += chunk.length;
    const length = scan.push(chunk);
    if (length > 0 && !parser.write(chunk.subarray(0, length))) await drained(parser);
  }
  if (!scan.ended) {
    // Every header contains NUL bytes, so a short file without any is something else.
    if (bytes < TAR_BLOCK_BYTES && isText) throw invalidTar(`expected a header, found a file of ${bytes} bytes`);
    scan.end();
    throw new StoreError('ARCHIVE_TRUNCATED', 'cannot read the tar: expected two zero blocks at its end, found none');
  }
  parser.end(null);
}

/** An entry from tar-stream; null for an unknown type or a missing target. */
type ParsedEntry = AsyncIterable<Uint8Array> & {
  readonly header: Pick<Header, 'name' | 'size'> & { readonly type: string | null; readonly linkname: string | null };
};

function toEntry(entry: ParsedEntry, failure: Failure, maxNameBytes: number): TarEntry {
  const { name, type, size } = entry.header;
  const target = entry.header.linkname ?? '';
  for (const text of [name, target]) {
    const length = Buffer.byteLength(text);
    if (length <= maxNameBytes) continue;
    throw new StoreError(
      'ARCHIVE_LIMIT_EXCEEDED',
      `cannot read the tar: expected names of at most ${maxNameBytes} bytes, found one of ${length}: ${text.slice(0, 80)}…`,
      { data: { limit: maxNameBytes, found: length } },
    );
  }
  return { name, type: ENTRY_TYPES[type ?? 'other'] ?? 'other', size, target, body: bodyOf(entry, failure) };
}

interface Failure {
  error: unknown;
}

/** Reports the real failure: a body abandoned by the parser only says that it was destroyed. */
async function* bodyOf(entry: ParsedEntry, failure: Failure): AsyncGenerator<Uint8Array> {
  try {
    yield* entry;
  } catch (error) {
    throw failure.error ?? error;
  }
}

const ENTRY_TYPES: Readonly<Record<string, TarEntry['type']>> = {
  file: 'file',
  'contiguous-file': 'file',
  directory: 'directory',
  symlink: 'symlink',
  link: 'link',
};

/** Returns whether `error` originates in tar-stream rather than passing through it. */
function isParserError(error: unknown): error is Error {
  return (
    error instanceof Error && /tar header|Invalid header|Unexpected end of data|Header exceeds/.test(error.message)
  );
}
