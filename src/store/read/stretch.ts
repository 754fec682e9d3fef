import type { Page } from '../../../projections/live-view.js';
import type { Log } from '../../log/log.js';
import type { Subject } from '../../model/subjects.js';

/** A piece of the log that was looked through. */
export interface Stretch {
  /** The events of it that may pass the reader's filter, in the reader's direction. */
  readonly events: Page;
  /** The seq at which the piece ends, in the reader's direction. */
  readonly end: number;
}

/** Which stretch to read. */
export interface StretchRange {
  /** First and last seq, inclusive, whatever the direction: at least one event. */
  readonly first: number;
  readonly last: number;
  readonly reverse: boolean;
  /** Events of it at the most. */
  readonly size: number;
  readonly signal: AbortSignal | undefined;
}

/** Subjects that are looked up in the index: each of them costs an iterator, and for more the whole log is read. */
const MAX_INDEXED_SUBJECTS = 64;

/**
 * Reads one stretch, from the beginning of the range: by the subject index when the log has it and `subjects` names few.
 * Nothing stays open in the database: an iterator that waits for a slow reader keeps files that were replaced long ago.
 */
export function readStretch(log: Log, subjects: readonly Subject[] | undefined, range: StretchRange): Promise<Stretch> {
  const isIndexed = subjects !== undefined && subjects.length <= MAX_INDEXED_SUBJECTS && log.hasSubjectIndex;
  return isIndexed ? readIndexed(log, subjects, range) : readAll(log, range);
}

async function readAll(log: Log, { first, last, reverse, size, signal }: StretchRange): Promise<Stretch> {
  const from = reverse ? Math.max(first, last - size + 1) : first;
  const to = reverse ? last : Math.min(last, first + size - 1);
  const events = await firstPage(log.pages({ from, to, reverse, pageSize: size, signal }));
  return { events, end: events.at(-1)?.seq ?? (reverse ? from : to) };
}

async function readIndexed(
  log: Log,
  subjects: readonly Subject[],
  { first, last, reverse, size, signal }: StretchRange,
): Promise<Stretch> {
  const pages = log.subjectPages(subjects, { from: first, to: last, reverse, pageSize: size, signal });
  const events = await firstPage(pages);
  return { events, end: events.at(-1)?.seq ?? (reverse ? first : last) };
}

async function firstPage(pages: AsyncIterable<Page>): Promise<Page> {
  for await (const page of pages) return page;
  return [];
}
