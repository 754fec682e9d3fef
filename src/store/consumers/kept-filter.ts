import { StoreError } from '../../errors.js';
import { MAX_COUNTED_EVENTS, MAX_KEPT_FILTER_BYTES, MAX_PAGE_EVENTS } from '../../limits.js';
import type { Log } from '../../log/log.js';
import type { StoredEvent } from '../../model/events.js';
import { compileFilter, type CompiledFilter, type EventFilter } from '../follow/event-filter.js';
import { StretchReader } from '../follow/stretch-reader.js';

/*
 * The filter of a consumer is kept with its position, so that others can count the events that it
 * waits for. What the consumer is given is decided by its own filter alone.
 */

/**
 * Returns the text of a valid `filter` to keep: undefined for one that passes every event, and, after
 * `onNotice`, for one of more than MAX_KEPT_FILTER_BYTES.
 */
export function keptFilter(
  name: string,
  filter: EventFilter | undefined,
  onNotice: (notice: string) => void,
): string | undefined {
  if (filter === undefined || compileFilter(filter).passes === undefined) return undefined;
  const text = JSON.stringify(filter);
  const size = Buffer.byteLength(text);
  if (size <= MAX_KEPT_FILTER_BYTES) return text;
  onNotice(
    `the filter of the consumer ${name} has ${size} bytes and is not kept with its position (at most ` +
      `${MAX_KEPT_FILTER_BYTES}): while it is closed, BEHIND counts every event`,
  );
  return undefined;
}

/** Returns a copy of a valid filter, which its caller cannot change. */
export function copyOf(filter: EventFilter | undefined): EventFilter | undefined {
  return filter === undefined ? undefined : (JSON.parse(JSON.stringify(filter)) as EventFilter);
}

/** A filter that was kept, and what it compiles to. */
interface KeptFilter {
  readonly given: EventFilter | undefined;
  readonly filter: CompiledFilter;
}

/**
 * Reads and compiles a kept filter; undefined passes every event.
 * @throws {StoreError} LOG_CORRUPT when the text is no filter
 */
export function readKeptFilter(name: string, text: string | undefined): KeptFilter {
  try {
    const given = text === undefined ? undefined : (JSON.parse(text) as EventFilter);
    return { given, filter: compileFilter(given) };
  } catch (cause) {
    throw new StoreError('LOG_CORRUPT', `the filter kept with the position of the consumer ${name} is damaged`, {
      cause,
      data: { name },
    });
  }
}

/** Events that a consumer waits for. */
export interface Behind {
  readonly behind: number;
  /** Set when `behind` is a lower bound. */
  readonly atLeast?: true | undefined;
}

/**
 * Counts the events after `position` that pass: by the subject index if the filter names a subject or a pattern,
 * and a lower bound once MAX_COUNTED_EVENTS were read.
 */
export async function countBehind(
  log: Log,
  filter: CompiledFilter,
  position: number,
  head: number,
): Promise<Behind> {
  const { passes } = filter;
  if (passes === undefined || position >= head) return { behind: Math.max(0, head - position) };
  let [behind, read] = [0, 0];
  for await (const page of pagesOf(log, filter, { first: position + 1, last: head })) {
    for (const event of page) {
      if (read === MAX_COUNTED_EVENTS) return { behind, atLeast: true };
      read += 1;
      if (passes(event)) behind += 1;
    }
  }
  return { behind };
}

async function* pagesOf(
  log: Log,
  filter: CompiledFilter,
  { first, last }: { readonly first: number; readonly last: number },
): AsyncGenerator<readonly StoredEvent[]> {
  const { subjects } = filter;
  if (subjects !== undefined && log.hasSubjectIndex) {
    yield* log.subjectPages(subjects, { from: first, to: last });
    return;
  }
  const reader = new StretchReader(log, filter);
  for (let at = first; at <= last; ) {
    const range = { first: at, last, reverse: false, size: MAX_PAGE_EVENTS, signal: undefined };
    const { events, end } = await reader.read(range);
    yield events;
    at = end + 1;
  }
}
