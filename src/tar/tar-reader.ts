import { type Extract, extract, type Header } from 'tar-stream';
import { StoreError } from '../errors.js';
import { MAX_ARCHIVE_ENTRIES, MAX_ARCHIVE_NAME_BYTES, MAX_EXTENDED_HEADER_BYTES } from '../limits.js';
import { drained } from './drained.js';
import { invalidTar, TAR_BLOCK_BYTES } from './tar-header.js';
import { TarScan } from './tar-scan.js';

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
