import { throwIfAborted } from '../abort.js';
import type { StoredEvent } from '../model/events.js';
import { isAbout, type Subject } from '../model/subjects.js';
import { eventPages, missingEvent } from './event-pages.js';
import { parseEventRow } from './event-row.js';
import { eventKey, keyAt, seqOfKey } from './keys.js';
import type { LogSource, PageRange } from './log-source.js';
import { seqsOfRow, subjectPrefix } from './subject-index.js';

/** Events that are read at a time when the reader does not say. */
const PAGE_EVENTS = 100;

/**
 * Gives the events of a range that are about any of `subjects`, in pages, each event checked against its hash. Costs what it
 * gives: a page reads the index rows and the events that are in it.
 */
export async function* subjectPages(
  source: LogSource,
  subjects: readonly Subject[],
  range: PageRange,
): AsyncGenerator<readonly StoredEvent[]> {
  const { pageSize = PAGE_EVENTS, reverse = false, signal } = range;
  const cursors = subjects.map((subject) => new SeqCursor(source, subjectPrefix(subject, source.hash), range));
  try {
    for (;;) {
      throwIfAborted(signal);
      const seqs = await nextSeqs(cursors, pageSize, reverse);
      if (seqs.length === 0) return;
      const events = await readEvents(source, seqs);
      throwIfAborted(signal);
      // Subjects that share the beginning of a hash share rows.
      const page = aboutAny(events, subjects);
      if (page.length > 0) yield page;
    }
  } finally {
    await Promise.all(cursors.map((cursor) => cursor.close()));
  }
}

/** Gives the same pages without an index: costs the whole range. */
export async function* scannedPages(
  source: LogSource,
  subjects: readonly Subject[],
  range: PageRange,
): AsyncGenerator<readonly StoredEvent[]> {
  for await (const events of eventPages(source, range)) {
    const page = aboutAny(events, subjects);
    if (page.length > 0) yield page;
  }
}

/** Takes the next seqs of all cursors together, in order, each once. */
async function nextSeqs(cursors: readonly SeqCursor[], count: number, reverse: boolean): Promise<number[]> {
  const seqs: number[] = [];
  while (seqs.length < count) {
    let next: number | undefined;
    for (const cursor of cursors) {
      const seq = await cursor.peek(count);
      if (seq !== undefined && (next === undefined || (reverse ? seq > next : seq < next))) next = seq;
    }
    if (next === undefined) break;
    for (const cursor of cursors) cursor.skip(next);
    seqs.push(next);
  }
  return seqs;
}

function aboutAny(events: readonly StoredEvent[], subjects: readonly Subject[]): StoredEvent[] {
  return events.filter((event) => subjects.some((subject) => isAbout(event, subject)));
}

async function readEvents({ database, hash, failure }: LogSource, seqs: readonly number[]): Promise<StoredEvent[]> {
  const rows = await database.getMany(seqs.map(eventKey)).catch((cause: unknown) => {
    throw failure(cause);
  });
  return rows.map((row, at) => {
    const seq = seqs[at] as number;
    if (row === undefined) throw missingEvent(seq);
    return parseEventRow(row, seq, hash);
  });
}

/** Gives the rows of the index in order: what is used of LevelDB's iterator. */
interface IndexRows {
  nextv(size: number): Promise<[Uint8Array, Uint8Array][]>;
  close(): Promise<void>;
}

/** The seqs of one subject in a range, one after another. */
class SeqCursor {
  readonly #source: LogSource;
  readonly #prefix: Uint8Array;
  readonly #range: PageRange;
  #rows: IndexRows | undefined;
  #isDone = false;
  /** Seqs that were read and not taken, the next one last. */
  #seqs: number[] = [];
  /** The seq that was read last. */
  #seen: number;

  constructor(source: LogSource, prefix: Uint8Array, range: PageRange) {
    this.#source = source;
    this.#prefix = prefix;
    this.#range = range;
    this.#seen = range.reverse === true ? range.last + 1 : range.first - 1;
  }

  /** The next seq, or undefined at the end; reads `rows` rows when it has none. */
  async peek(rows: number): Promise<number | undefined> {
    while (this.#seqs.length === 0 && !this.#isDone) await this.#readRows(rows);
    return this.#seqs.at(-1);
  }

  /** Goes on when `seq` is the next one. */
  skip(seq: number): void {
    if (this.#seqs.at(-1) === seq) this.#seqs.pop();
  }

  async close(): Promise<void> {
    await this.#rows?.close();
  }

  async #readRows(count: number): Promise<void> {
    const { first, last, reverse = false } = this.#range;
    try {
      this.#rows ??= this.#source.opened(await this.#open());
      const rows = await this.#rows.nextv(count);
      const seqs = rows.flatMap(([key, value]) => {
        const ofRow = seqsOfRow(key, value);
        return reverse ? ofRow.reverse() : ofRow;
      });
      // Rows of an index that was made again after a crash may repeat what older ones say.
      const wanted = seqs.filter((seq) => this.#isNext(seq));
      this.#seqs = wanted.reverse();
      // A row beyond the end is read only to see what of it is before.
      const beyond = seqs.at(-1);
      this.#isDone = rows.length === 0 || (beyond !== undefined && (reverse ? beyond < first : beyond > last));
    } catch (cause) {
      throw this.#source.failure(cause);
    }
  }

  #isNext(seq: number): boolean {
    const { first, last, reverse = false } = this.#range;
    if (seq < first || seq > last || (reverse ? seq >= this.#seen : seq <= this.#seen)) return false;
    this.#seen = seq;
    return true;
  }

  async #open(): Promise<IndexRows> {
    const { database } = this.#source;
    const { first, last, reverse = false } = this.#range;
    const end = keyAt(this.#prefix, Number.MAX_SAFE_INTEGER);
    if (!reverse) return database.iterator({ gte: keyAt(this.#prefix, first), lte: end });
    // The row that holds `last` may end after it.
    const after = this.#source.opened(database.keys({ gte: keyAt(this.#prefix, last), lte: end, limit: 1 }));
    const [around] = await after.all();
    const upper = around === undefined ? last : seqOfKey(around);
    return database.iterator({ gte: keyAt(this.#prefix, first), lte: keyAt(this.#prefix, upper), reverse: true });
  }
}
