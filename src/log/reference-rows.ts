import { throwIfAborted } from '../errors.js';
import { factsOf } from '../model/event-table.js';
import type { StoredEvent } from '../model/events.js';
import { eventPages } from './event-pages.js';
import type { LogSource, PageRange } from './log.js';
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
 * all its rows of references are read, some 25 bytes each, and the first event of each name, which
 * says it: the events in between are not.
 */

/** Whether events about a canonical reference are wanted. */
export type ReferenceTest = (reference: string) => boolean;

const ROWS_AT_A_TIME = 1_000;

/**
 * Resolves with the seqs in `range` of the events about any reference that `matches`, ascending, by
 * the subject index. Names whose hashes share the first eight bytes are taken for the first of them.
 */
export async function referenceSeqs(source: LogSource, matches: ReferenceTest, range: PageRange): Promise<number[]> {
  const { first, last, signal } = range;
  const seqs: number[] = [];
  let wanted = new Map<string, boolean>();
  try {
    const { database, opened } = source;
    const rows = opened(database.iterator({ ...referenceRange(), highWaterMarkBytes: READ_AHEAD_BYTES }));
    try {
      for (;;) {
        throwIfAborted(signal);
        const page = await rows.nextv(ROWS_AT_A_TIME);
        if (page.length === 0) break;
        wanted = await wantedNames(source, page, { matches, known: wanted });
        for (const [key, value] of page) {
          if (wanted.get(subjectOfRow(key)) !== true) continue;
          for (const seq of seqsOfRow(key, value)) if (seq >= first && seq <= last) seqs.push(seq);
        }
      }
    } finally {
      await rows.close();
    }
  } catch (cause) {
    throw source.failure(cause);
  }
  return ascending(seqs);
}

/** Like `referenceSeqs` without an index: reads the whole range. */
export async function scannedReferenceSeqs(
  source: LogSource,
  matches: ReferenceTest,
  range: PageRange,
): Promise<number[]> {
  const seqs: number[] = [];
  for await (const page of eventPages(source, range)) {
    for (const event of page) if (factsOf(event).references(event).some(matches)) seqs.push(event.seq);
  }
  return seqs;
}

interface Names {
  readonly matches: ReferenceTest;
  /** What is known from the page before: a name may have rows in both. */
  readonly known: ReadonlyMap<string, boolean>;
}

/** Tells for each name of a page of rows, in key form, whether it is wanted. */
async function wantedNames(
  source: LogSource,
  page: readonly IndexRow[],
  { matches, known }: Names,
): Promise<Map<string, boolean>> {
  const wanted = new Map<string, boolean>();
  const unknown = new Map<string, IndexRow>();
  for (const row of page) {
    const name = subjectOfRow(row[0]);
    const before = known.get(name);
    if (before !== undefined) wanted.set(name, before);
    else if (!unknown.has(name)) unknown.set(name, row);
  }
  const firsts = [...unknown.values()].map((row) => seqsOfRow(...row)[0] as number);
  const events = await readEvents(source, firsts);
  for (const [at, [name, [key]]] of [...unknown].entries()) {
    const own = namesIn(events[at] as StoredEvent, name);
    if (own.length === 0) throw damagedRow(key);
    wanted.set(name, own.some(matches));
  }
  return wanted;
}

/** Returns the references of an event that a row of this name may be about. */
function namesIn(event: StoredEvent, name: string): string[] {
  const references = factsOf(event).references(event);
  return references.filter((reference) => subjectOfRow(subjectPrefix({ reference })) === name);
}

/** Sorts, and drops what the index repeats: an event about two references, or a row written twice. */
function ascending(seqs: readonly number[]): number[] {
  const sorted = Float64Array.from(seqs).sort();
  return [...sorted.filter((seq, at) => seq !== sorted[at - 1])];
}
