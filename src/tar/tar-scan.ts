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

/** What a writer waits for: a stream of Node's, or one of tar-stream's that emits the same. */
type Sink = Pick<Writable, 'destroyed'> & {
  on(event: 'drain' | 'close', listener: () => void): unknown;
  off(event: 'drain' | 'close', listener: () => void): unknown;
};

/** Resolves when `sink` takes more, or never will because it was destroyed. Call it after a write that was told to wait. */
export function drained(sink: Sink): Promise<void> {
  // It says so only once: whoever listens after that would wait for ever.
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

/** Limits of one archive; each default is in limits.ts. */
export interface TarReaderOptions {
  readonly maxEntries?: number | undefined;
  readonly maxNameBytes?: number | undefined;
  readonly maxExtendedBytes?: number | undefined;
}

/** One entry of a tar. `other` is a device, a pipe, or what no reader knows. */
export interface TarEntry {
  /** As the archive writes it. */
  readonly name: string;
  readonly type: 'file' | 'directory' | 'symlink' | 'link' | 'other';
  /** Bytes of `body`. */
  readonly size: number;
  /** Target of a link, as the archive writes it; empty for the rest. */
  readonly target: string;
  /** The data. What is not read before the next entry is asked for is passed over. */
  readonly body: AsyncIterable<Uint8Array>;
}

/**
 * Gives the entries of the tar in `source`, in order, each before the next.
 * Memory stays at a few chunks and one extended header. Bytes after the tar's
 * end are read and left out.
 *
 * tar-stream decodes names, links and bodies; a TarScan before it sees every
 * byte first, because tar-stream buffers extended headers whole before it
 * looks at them, reads on after the end, and takes what other readers refuse.
 *
 * @throws {StoreError} ARCHIVE_INVALID when it is no tar, ARCHIVE_TRUNCATED when it stops early, which a tar
 *   without the zero blocks at its end does, ARCHIVE_LIMIT_EXCEEDED
 */
export async function* readTar(
  source: AsyncIterable<Uint8Array>,
  options: TarReaderOptions = {},
): AsyncGenerator<TarEntry> {
  // Headers from before POSIX have no format mark; the scan has checked their sums.
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

/** Gives `parser` the bytes of the tar, each after the scan has seen it, and reads the source to its end. */
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
    // Every header has NUL bytes, so a short file without one is something else.
    if (bytes < TAR_BLOCK_BYTES && isText) throw invalidTar(`expected a header, found a file of ${bytes} bytes`);
    scan.end();
    throw new StoreError('ARCHIVE_TRUNCATED', 'cannot read the tar: expected two zero blocks at its end, found none');
  }
  parser.end(null);
}

/** An entry as tar-stream gives it: null for a type it does not know and for a target that is not there. */
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

/** What made the feeding stop. */
interface Failure {
  error: unknown;
}

/** A body that the parser gave up before it was read only says that it was destroyed, not why. */
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

/** Whether `error` is tar-stream's own, and not one that came through it. */
function isParserError(error: unknown): error is Error {
  return (
    error instanceof Error && /tar header|Invalid header|Unexpected end of data|Header exceeds/.test(error.message)
  );
}
