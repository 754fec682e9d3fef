import type { Page } from '../../../projections/projection.js';
import type { Log } from '../../log/log.js';
import { countBefore } from '../../model/collections.js';
import type { Subject } from '../../model/subjects.js';
import type { CompiledFilter } from './event-filter.js';

/** A scanned piece of the log. */
export interface Stretch {
  /** Its events that may pass the reader's filter, in the reader's direction. */
  readonly events: Page;
  /** Seq at which it ends, in the reader's direction. */
  readonly end: number;
}

interface SeqRange {
  /** First and last seq, inclusive, in either direction; at least one event. */
  readonly first: number;
  readonly last: number;
}

interface StretchRange extends SeqRange {
  readonly reverse: boolean;
  /** Maximum number of events. */
  readonly size: number;
  readonly signal: AbortSignal | undefined;
}

/** Most subjects to look up in the index, at an iterator each. */
const MAX_INDEXED_SUBJECTS = 64;

/**
 * References are searched for through all their index rows, which costs a fraction of reading the
 * log; a range with less than this part of the log is cheaper to read.
 */
const LEAST_SEARCHED_PART = 0.25;

/** How the events of a filter are found; undefined by reading every event of the range. */
type Way = { readonly subjects: readonly Subject[] } | { readonly matches: (reference: string) => boolean } | undefined;

/** Returns the cheapest way to find the events of `range` that may pass the filter. */
export function wayTo(log: Log, { subjects, matchesReference }: CompiledFilter, { first, last }: SeqRange): Way {
  if (!log.hasSubjectIndex) return undefined;
  if (subjects !== undefined && subjects.length <= MAX_INDEXED_SUBJECTS) return { subjects };
  const isLarge = last - first + 1 >= log.head.seq * LEAST_SEARCHED_PART;
  return matchesReference !== undefined && isLarge ? { matches: matchesReference } : undefined;
}

/** The events about wanted references in a range that was searched. */
interface Searched extends SeqRange {
  /** Ascending. */
  readonly seqs: readonly number[];
}

/** A log, and canonical references that exist: a search reads no event to know these. */
export interface SearchableLog {
  readonly log: Log;
  readonly references: () => Iterable<string>;
}

/**
 * Reads a log in stretches, by the subject index where that is cheaper. Leaves no iterator open:
 * with a slow reader it would keep obsolete files alive. Keeps the seqs, eight bytes each, that a
 * search for references found.
 */
export class StretchReader {
  readonly #log: Log;
  readonly #filter: CompiledFilter;
  readonly #references: () => Iterable<string>;
  #searched: Searched | undefined;

  constructor({ log, references }: SearchableLog, filter: CompiledFilter) {
    this.#log = log;
    this.#filter = filter;
    this.#references = references;
  }

  /** Reads one stretch from the start of the range; it may end before `size` events. */
  async read(range: StretchRange): Promise<Stretch> {
    const searched = this.#searched;
    const start = range.reverse ? range.last : range.first;
    if (searched !== undefined && start >= searched.first && start <= searched.last) {
      return this.#readSearched(searched, range);
    }
    this.#searched = undefined;
    const way = wayTo(this.#log, this.#filter, range);
    if (way === undefined) return this.#readAll(range);
    if ('subjects' in way) return this.#readSubjects(way.subjects, range);
    const { first, last, signal } = range;
    const wanted = { matches: way.matches, known: this.#references() };
    const seqs = await this.#log.referenceSeqs(wanted, { from: first, to: last, signal });
    this.#searched = { first, last, seqs };
    return this.#readSearched(this.#searched, range);
  }

  async #readAll({ first, last, reverse, size, signal }: StretchRange): Promise<Stretch> {
    const from = reverse ? Math.max(first, last - size + 1) : first;
    const to = reverse ? last : Math.min(last, first + size - 1);
    const events = await firstPage(this.#log.pages({ from, to, reverse, pageSize: size, signal }));
    return { events, end: events.at(-1)?.seq ?? (reverse ? from : to) };
  }

  async #readSubjects(
    subjects: readonly Subject[],
    { first, last, reverse, size, signal }: StretchRange,
  ): Promise<Stretch> {
    const pages = this.#log.subjectPages(subjects, { from: first, to: last, reverse, pageSize: size, signal });
    const events = await firstPage(pages);
    return { events, end: events.at(-1)?.seq ?? (reverse ? first : last) };
  }

  async #readSearched(searched: Searched, { reverse, size, signal, ...range }: StretchRange): Promise<Stretch> {
    const first = Math.max(range.first, searched.first);
    const last = Math.min(range.last, searched.last);
    const countBelow = (seq: number): number =>
      countBefore(searched.seqs.length, (place) => (searched.seqs[place] as number) < seq);
    const [start, end] = [countBelow(first), countBelow(last + 1)];
    const seqs = reverse
      ? searched.seqs.slice(Math.max(start, end - size), end).reverse()
      : searched.seqs.slice(start, Math.min(end, start + size));
    const events = seqs.length === 0 ? [] : await this.#log.eventsOf(seqs, { signal });
    return { events, end: events.at(-1)?.seq ?? (reverse ? first : last) };
  }
}

async function firstPage(pages: AsyncIterable<Page>): Promise<Page> {
  for await (const page of pages) return page;
  return [];
}
