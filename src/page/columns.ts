import { grown, roomFor } from '../../projections/digest-index.js';

type Numbers = Uint8Array<ArrayBuffer> | Uint32Array<ArrayBuffer> | Float64Array<ArrayBuffer>;

/** A list of numbers in a typed array that grows: a million of them are 1, 4 or 8 MB, and no objects. */
export class NumberColumn {
  #values: Numbers;
  #length = 0;

  constructor(empty: Numbers) {
    this.#values = empty;
  }

  get length(): number {
    return this.#length;
  }

  push(value: number): void {
    if (this.#length === this.#values.length) this.#values = grown(this.#values, roomFor(this.#length));
    this.#values[this.#length++] = value;
  }

  /** Returns the value at a place that was pushed. */
  at(place: number): number {
    return this.#values[place] as number;
  }

  set(place: number, value: number): void {
    this.#values[place] = value;
  }
}

export function bytesColumn(): NumberColumn {
  return new NumberColumn(new Uint8Array(0));
}

/** For whole numbers below 2^32. */
export function wholeColumn(): NumberColumn {
  return new NumberColumn(new Uint32Array(0));
}

export function timeColumn(): NumberColumn {
  return new NumberColumn(new Float64Array(0));
}

/** Texts that occur many times, numbered from 0 in the order of their first occurrence. */
export class TextTable {
  readonly texts: string[] = [];
  readonly #rows = new Map<string, number>();

  /** Returns the number of a text, which it adds if it is new. */
  add(text: string): number {
    const known = this.#rows.get(text);
    if (known !== undefined) return known;
    const row = this.texts.length;
    this.texts.push(text);
    this.#rows.set(text, row);
    return row;
  }

  find(text: string): number | undefined {
    return this.#rows.get(text);
  }
}

/** Numbers by group, in the order they were added. */
export class Grouped {
  readonly #groups = wholeColumn();
  readonly #values = wholeColumn();
  #groupCount = 0;
  /** Values by group, and where each group begins; undefined while it has less than all. */
  #sorted: { readonly starts: Uint32Array; readonly values: Uint32Array } | undefined;

  add(group: number, value: number): void {
    this.#groups.push(group);
    this.#values.push(value);
    this.#groupCount = Math.max(this.#groupCount, group + 1);
    this.#sorted = undefined;
  }

  /** Returns the values of a group; none for an unknown one. */
  of(group: number): Uint32Array {
    this.#sorted ??= this.#sort();
    const { starts, values } = this.#sorted;
    return values.subarray(starts[group] ?? 0, starts[group + 1] ?? 0);
  }

  // Counting sort: two passes, in any order.
  #sort(): { readonly starts: Uint32Array; readonly values: Uint32Array } {
    const count = this.#groups.length;
    const starts = new Uint32Array(this.#groupCount + 1);
    for (let at = 0; at < count; at++)
      starts[this.#groups.at(at) + 1] = (starts[this.#groups.at(at) + 1] as number) + 1;
    for (let group = 1; group < starts.length; group++)
      starts[group] = (starts[group] as number) + (starts[group - 1] as number);
    const values = new Uint32Array(count);
    const next = starts.slice();
    for (let at = 0; at < count; at++) {
      const group = this.#groups.at(at);
      values[next[group] as number] = this.#values.at(at);
      next[group] = (next[group] as number) + 1;
    }
    return { starts, values };
  }
}

/** Returns how many of the `count` values from 0 on are at most `limit`; `valueAt` is ascending. */
export function countUpTo(count: number, valueAt: (place: number) => number, limit: number): number {
  let [low, high] = [0, count];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (valueAt(middle) <= limit) low = middle + 1;
    else high = middle;
  }
  return low;
}
