import { RunCursor, entryValue } from './run-cursor.js';
import type { BlockEntries } from './table.js';
import { compareKeys, lowerBound, type SortedTable } from './table-reader.js';
import type { BatchEntry } from './write-batch.js';

/** Keys from `gt` or `gte` on, up to `lt` or `lte`. */
export interface KeyBounds {
  readonly gt?: Uint8Array | undefined;
  readonly gte?: Uint8Array | undefined;
  readonly lt?: Uint8Array | undefined;
  readonly lte?: Uint8Array | undefined;
}

/** Runs of tables: in each, the tables have no keys in common. Where runs have a key in common, LevelDB's number says which entry counts. */
export type Runs = readonly (readonly SortedTable[])[];

/** Returns the value of `key`, which the caller owns, or undefined when it is not there. */
export function valueIn(runs: Runs, key: Uint8Array): Uint8Array | undefined {
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
export class RowCursor {
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
