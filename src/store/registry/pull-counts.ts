import { join } from 'node:path';
import { MAX_PULL_FILE_BYTES, MAX_PULL_HOURS, PULL_FLUSH_MS } from '../../limits.js';
import { readRegularFileSync, writeDurableFile } from '../files/files.js';
import { PULLS_FILE } from '../open/vacancy.js';
import type { PullCount } from '../registry-store.js';

const HOUR_MS = 60 * 60 * 1_000;

/** Pulls of one reference by hour since the epoch. */
type Hours = Map<number, number>;

interface PullsPlace {
  readonly directory: string;
  readonly readOnly: boolean;
  readonly now: () => number;
  readonly onNotice: (notice: string) => void;
}

/**
 * How often references are pulled, by hour, in a file beside the log: counting is no change of the
 * store, so it is no event. Written every PULL_FLUSH_MS and at the end; a crash loses what came since.
 */
export class PullCounts {
  readonly #place: PullsPlace;
  #hours: Map<string, Hours> | undefined;
  /** The number of entries of all references. */
  #size = 0;
  #isChanged = false;
  #timer: NodeJS.Timeout | undefined;
  #writing: Promise<void> = Promise.resolve();

  constructor(place: PullsPlace) {
    this.#place = place;
  }

  /** Counts one pull of a reference, by its canonical name. */
  count(reference: string): void {
    if (this.#place.readOnly) return;
    const counts = this.#counts();
    const hours = counts.get(reference) ?? new Map<number, number>();
    const hour = Math.floor(this.#place.now() / HOUR_MS);
    if (!hours.has(hour)) this.#size += 1;
    hours.set(hour, (hours.get(hour) ?? 0) + 1);
    counts.set(reference, hours);
    this.#isChanged = true;
    this.#dropOldest();
    this.#timer ??= setTimeout(() => void this.flush(), PULL_FLUSH_MS).unref();
  }

  /** Returns the pulls of a reference; undefined if there were none. */
  of(reference: string): PullCount | undefined {
    const hours = this.#counts().get(reference);
    return hours && { reference, ...summed(hours) };
  }

  /** Returns the pulls of every reference that was pulled, by name. */
  all(): PullCount[] {
    return [...this.#counts()].map(([reference, hours]) => ({ reference, ...summed(hours) })).sort(byName);
  }

  /** Writes what was counted. A failure is a notice: nobody waits for it. */
  async flush(): Promise<void> {
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#writing = this.#writing.then(() => this.#write());
    await this.#writing;
  }

  async #write(): Promise<void> {
    if (!this.#isChanged) return;
    this.#isChanged = false;
    const counts = Object.fromEntries([...this.#counts()].map(([name, hours]) => [name, Object.fromEntries(hours)]));
    const text = `${JSON.stringify({ version: 1, counts })}\n`;
    try {
      await writeDurableFile(this.#path, new TextEncoder().encode(text));
    } catch (error) {
      this.#isChanged = true;
      const why = error instanceof Error ? error.message : String(error);
      this.#place.onNotice(`pulls were counted and not written: ${why}`);
    }
  }

  /** Of many references those hours go first that are longest ago. */
  #dropOldest(): void {
    if (this.#size <= MAX_PULL_HOURS) return;
    const counts = this.#counts();
    const all = [...counts.values()].flatMap((hours) => [...hours.keys()]).sort((a, b) => a - b);
    const first = all[Math.floor(all.length / 10) - 1] ?? 0;
    for (const [reference, hours] of counts) {
      for (const hour of hours.keys()) if (hour <= first && hours.delete(hour)) this.#size -= 1;
      if (hours.size === 0) counts.delete(reference);
    }
  }

  #counts(): Map<string, Hours> {
    if (this.#hours !== undefined) return this.#hours;
    this.#hours = this.#read();
    this.#size = [...this.#hours.values()].reduce((sum, hours) => sum + hours.size, 0);
    return this.#hours;
  }

  #read(): Map<string, Hours> {
    try {
      const bytes = readRegularFileSync(this.#path);
      if (bytes === undefined) return new Map();
      if (bytes.length > MAX_PULL_FILE_BYTES) throw new RangeError(`it has more than ${MAX_PULL_FILE_BYTES} bytes`);
      return parse(bytes);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      this.#place.onNotice(`the counted pulls are lost: cannot read ${this.#path}: ${why}`);
      return new Map();
    }
  }

  get #path(): string {
    return join(this.#place.directory, PULLS_FILE);
  }
}

function parse(bytes: Uint8Array): Map<string, Hours> {
  const { version, counts } = JSON.parse(new TextDecoder().decode(bytes)) as { version?: unknown; counts?: unknown };
  if (version !== 1) throw new TypeError(`its version is ${String(version)}, expected 1`);
  const parsed = new Map<string, Hours>();
  for (const [reference, hours] of Object.entries(Object(counts) as Record<string, unknown>)) {
    const entries = Object.entries(Object(hours) as Record<string, unknown>).map(
      ([hour, count]) => [Number(hour), Number(count)] as const,
    );
    parsed.set(
      reference,
      new Map(entries.filter((entry) => entry.every((each) => Number.isSafeInteger(each) && each >= 0))),
    );
  }
  return parsed;
}

function summed(hours: Hours): Pick<PullCount, 'pulls' | 'lastHour'> {
  let [pulls, last] = [0, 0];
  for (const [hour, count] of hours) {
    pulls += count;
    last = Math.max(last, hour);
  }
  return { pulls, lastHour: last * HOUR_MS };
}

function byName({ reference: one }: PullCount, { reference: other }: PullCount): number {
  return one < other ? -1 : 1;
}
