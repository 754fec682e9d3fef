import { AbstractIterator, AbstractLevel, AbstractSnapshot } from 'abstract-level';
import { type BlockEntries, compareKeys, lowerBound, type SortedTable } from './table.js';
import type { BatchEntry } from './log-files.js';
import type { Database } from '../log.js';

/** Where an entry stands. */
interface EntryPlace {
  readonly block: BlockEntries;
  readonly at: number;
}

/** Returns a copy of the value of an entry, which the caller owns; undefined for the mark of a deleted key. */
function entryValue({ block, at }: EntryPlace): Uint8Array | undefined {
  if (block.areDeleted[at] === true) return undefined;
  return block.bytes.slice(block.valueStarts[at], block.valueEnds[at]);
}

/** Goes through the entries of a run of tables, of which each has only keys after those of the one before. */
class RunCursor {
  readonly #run: readonly SortedTable[];
  readonly #step: 1 | -1;
  #table = 0;
  #number = 0;
  #block: BlockEntries | undefined;
  #at = 0;
  /** The key of the entry where it stands; undefined at the end. */
  key: Uint8Array | undefined;

  constructor(run: readonly SortedTable[], isReverse: boolean) {
    this.#run = run;
    this.#step = isReverse ? -1 : 1;
  }

  get sequence(): number {
    return this.#block?.sequences[this.#at] ?? 0;
  }

  get place(): EntryPlace {
    if (this.#block === undefined) throw new RangeError('the cursor stands at no entry');
    return { block: this.#block, at: this.#at };
  }

  /** Goes to the first entry whose key is not before `from`. */
  seekUp(from: Uint8Array): void {
    this.#table = this.#run.findIndex(({ largest }) => compareKeys(largest, from) >= 0);
    if (this.#table < 0) this.#table = this.#run.length;
    const table = this.#run[this.#table];
    this.#load(table?.blockFrom(from) ?? 0);
    this.#at = lowerBound(this.#block?.keys ?? [], from);
    this.#settle();
  }

  /** Goes to the last entry whose key is before `to`; to the last of all without it. */
  seekDown(to: Uint8Array | undefined): void {
    this.#table = this.#run.findLastIndex(({ smallest }) => to === undefined || compareKeys(smallest, to) < 0);
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

  /** Passes over the ends of blocks and tables. */
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

/** Keys from `gt` or `gte` on, up to `lt` or `lte`. */
interface KeyBounds {
  readonly gt?: Uint8Array | undefined;
  readonly gte?: Uint8Array | undefined;
  readonly lt?: Uint8Array | undefined;
  readonly lte?: Uint8Array | undefined;
}

/** Runs of tables: in each, the tables have no keys in common. Where runs have a key in common, LevelDB's number says which entry counts. */
export type Runs = readonly (readonly SortedTable[])[];

/** Returns the value of `key`, which the caller owns, or undefined when it is not there. */
function valueIn(runs: Runs, key: Uint8Array): Uint8Array | undefined {
  let newest = -1;
  let value: Uint8Array | undefined;
  for (const run of runs) {
    const table = run.find(({ largest }) => compareKeys(largest, key) >= 0);
    if (table === undefined || compareKeys(table.smallest, key) > 0) continue;
    const number = table.blockFrom(key);
    if (number >= table.blockCount) continue;
    const block = table.block(number, true);
    // Of several entries with this key, the newest is the first.
    const at = lowerBound(block.keys, key);
    const found = block.keys[at];
    const sequence = block.sequences[at] as number;
    if (found === undefined || compareKeys(found, key) !== 0 || sequence < newest) continue;
    newest = sequence;
    value = entryValue({ block, at });
  }
  return value;
}

/** Goes through the rows of all runs within bounds, each key once with its newest value. */
class RowCursor {
  readonly #isReverse: boolean;
  /** The first key that counts, and the first one behind the last that does; undefined for none. */
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

  /** Returns the next row, whose bytes the caller owns; undefined at the end. */
  next(): [key: Uint8Array, value: Uint8Array] | undefined {
    for (;;) {
      const key = this.#nextKey();
      if (key === undefined) return undefined;
      let newest = -1;
      let value: Uint8Array | undefined;
      for (const cursor of this.#cursors) {
        while (cursor.key !== undefined && compareKeys(cursor.key, key) === 0) {
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
      const order = best === undefined ? 0 : compareKeys(key, best);
      if (best === undefined || (this.#isReverse ? order > 0 : order < 0)) best = key;
    }
    if (best === undefined) return undefined;
    const isWithin = this.#isReverse
      ? compareKeys(best, this.#from) >= 0
      : this.#to === undefined || compareKeys(best, this.#to) < 0;
    return isWithin ? best : undefined;
  }
}

/** The key that comes next after `key`: nothing is between them. */
function following(key: Uint8Array): Uint8Array {
  const next = new Uint8Array(key.length + 1);
  next.set(key);
  return next;
}

/** Returns entries that stand in no table yet, sorted as in one; undefined when there are none. */
export function tableInMemory(entries: readonly BatchEntry[]): SortedTable | undefined {
  const sorted = entries.toSorted((a, b) => compareKeys(a.key, b.key) || b.sequence - a.sequence);
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
    blockFrom: (key) => (compareKeys(key, last.key) <= 0 ? 0 : 1),
    block: () => block,
    close: () => undefined,
  };
}

/** Bytes of rows that a page has at least, when the reader does not say and does not end it before. */
const PAGE_BYTES = 16 * 1024;

/**
 * A LevelDB database for reading, as it was at one moment: what `level` gives, without LevelDB, which cannot open a database without
 * writing to it. Every block is checked; damage is an error with the code LEVEL_CORRUPTION. A write is refused.
 */
export class ReadOnlyLevel extends AbstractLevel<Uint8Array, Uint8Array, Uint8Array> {
  readonly #runs: Runs;

  /** Owns the tables of `runs`: they are closed with it. */
  constructor(runs: Runs) {
    super(
      { encodings: { view: true }, implicitSnapshots: true, explicitSnapshots: true, seek: false },
      { keyEncoding: 'view', valueEncoding: 'view' },
    );
    this.#runs = runs;
  }

  async _open(): Promise<void> {
    // Its files are open already.
  }

  async _close(): Promise<void> {
    for (const run of this.#runs) for (const table of run) table.close();
  }

  async _get(key: Uint8Array): Promise<Uint8Array | undefined> {
    return valueIn(this.#runs, key);
  }

  _getSync(key: Uint8Array): Uint8Array | undefined {
    return valueIn(this.#runs, key);
  }

  async _getMany(keys: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]> {
    return keys.map((key) => valueIn(this.#runs, key));
  }

  _iterator(options: IteratorOptions): RowIterator {
    return new RowIterator(this, this.#runs, options);
  }

  _snapshot(): AbstractSnapshot {
    // The database itself never changes.
    return Reflect.construct(AbstractSnapshot, [{ owner: this }]) as AbstractSnapshot;
  }

  async _put(): Promise<void> {
    throw readOnlyError();
  }

  async _del(): Promise<void> {
    throw readOnlyError();
  }

  async _batch(): Promise<void> {
    throw readOnlyError();
  }

  async _clear(): Promise<void> {
    throw readOnlyError();
  }
}

interface IteratorOptions extends KeyBounds {
  readonly reverse?: boolean;
  readonly keys?: boolean;
  readonly values?: boolean;
  readonly highWaterMarkBytes?: number;
}

/** Gives copies of rows in pages; a page ends when it has the bytes that the reader asked for. */
class RowIterator extends AbstractIterator<ReadOnlyLevel, Uint8Array, Uint8Array> {
  readonly #runs: Runs;
  readonly #options: IteratorOptions;
  #cursor: RowCursor | undefined;

  constructor(db: ReadOnlyLevel, runs: Runs, options: IteratorOptions) {
    super(db, options as never);
    this.#runs = runs;
    this.#options = options;
  }

  async _next(): Promise<[Uint8Array | undefined, Uint8Array | undefined] | undefined> {
    return this.#row();
  }

  async _nextv(size: number): Promise<[Uint8Array | undefined, Uint8Array | undefined][]> {
    const { highWaterMarkBytes = PAGE_BYTES } = this.#options;
    const page: [Uint8Array | undefined, Uint8Array | undefined][] = [];
    for (let bytes = 0; page.length < size && bytes < highWaterMarkBytes; ) {
      const row = this.#row();
      if (row === undefined) break;
      bytes += (row[0]?.length ?? 0) + (row[1]?.length ?? 0);
      page.push(row);
    }
    return page;
  }

  #row(): [Uint8Array | undefined, Uint8Array | undefined] | undefined {
    const { keys, values, reverse = false } = this.#options;
    this.#cursor ??= new RowCursor(this.#runs, this.#options, reverse);
    const row = this.#cursor.next();
    return row && [keys === false ? undefined : row[0], values === false ? undefined : row[1]];
  }
}

function readOnlyError(): Error {
  return Object.assign(new Error('the database was opened for reading only'), { code: 'LEVEL_READ_ONLY' });
}

/** Returns the view as the code that reads a log knows a database. */
export function asDatabase(view: ReadOnlyLevel): Database {
  return view as unknown as Database;
}
