import type { BlockEntries } from './table.js';
import { compareKeys, lowerBound, type SortedTable } from './table-reader.js';

/** Where an entry stands. */
export interface EntryPlace {
  readonly block: BlockEntries;
  readonly at: number;
}

/** Returns a copy of the value of an entry, which the caller owns; undefined for the mark of a deleted key. */
export function entryValue({ block, at }: EntryPlace): Uint8Array | undefined {
  if (block.areDeleted[at] === true) return undefined;
  return block.bytes.slice(block.valueStarts[at], block.valueEnds[at]);
}

/** Goes through the entries of a run of tables, of which each has only keys after those of the one before. */
export class RunCursor {
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
