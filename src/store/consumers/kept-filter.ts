import { isStoreError, StoreError } from '../../errors.js';
import { MAX_COUNTED_EVENTS, MAX_KEPT_FILTER_BYTES } from '../../limits.js';
import { compileFilter, type CompiledFilter, type EventFilter, filterNames } from '../follow/event-filter.js';
import type { EventReader } from '../follow/log-feed.js';

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
 * Returns a frozen copy of `filter` with the times of the `compiled` one, so that `2h` means the
 * same as long as the consumer is open; undefined for one that passes every event.
 */
export function copyOf(
  filter: EventFilter | undefined,
  { passes, since, until }: CompiledFilter,
): EventFilter | undefined {
  if (filter === undefined || passes === undefined) return undefined;
  const copy = JSON.parse(JSON.stringify({ ...filter, since, until })) as EventFilter;
  for (const values of Object.values(copy)) Object.freeze(values);
  return Object.freeze(copy);
}

/** A filter that was kept, and what it compiles to. */
interface KeptFilter {
  readonly given: EventFilter | undefined;
  readonly filter: CompiledFilter;
}

/**
 * Reads and compiles a kept filter; undefined passes every event.
 * @throws {StoreError} LOG_CORRUPT when the text is no filter; STORE_FORMAT_UNSUPPORTED when it has
 *   fields that this version does not know
 */
export function readKeptFilter(name: string, text: string | undefined): KeptFilter {
  try {
    const given = text === undefined ? undefined : (JSON.parse(text) as EventFilter);
    const later = Object.keys(Object(given)).filter((field) => !Object.hasOwn(filterNames, field));
    if (later.length > 0 && typeof given === 'object') throw laterFilter(name, later);
    return { given, filter: compileFilter(given) };
  } catch (cause) {
    if (isStoreError(cause, 'STORE_FORMAT_UNSUPPORTED')) throw cause;
    throw new StoreError('LOG_CORRUPT', `the filter kept with the position of the consumer ${name} is damaged`, {
      cause,
      data: { name },
    });
  }
}

function laterFilter(name: string, fields: readonly string[]): StoreError {
  const text = `the consumer ${name} has a filter on ${fields.join(', ').slice(0, 100)}, which a newer version of imagelog wrote`;
  return new StoreError('STORE_FORMAT_UNSUPPORTED', text, { data: { name } });
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
export async function countBehind(reader: EventReader, filter: CompiledFilter, position: number): Promise<Behind> {
  const { passes } = filter;
  const head = reader.head.seq;
  if (passes === undefined || position >= head) return { behind: Math.max(0, head - position) };
  let [behind, read] = [0, 0];
  for await (const page of reader.pagesAfter(position, filter)) {
    for (const event of page) {
      if (read === MAX_COUNTED_EVENTS) return { behind, atLeast: true };
      read += 1;
      if (passes(event)) behind += 1;
    }
  }
  return { behind };
}
