import { compareBytes } from '../../model/bytes.js';
import { type BlockEntries, lowerBound, type SortedTable } from './table.js';
import type { BatchEntry } from './log-files.js';
import type { Database } from '../log.js';

interface EntryPlace {
  readonly block: BlockEntries;
  readonly at: number;
}

/** Returns an entry's value as a view of its block; undefined for a deletion mark. */
function entryValue({ block, at }: EntryPlace): Uint8Array | undefined {
  if (block.areDeleted[at] === true) return undefined;
  return block.bytes.subarray(block.valueStarts[at], block.valueEnds[at]);
}

/** Iterates over the entries of a run: tables in key order without overlap. */
class RunCursor {
  readonly #run: readonly SortedTable[];
  readonly #step: 1 | -1;
  #table = 0;
  #number = 0;
  #block: BlockEntries | undefined;
  #at = 0;
  /** Key of the current entry; undefined at the end. */
  key: Uint8Array | undefined;

  constructor(run: readonly SortedTable[], isReverse: boolean) {
    this.#run = run;
    this.#step = isReverse ? -1 : 1;
  }

  get sequence(): number {
    return this.#block?.sequences[this.#at] ?? 0;
  }

  get place(): EntryPlace {
    if (this.#block === undefined) throw new RangeError('the cursor is at no entry');
    return { block: this.#block, at: this.#at };
  }

  /** Seeks the first entry not before `from`. */
  seekUp(from: Uint8Array): void {
    this.#table = this.#run.findIndex(({ largest }) => compareBytes(largest, from) >= 0);
    if (this.#table < 0) this.#table = this.#run.length;
    const table = this.#run[this.#table];
    this.#load(table?.blockFrom(from) ?? 0);
    this.#at = lowerBound(this.#block?.keys ?? [], from);
    this.#settle();
  }

  /** Seeks the last entry before `to`, or the very last. */
  seekDown(to: Uint8Array | undefined): void {
    this.#table = this.#run.findLastIndex(({ smallest }) => to === undefined || compareBytes(smallest, to) < 0);
    const table = this.#run[this.#table];
    const last = (table?.blockCount ?? 0) - 1;
    this.#load(to === undefined ? last : Math.min(last, table?.blockFrom(to) ?? 0));
    const keys = this.#block?.keys ?? [];
    this.#at = (to === undefined ? keys.length : lowerBound(keys, to)) - 1;
    this.#settle();
  }

  next(): void {
    this.#at += this.#step;
    this.#settle();
  }

  #load(number: number): void {
    this.#number = number;
    const table = this.#run[this.#table];
    this.#block =
      table !== undefined && number >= 0 && number < table.blockCount ? table.block(number, false) : undefined;
  }

  /** Skips the ends of blocks and tables. */
  #settle(): void {
    for (;;) {
      const keys = this.#block?.keys ?? [];
      this.key = keys[this.#at];
      if (this.key !== undefined) return;
      const table = this.#run[this.#table];
      if (table === undefined) return;
      const number = this.#number + this.#step;
      if (number >= 0 && number < table.blockCount) this.#load(number);
      else {
        this.#table += this.#step;
        this.#load(this.#step > 0 ? 0 : (this.#run[this.#table]?.blockCount ?? 0) - 1);
        if (this.#run[this.#table] === undefined) this.#block = undefined;
      }
      this.#at = this.#step > 0 ? 0 : (this.#block?.keys.length ?? 0) - 1;
    }
  }
}

interface KeyBounds {
  readonly gt?: Uint8Array | undefined;
  readonly gte?: Uint8Array | undefined;
  readonly lt?: Uint8Array | undefined;
  readonly lte?: Uint8Array | undefined;
}

/** Tables of a run do not overlap. Across runs, the largest LevelDB number of a key counts. */
export type Runs = readonly (readonly SortedTable[])[];

/** Returns a copy of the value of `key`, if any. */
function valueIn(runs: Runs, key: Uint8Array): Uint8Array | undefined {
  let newest = -1;
  let value: Uint8Array | undefined;
  for (const run of runs) {
    const table = run.find(({ largest }) => compareBytes(largest, key) >= 0);
    if (table === undefined || compareBytes(table.smallest, key) > 0) continue;
    const number = table.blockFrom(key);
    if (number >= table.blockCount) continue;
    const block = table.block(number, true);
    // The first of equal keys is the newest.
    const at = lowerBound(block.keys, key);
    const found = block.keys[at];
    const sequence = block.sequences[at] as number;
    if (found === undefined || compareBytes(found, key) !== 0 || sequence < newest) continue;
    newest = sequence;
    value = entryValue({ block, at });
  }
  return value?.slice();
}

/** Merges all runs within bounds: each key once, with its newest value. */
class RowCursor {
  readonly #isReverse: boolean;
  /** First key, and first key past the end (undefined for none). */
  readonly #from: Uint8Array;
  readonly #to: Uint8Array | undefined;
  readonly #cursors: readonly RunCursor[];

  constructor(runs: Runs, { gt, gte, lt, lte }: KeyBounds, isReverse: boolean) {
    this.#isReverse = isReverse;
    this.#from = gt === undefined ? (gte ?? new Uint8Array()) : following(gt);
    this.#to = lt ?? (lte === undefined ? undefined : following(lte));
    this.#cursors = runs.map((run) => new RunCursor(run, isReverse));
    for (const cursor of this.#cursors) {
      if (isReverse) cursor.seekDown(this.#to);
      else cursor.seekUp(this.#from);
    }
  }

  /**
   * Returns the next row, its value a view of a block; undefined at the end. Readers of many rows
   * drop them soon: to copy each would cost more than to find it.
   */
  next(): [key: Uint8Array, value: Uint8Array] | undefined {
    for (;;) {
      const key = this.#nextKey();
      if (key === undefined) return undefined;
      let newest = -1;
      let value: Uint8Array | undefined;
      for (const cursor of this.#cursors) {
        while (cursor.key !== undefined && compareBytes(cursor.key, key) === 0) {
          if (cursor.sequence > newest) {
            newest = cursor.sequence;
            value = entryValue(cursor.place);
          }
          cursor.next();
        }
      }
      if (value !== undefined) return [key, value];
    }
  }

  #nextKey(): Uint8Array | undefined {
    let best: Uint8Array | undefined;
    for (const { key } of this.#cursors) {
      if (key === undefined) continue;
      const order = best === undefined ? 0 : compareBytes(key, best);
      if (best === undefined || (this.#isReverse ? order > 0 : order < 0)) best = key;
    }
    if (best === undefined) return undefined;
    const isWithin = this.#isReverse
      ? compareBytes(best, this.#from) >= 0
      : this.#to === undefined || compareBytes(best, this.#to) < 0;
    return isWithin ? best : undefined;
  }
}

/** The immediate successor of `key`. */
function following(key: Uint8Array): Uint8Array {
  const next = new Uint8Array(key.length + 1);
  next.set(key);
  return next;
}

/** Sorts entries not yet in a table into one in memory; undefined when there are none. */
export function tableInMemory(entries: readonly BatchEntry[]): SortedTable | undefined {
  const sorted = entries.toSorted((a, b) => compareBytes(a.key, b.key) || b.sequence - a.sequence);
  const [first, last] = [sorted[0], sorted.at(-1)];
  if (first === undefined || last === undefined) return undefined;
  const bytes = new Uint8Array(sorted.reduce((sum, { value }) => sum + (value?.length ?? 0), 0));
  const valueStarts: number[] = [];
  const valueEnds: number[] = [];
  let end = 0;
  for (const { value } of sorted) {
    valueStarts.push(end);
    if (value !== undefined) bytes.set(value, end);
    end += value?.length ?? 0;
    valueEnds.push(end);
  }
  const keys = sorted.map(({ key }) => new Uint8Array(key));
  const block: BlockEntries = {
    bytes,
    keys,
    sequences: sorted.map(({ sequence }) => sequence),
    areDeleted: sorted.map(({ value }) => value === undefined),
    valueStarts,
    valueEnds,
  };
  return {
    smallest: first.key,
    largest: last.key,
    blockCount: 1,
    blockFrom: (key) => (compareBytes(key, last.key) <= 0 ? 0 : 1),
    block: () => block,
    close: () => undefined,
  };
}

/** Default page size in bytes; a page may exceed it by part of a row. */
const PAGE_BYTES = 16 * 1024;

/** Selects rows, as `level` has it. A snapshot changes nothing: the view never changes. */
interface IteratorOptions extends KeyBounds {
  readonly reverse?: boolean | undefined;
  readonly limit?: number | undefined;
  readonly highWaterMarkBytes?: number | undefined;
}

type Row = readonly [key: Uint8Array, value: Uint8Array];

/**
 * Read-only view of a LevelDB database at one moment: the reading part of `level`, but without
 * LevelDB, which cannot open a database without writing to it. Verifies every block; damage is an
 * error with the code LEVEL_CORRUPTION. Refuses writes, and after `close` reads too.
 */
export class ReadOnlyLevel {
  readonly #runs: Runs;
  #isClosed = false;

  /** Owns the tables of `runs` and closes them. */
  constructor(runs: Runs) {
    this.#runs = runs;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    for (const run of this.#runs) for (const table of run) table.close();
  }

  getSync(key: Uint8Array): Uint8Array | undefined {
    this.#checkOpen();
    return valueIn(this.#runs, key);
  }

  async get(key: Uint8Array): Promise<Uint8Array | undefined> {
    return this.getSync(key);
  }

  async getMany(keys: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]> {
    return keys.map((key) => this.getSync(key));
  }

  iterator(options?: IteratorOptions): RowIterator<Row> {
    return this.#rows((row) => row, options);
  }

  keys(options?: IteratorOptions): RowIterator<Uint8Array> {
    return this.#rows(([key]) => key, options);
  }

  values(options?: IteratorOptions): RowIterator<Uint8Array> {
    return this.#rows(([, value]) => value, options);
  }

  snapshot(): { readonly close: () => Promise<void> } {
    this.#checkOpen();
    return { close: async () => undefined };
  }

  async put(): Promise<never> {
    throw readOnlyError();
  }

  async del(): Promise<never> {
    throw readOnlyError();
  }

  batch(): never {
    throw readOnlyError();
  }

  async clear(): Promise<never> {
    throw readOnlyError();
  }

  #rows<Item>(part: (row: Row) => Item, options: IteratorOptions = {}): RowIterator<Item> {
    this.#checkOpen();
    return new RowIterator(() => new RowCursor(this.#runs, options, options.reverse ?? false), {
      ...options,
      part,
      checkOpen: () => this.#checkOpen(),
    });
  }

  #checkOpen(): void {
    if (this.#isClosed) throw coded('LEVEL_DATABASE_NOT_OPEN', 'the database is not open');
  }
}

interface IteratorParts<Item> extends Pick<IteratorOptions, 'limit' | 'highWaterMarkBytes'> {
  readonly part: (row: Row) => Item;
  /** Throws once the database is closed. */
  readonly checkOpen: () => void;
}

/** Yields rows, or a part of each, one by one or in pages. */
class RowIterator<Item> {
  readonly #open: () => RowCursor;
  readonly #parts: IteratorParts<Item>;
  #cursor: RowCursor | undefined;
  #left: number;
  #isClosed = false;

  constructor(open: () => RowCursor, parts: IteratorParts<Item>) {
    this.#open = open;
    this.#parts = parts;
    const { limit = -1 } = parts;
    this.#left = limit < 0 ? Number.POSITIVE_INFINITY : limit;
  }

  async next(): Promise<Item | undefined> {
    const row = this.#row();
    return row && this.#parts.part(row);
  }

  /** Resolves with at most `size` rows, fewer when they have many bytes; none at the end. */
  async nextv(size: number): Promise<Item[]> {
    const { part, highWaterMarkBytes = PAGE_BYTES } = this.#parts;
    const page: Item[] = [];
    for (let bytes = 0; page.length < size && bytes < highWaterMarkBytes; ) {
      const row = this.#row();
      if (row === undefined) break;
      bytes += row[0].length + row[1].length;
      page.push(part(row));
    }
    return page;
  }

  async all(): Promise<Item[]> {
    const items: Item[] = [];
    for (let row = this.#row(); row !== undefined; row = this.#row()) items.push(this.#parts.part(row));
    await this.close();
    return items;
  }

  async close(): Promise<void> {
    this.#isClosed = true;
  }

  async *[Symbol.asyncIterator](): AsyncGenerator<Item> {
    try {
      for (let row = this.#row(); row !== undefined; row = this.#row()) yield this.#parts.part(row);
    } finally {
      await this.close();
    }
  }

  #row(): Row | undefined {
    this.#parts.checkOpen();
    if (this.#isClosed) throw coded('LEVEL_ITERATOR_NOT_OPEN', 'the iterator is not open');
    if (this.#left === 0) return undefined;
    this.#cursor ??= this.#open();
    this.#left--;
    return this.#cursor.next();
  }
}

function readOnlyError(): Error {
  return coded('LEVEL_READ_ONLY', 'the database was opened for reading only');
}

function coded(code: string, message: string): Error {
  return Object.assign(new Error(message), { code });
}

/** Returns the view under the type that log code uses: of `level` it has what reads. */
export function asDatabase(view: ReadOnlyLevel): Database {
  return view as unknown as Database;
}
