import { throwIfAborted } from '../errors.js';
import { factsOf } from '../model/event-table.js';
import type { StoredEvent } from '../model/events.js';
import { eventPages } from './event-pages.js';
import type { LogSource, PageRange, ReferenceSearch } from './log.js';
import { READ_AHEAD_BYTES } from './stored-rows.js';
import {
  damagedRow,
  type IndexRow,
  readEvents,
  referenceRange,
  seqsOfRow,
  subjectOfRow,
  subjectPrefix,
} from './subject-index.js';

/*
 * The subject index finds a reference by the hash of its name. To find those that match a pattern,
 * all its rows of references are read, some 25 bytes each. A name that is not known is read from
 * the first event about it.
 */

const ROWS_AT_A_TIME = 1_000;

/**
 * Resolves with the seqs in `range` of the events about any wanted reference, ascending, by the
 * subject index. Names whose hashes share the first eight bytes are taken for one of them.
 */
export async function referenceSeqs(source: LogSource, wanted: ReferenceSearch, range: PageRange): Promise<number[]> {
  const { signal } = range;
  const isWanted = knownNames(wanted);
  const found = new Seqs(range);
  const unknown = new Map<string, UnknownName>();
  try {
    const { database, opened } = source;
    const rows = opened(database.iterator({ ...referenceRange(), highWaterMarkBytes: READ_AHEAD_BYTES }));
    try {
      for (;;) {
        throwIfAborted(signal);
        const page = await rows.nextv(ROWS_AT_A_TIME);
        if (page.length === 0) break;
        for (const row of page) {
          const name = subjectOfRow(row[0]);
          const known = isWanted.get(name);
          if (known === true) found.add(seqsOfRow(...row));
          else if (known === undefined) noteRow(unknown, name, row);
        }
      }
    } finally {
      await rows.close();
    }
    for await (const { seqs } of wantedOf(source, unknown, wanted, signal)) found.add(seqs);
  } catch (cause) {
    throw source.failure(cause);
  }
  return found.ascending();
}

/** Like `referenceSeqs` without an index: reads the whole range. */
export async function scannedReferenceSeqs(
  source: LogSource,
  { matches }: ReferenceSearch,
  range: PageRange,
): Promise<number[]> {
  const seqs: number[] = [];
  for await (const page of eventPages(source, range)) {
    for (const event of page) if (factsOf(event).references(event).some(matches)) seqs.push(event.seq);
  }
  return seqs;
}

/** Returns for each name that is known, as it is in keys, whether it is wanted. */
function knownNames({ matches, known }: ReferenceSearch): Map<string, boolean> {
  const isWanted = new Map<string, boolean>();
  for (const reference of known) {
    const name = subjectOfRow(subjectPrefix({ reference }));
    isWanted.set(name, isWanted.get(name) === true || matches(reference));
  }
  return isWanted;
}

/** A name that must be read from an event: its part of keys, one of them, and all its seqs. */
interface UnknownName {
  readonly name: string;
  readonly key: Uint8Array;
  readonly seqs: number[];
}

function noteRow(unknown: Map<string, UnknownName>, name: string, [key, value]: IndexRow): void {
  const before = unknown.get(name);
  if (before === undefined) unknown.set(name, { name, key, seqs: seqsOfRow(key, value) });
  else before.seqs.push(...seqsOfRow(key, value));
}

async function* wantedOf(
  source: LogSource,
  unknown: ReadonlyMap<string, UnknownName>,
  { matches }: ReferenceSearch,
  signal: AbortSignal | undefined,
): AsyncGenerator<UnknownName> {
  // In the order of the log, so that LevelDB reads each of its blocks once.
  const names = [...unknown.values()].sort((one, other) => firstOf(one) - firstOf(other));
  for (let at = 0; at < names.length; at += ROWS_AT_A_TIME) {
    throwIfAborted(signal);
    const some = names.slice(at, at + ROWS_AT_A_TIME);
    const events = await readEvents(source, some.map(firstOf));
    for (const [place, each] of some.entries()) {
      const own = namesIn(events[place] as StoredEvent, each.name);
      if (own.length === 0) throw damagedRow(each.key);
      if (own.some(matches)) yield each;
    }
  }
}

function firstOf({ seqs }: UnknownName): number {
  return seqs[0] as number;
}

/** Returns the references of an event that a row of this name may be about. */
function namesIn(event: StoredEvent, name: string): string[] {
  const references = factsOf(event).references(event);
  return references.filter((reference) => subjectOfRow(subjectPrefix({ reference })) === name);
}

/** Seqs within a range. */
class Seqs {
  readonly #range: PageRange;
  readonly #seqs: number[] = [];

  constructor(range: PageRange) {
    this.#range = range;
  }

  add(seqs: readonly number[]): void {
    const { first, last } = this.#range;
    for (const seq of seqs) if (seq >= first && seq <= last) this.#seqs.push(seq);
  }

  /** Drops what the index repeats: an event about two references, or a row written twice. */
  ascending(): number[] {
    const sorted = Float64Array.from(this.#seqs).sort();
    return [...sorted.filter((seq, at) => seq !== sorted[at - 1])];
  }
}
