import { StoreError } from '../../errors.js';
import { MAX_COUNTED_EVENTS, MAX_KEPT_FILTER_BYTES } from '../../limits.js';
import type { Log } from '../../log/log.js';
import { compileFilter, type CompiledFilter, type EventFilter } from '../follow/event-filter.js';

/*
 * The filter of a consumer is kept with its position, so that others can count the events that it
 * waits for. What the consumer is given is decided by its own filter alone.
 */

/**
 * Returns the text of `filter` to keep, with the times of the `compiled` one: undefined for one that
 * passes every event, and, after `onNotice`, for one of more than MAX_KEPT_FILTER_BYTES.
 */
export function keptFilter(
  name: string,
  filter: EventFilter | undefined,
  { passes, since, until }: CompiledFilter,
  onNotice: (notice: string) => void,
): string | undefined {
  if (filter === undefined || passes === undefined) return undefined;
  const text = JSON.stringify({ ...filter, since, until });
  const size = Buffer.byteLength(text);
  if (size <= MAX_KEPT_FILTER_BYTES) return text;
  onNotice(
    `the filter of the consumer ${name} has ${size} bytes and is not kept with its position (at most ` +
      `${MAX_KEPT_FILTER_BYTES}): while it is closed, BEHIND counts every event`,
  );
  return undefined;
}

/**
 * Compiles a kept filter; undefined passes every event.
 * @throws {StoreError} LOG_CORRUPT when the text is no filter
 */
export function readKeptFilter(name: string, text: string | undefined): CompiledFilter {
  try {
    return compileFilter(text === undefined ? undefined : (JSON.parse(text) as EventFilter));
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
 * Counts the events after `position` that pass: by the subject index if the filter names a subject,
 * and a lower bound once MAX_COUNTED_EVENTS were read.
 */
export async function countBehind(
  log: Log,
  { passes, subjects }: CompiledFilter,
  position: number,
  head: number,
): Promise<Behind> {
  if (passes === undefined || position >= head) return { behind: Math.max(0, head - position) };
  const range = { from: position + 1, to: head };
  const byIndex = subjects !== undefined && log.hasSubjectIndex;
  let [behind, read] = [0, 0];
  for await (const page of byIndex ? log.subjectPages(subjects, range) : log.pages(range)) {
    for (const event of page) {
      if (read === MAX_COUNTED_EVENTS) return { behind, atLeast: true };
      read += 1;
      if (passes(event)) behind += 1;
    }
  }
  return { behind };
}
