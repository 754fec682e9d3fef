import { StoreError } from '../errors.js';
import {
  MAX_ARCHIVE_ENTRIES,
  MAX_ARCHIVE_NAME_BYTES,
  MAX_EXTENDED_HEADER_BYTES,
  MAX_SPARSE_HOLE_BYTES,
  MAX_SPARSE_RUNS,
} from '../limits.js';
import { invalidTar, TAR_BLOCK_BYTES } from './tar-header.js';
import { type TarMember, TarScan } from './tar-scan.js';

/** Limits for one archive; defaults in limits.ts. */
export interface TarReaderOptions {
  readonly maxEntries?: number | undefined;
  readonly maxNameBytes?: number | undefined;
  readonly maxExtendedBytes?: number | undefined;
  readonly maxSparseHoleBytes?: number | undefined;
}

/** Why an entry's body cannot be read; an error only for those who need it. */
export interface TarFault {
  readonly code: 'ARCHIVE_INVALID' | 'ARCHIVE_LIMIT_EXCEEDED';
  /** Completes "expected …, found …". */
  readonly expected: string;
  readonly found: string;
}

/** A tar entry. `other` has no body: a device, a pipe, a form that is not supported, or unknown. */
export interface TarEntry {
  /** As written in the archive. */
  readonly name: string;
  readonly type: 'file' | 'directory' | 'symlink' | 'link' | 'other';
  /** Bytes of the body; a sparse file's holes count. */
  readonly size: number;
  /** Link target as written in the archive; empty otherwise. */
  readonly target: string;
  /** The data, holes as zeros. Anything unread when the next entry is requested is skipped. */
  readonly body: AsyncIterable<Uint8Array>;
  /** Set for `other`. */
  readonly fault?: TarFault | undefined;
}

/**
 * Yields the entries of the tar in `source`, in order. Read each before requesting the next.
 * Memory: a source chunk, of which bodies are parts, and one extended header. Drops bytes after
 * the end of the tar. A tar that ends after an entry without its zero blocks is whole; `onUnended`
 * tells of it.
 * @throws {StoreError} ARCHIVE_INVALID if it is not a tar (with `data.isTar` false if it does not even
 *   begin as one), ARCHIVE_TRUNCATED if it stops inside an entry, ARCHIVE_LIMIT_EXCEEDED
 */
export async function* readTar(
  source: AsyncIterable<Uint8Array>,
  options: TarReaderOptions = {},
  onUnended: () => void = () => undefined,
): AsyncGenerator<TarEntry> {
  const iterator = source[Symbol.asyncIterator]();
  const reader = new TarReader(iterator, options);
  try {
    for (let entry = await reader.next(); entry !== undefined; entry = await reader.next()) yield entry;
    if (!reader.ended) onUnended();
  } finally {
    await iterator.return?.();
  }
}

const EMPTY = new Uint8Array(0);
/** Holes are given as parts of it. */
const ZEROS = new Uint8Array(64 * 1024);

/** Pulls chunks through a scan and gives out members and their data. */
class TarReader {
  readonly #source: AsyncIterator<Uint8Array>;
  readonly #scan: TarScan;
  readonly #maxNameBytes: number;
  #holeBytesLeft: number;
  #chunk: Uint8Array = EMPTY;
  #at = 0;
  #isEmpty = true;
  #current: TarMember | undefined;
  #begun: TarMember | undefined;
  /** Data of the current member that was not read: in the piece at hand, and at all. */
  #piece: Uint8Array = EMPTY;
  #dataBytes = 0;

  constructor(source: AsyncIterator<Uint8Array>, options: TarReaderOptions) {
    this.#source = source;
    this.#maxNameBytes = options.maxNameBytes ?? MAX_ARCHIVE_NAME_BYTES;
    this.#holeBytesLeft = options.maxSparseHoleBytes ?? MAX_SPARSE_HOLE_BYTES;
    this.#scan = new TarScan({
      maxEntries: options.maxEntries ?? MAX_ARCHIVE_ENTRIES,
      maxExtendedBytes: options.maxExtendedBytes ?? MAX_EXTENDED_HEADER_BYTES,
      strict: true,
      onMember: (member) => {
        this.#begun = member;
      },
    });
  }

  /** Whether the zero blocks were seen. */
  get ended(): boolean {
    return this.#scan.ended;
  }

  /** Skips the rest of the current entry; undefined at the end of the source. */
  async next(): Promise<TarEntry | undefined> {
    for (;;) {
      const found = this.#step() ?? (await this.#stepFurther());
      if (found === undefined) return undefined;
      if (found instanceof Uint8Array) continue;
      this.#current = found;
      this.#piece = EMPTY;
      this.#dataBytes = found.size;
      this.#checkName(found.name);
      if (found.type === LABEL_TYPE) continue;
      return this.#entryOf(found);
    }
  }

  /** The next member or piece of data in the current chunk, if one is left there. */
  #step(): TarMember | Uint8Array | undefined {
    const scan = this.#scan;
    while (this.#at < this.#chunk.length && !scan.ended) {
      const from = this.#at;
      const { isInData } = scan;
      this.#at += this.#located(() => scan.advance(this.#chunk, from));
      if (isInData) return this.#chunk.subarray(from, this.#at);
      if (this.#begun === undefined) continue;
      const begun = this.#begun;
      this.#begun = undefined;
      return begun;
    }
    return undefined;
  }

  /** Runs a step of the scan; an error tells where it arose. */
  #located<T>(step: () => T): T {
    try {
      return step();
    } catch (error) {
      if (!(error instanceof StoreError) || error.code === 'ARCHIVE_LIMIT_EXCEEDED') throw error;
      const { isInData, isTar, offset } = this.#scan;
      const where = isInData ? 'in' : 'after';
      const entry = this.#current === undefined ? '' : `, ${where} the entry ${shown(this.#current.name)}`;
      throw new StoreError(error.code, `${error.message}, at byte ${offset}${entry}`, {
        cause: error,
        data: { offset, isTar },
      });
    }
  }

  async #stepFurther(): Promise<TarMember | Uint8Array | undefined> {
    for (;;) {
      const next = await this.#source.next();
      if (next.done) break;
      if (next.value.length > 0) this.#isEmpty = false;
      this.#chunk = next.value;
      this.#at = 0;
      const found = this.#step();
      if (found !== undefined) return found;
    }
    this.#chunk = EMPTY;
    this.#at = 0;
    this.#end();
    return undefined;
  }

  #end(): void {
    this.#located(() => {
      if (this.#isEmpty) throw invalidTar('expected a header, found nothing');
      if (!this.#scan.ended) this.#scan.end();
    });
  }

  #checkName(name: string): void {
    const length = Buffer.byteLength(name);
    if (length <= this.#maxNameBytes) return;
    throw new StoreError(
      'ARCHIVE_LIMIT_EXCEEDED',
      `cannot read the tar: expected names of at most ${this.#maxNameBytes} bytes, found one of ${length}: ${name.slice(0, 80)}…`,
      { data: { limit: this.#maxNameBytes, found: length } },
    );
  }

  async #entryOf(member: TarMember): Promise<TarEntry> {
    const { name, target, size } = member;
    const type = ENTRY_TYPES[member.type];
    if (type === undefined) return withFault(name, unsupported(member.type));
    if (type !== 'file') return { name, type, size: 0, target, body: nothing() };
    const map = await this.#sparseMap(member);
    if (map === undefined) {
      return { name, type: name.endsWith('/') ? 'directory' : type, size, target: '', body: this.#data(member) };
    }
    const sparseName = member.pax.sparse?.name ?? name;
    this.#checkName(sparseName);
    if ('found' in map) return withFault(sparseName, map);
    return { name: sparseName, type, size: map.fileBytes, target: '', body: this.#expanded(member, map) };
  }

  async #sparseMap(member: TarMember): Promise<SparseMap | TarFault | undefined> {
    const isInData = member.oldSparse === undefined && member.pax.sparse?.major === '1';
    const map = isInData ? await this.#mapInData(member) : mapInHeaders(member);
    if (map === undefined || 'found' in map) return map;
    const fault = faultOf(map, this.#dataBytes);
    if (fault !== undefined) return fault;
    const holeBytes = map.fileBytes - this.#dataBytes;
    if (holeBytes > this.#holeBytesLeft) {
      return tooMuch(`holes of at most ${this.#holeBytesLeft} bytes in sparse files`, `${holeBytes} bytes`);
    }
    this.#holeBytesLeft -= holeBytes;
    return map;
  }

  /** Reads the map of the form 1.0: decimal lines at the start of the data, padded to a block. */
  async #mapInData(member: TarMember): Promise<SparseMap | TarFault> {
    const { fileBytes, sparse } = member.pax;
    if (sparse?.minor !== '0') return unknownForm(sparse);
    const numbers: number[] = [];
    let text = '';
    for (let wanted = 1; numbers.length < wanted; ) {
      const block = await this.#readBlock(member);
      if (block === undefined || text.length > TAR_BLOCK_BYTES) return badSparse('a map that its data does not hold');
      text += block;
      for (let end = text.indexOf('\n'); end !== -1 && numbers.length < wanted; end = text.indexOf('\n')) {
        numbers.push(sparseNumber(text.slice(0, end)));
        text = text.slice(end + 1);
        const [count = 0] = numbers;
        if (count > MAX_SPARSE_RUNS) return tooManyRuns(count);
        wanted = 1 + 2 * count;
      }
    }
    const [count, ...runs] = numbers;
    return { fileBytes: fileBytes ?? Number.NaN, runs: Number.isNaN(count) ? [Number.NaN] : runs };
  }

  /** Reads a block of the member's data as text; undefined if less is left. */
  async #readBlock(member: TarMember): Promise<string | undefined> {
    if (this.#dataBytes < TAR_BLOCK_BYTES) return undefined;
    let text = '';
    while (text.length < TAR_BLOCK_BYTES) {
      const part = await this.#read(member, TAR_BLOCK_BYTES - text.length);
      if (part === undefined) return undefined;
      text += Buffer.from(part).toString('latin1');
    }
    return text;
  }

  /** Reads at most `max` bytes of the member's data; undefined at its end, or when it is over. */
  async #read(member: TarMember, max: number): Promise<Uint8Array | undefined> {
    if (this.#current !== member || this.#dataBytes === 0) return undefined;
    if (this.#piece.length === 0) {
      const found = this.#step() ?? (await this.#stepFurther());
      if (!(found instanceof Uint8Array)) return undefined;
      this.#piece = found;
    }
    const part = this.#piece.subarray(0, max);
    this.#piece = this.#piece.subarray(part.length);
    this.#dataBytes -= part.length;
    return part;
  }

  async *#data(member: TarMember, bytes = member.size): AsyncGenerator<Uint8Array> {
    for (let left = bytes; left > 0; ) {
      const part = await this.#read(member, left);
      if (part === undefined) return;
      left -= part.length;
      yield part;
    }
  }

  async *#expanded(member: TarMember, { fileBytes, runs }: SparseMap): AsyncGenerator<Uint8Array> {
    let at = 0;
    for (let run = 0; run < runs.length; run += 2) {
      const [offset = 0, length = 0] = runs.slice(run, run + 2);
      yield* zeros(offset - at);
      yield* this.#data(member, length);
      at = offset + length;
    }
    yield* zeros(fileBytes - at);
  }
}

/** GNU's label of a volume: its name names no data. */
const LABEL_TYPE = 'V';

const ENTRY_TYPES: Readonly<Record<string, Exclude<TarEntry['type'], 'other'>>> = {
  '0': 'file',
  '7': 'file',
  S: 'file',
  '1': 'link',
  '2': 'symlink',
  '5': 'directory',
  // Of GNU's incremental backups; its data lists the directory.
  D: 'directory',
};

function unsupported(type: string): TarFault {
  const expected = 'a file';
  const found = OTHER_TYPES[type] ?? `an entry of the unknown type ${shown(type)}`;
  return { code: 'ARCHIVE_INVALID', expected, found };
}

const OTHER_TYPES: Readonly<Record<string, string>> = {
  '3': 'a device',
  '4': 'a device',
  '6': 'a pipe',
  M: 'a part of a file that spans volumes (GNU tar --multi-volume)',
};

function withFault(name: string, fault: TarFault): TarEntry {
  return { name, type: 'other', size: 0, target: '', body: nothing(), fault };
}

async function* nothing(): AsyncGenerator<Uint8Array> {
  yield* zeros(0);
}

function* zeros(bytes: number): Generator<Uint8Array> {
  for (let left = bytes; left > 0; left -= ZEROS.length) yield ZEROS.subarray(0, left);
}

/** Where the data of a sparse file lies: offsets and lengths in turn. */
interface SparseMap {
  readonly fileBytes: number;
  readonly runs: readonly number[];
}

/** The map of the old GNU format or of the PAX forms 0.0 and 0.1; undefined for a plain file. */
function mapInHeaders({
  oldSparse,
  pax: { sparse, fileBytes = Number.NaN },
}: TarMember): SparseMap | TarFault | undefined {
  if (oldSparse !== undefined) return oldSparse;
  if (sparse === undefined) return undefined;
  const { major = '0', minor = '0', map, pairs } = sparse;
  if (major !== '0' || (minor !== '0' && minor !== '1')) return unknownForm(sparse);
  if (pairs !== undefined) return { fileBytes, runs: pairs.map(sparseNumber) };
  if (map !== undefined) return { fileBytes, runs: map.split(',').map(sparseNumber) };
  return undefined;
}

function sparseNumber(text: string): number {
  return /^\d{1,15}$/.test(text) ? Number(text) : Number.NaN;
}

function faultOf({ fileBytes, runs }: SparseMap, dataBytes: number): TarFault | undefined {
  if (runs.length > 2 * MAX_SPARSE_RUNS) return tooManyRuns(runs.length / 2);
  if (!Number.isSafeInteger(fileBytes)) return badSparse('none that says its size');
  if (runs.length % 2 === 1 || !runs.every(Number.isSafeInteger)) return badSparse('a map that is no list of numbers');
  let at = 0;
  let sum = 0;
  for (let run = 0; run < runs.length; run += 2) {
    const [offset = 0, length = 0] = runs.slice(run, run + 2);
    if (offset < at) return badSparse('a map whose pieces overlap or are out of order');
    at = offset + length;
    sum += length;
    if (at > fileBytes) return badSparse(`a map beyond its size of ${fileBytes} bytes`);
  }
  return sum === dataBytes ? undefined : badSparse(`a map of ${sum} bytes for ${dataBytes} bytes of data`);
}

function badSparse(found: string): TarFault {
  return { code: 'ARCHIVE_INVALID', expected: 'a sparse file', found };
}

function unknownForm(sparse: TarMember['pax']['sparse']): TarFault {
  const form = shown(`${sparse?.major ?? ''}.${sparse?.minor ?? ''}`);
  return { code: 'ARCHIVE_INVALID', expected: 'a sparse file of the form 0.0, 0.1 or 1.0', found: `the form ${form}` };
}

function tooManyRuns(found: number): TarFault {
  return tooMuch(`a sparse file of at most ${MAX_SPARSE_RUNS} pieces`, `${found}`);
}

function tooMuch(expected: string, found: string): TarFault {
  return { code: 'ARCHIVE_LIMIT_EXCEEDED', expected, found };
}

function shown(text: string): string {
  return JSON.stringify(text.slice(0, 80));
}
