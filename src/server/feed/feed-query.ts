import { StoreError } from '../../errors.js';
import { compileFilter, type EventFilter } from '../../store/follow/event-filter.js';
import { HttpFailure } from '../failure.js';
import type { EventData, FeedFormat, FeedFormats } from './feed-format.js';

/** Query parameters, each with its values in order. */
export type QueryValues = Readonly<Record<string, readonly string[]>>;

const filterLists = ['type', 'image', 'reference', 'chainId', 'actor', 'requestId', 'reasonIncludes'] as const;
const filterTimes = ['since', 'until'] as const;
const filterParameters: readonly string[] = [...filterLists, ...filterTimes];

/** @throws {HttpFailure} REQUEST_INVALID */
export function requestInvalid(message: string): HttpFailure {
  return new HttpFailure(400, 'REQUEST_INVALID', message);
}

/** Refuses parameters that are neither of a filter nor `known`: a misspelt filter would pass every event. */
function checkParameters(query: QueryValues, known: readonly string[]): void {
  const all = [...filterParameters, ...known];
  const unknown = Object.keys(query).find((name) => !all.includes(name));
  if (unknown === undefined) return;
  throw requestInvalid(`unknown parameter ${JSON.stringify(unknown.slice(0, 100))}; there are ${all.join(', ')}`);
}

/** Returns the value of a parameter that may be given once. */
export function single(query: QueryValues, name: string): string | undefined {
  const values = query[name];
  if (values === undefined) return undefined;
  if (values.length > 1) throw requestInvalid(`${name} may be given once`);
  return values[0];
}

/** Returns a parameter that is a whole number of `min` to `max`. */
export function count(query: QueryValues, name: string, range: { min: number; max: number }): number | undefined {
  const text = single(query, name);
  if (text === undefined) return undefined;
  const { min, max } = range;
  const number = /^\d{1,16}$/.test(text) ? Number(text) : Number.NaN;
  if (number >= min && number <= max) return number;
  throw requestInvalid(`${name} must be a whole number of ${min} to ${max}: ${JSON.stringify(text.slice(0, 100))}`);
}

/** Returns a parameter that is one of `choices`. */
export function choice<Choice extends string>(
  query: QueryValues,
  name: string,
  choices: readonly Choice[],
): Choice | undefined {
  const text = single(query, name);
  if (text === undefined) return undefined;
  const chosen = choices.find((each) => each === text);
  if (chosen !== undefined) return chosen;
  throw requestInvalid(`${name} must be ${choices.join(' or ')}: ${JSON.stringify(text.slice(0, 100))}`);
}

/** Returns the form of the data that a query asks for. */
export function dataOf(query: QueryValues): EventData {
  return choice(query, 'data', ['cloudevent', 'event']) ?? 'cloudevent';
}

/** A checked filter. */
interface CheckedFilter {
  /** Its times in milliseconds: a text as `2h` means the same as long as the client reads. */
  readonly filter: EventFilter | undefined;
  /** The same for filters that pass the same events. */
  readonly key: string;
}

/** Returns the filter of a query: the fields of `EventFilter`, repeated for any of several values. */
function filterOf(query: QueryValues): CheckedFilter {
  const filter: Record<string, unknown> = {};
  for (const name of filterLists) if (query[name] !== undefined) filter[name] = query[name];
  for (const name of filterTimes) if (query[name] !== undefined) filter[name] = single(query, name);
  return checkedFilter(filter);
}

/** Checks a filter that came over HTTP. @throws {HttpFailure} REQUEST_INVALID; StoreError as `compileFilter` */
export function checkedFilter(given: Readonly<Record<string, unknown>>): CheckedFilter {
  const { passes, since, until } = compiled(given);
  if (passes === undefined) return { filter: undefined, key: '' };
  const filter: Record<string, unknown> = {};
  for (const name of filterLists) {
    if (given[name] !== undefined) filter[name] = [...new Set([given[name]].flat())].sort();
  }
  if (since !== undefined) filter.since = since;
  if (until !== undefined) filter.until = until;
  return { filter: filter as EventFilter, key: JSON.stringify(filter) };
}

function compiled(given: object): ReturnType<typeof compileFilter> {
  try {
    return compileFilter(given as EventFilter);
  } catch (error) {
    // The library counts a wrong type or name as a mistake in the caller's code.
    if (error instanceof TypeError || error instanceof RangeError) throw requestInvalid(error.message);
    throw error;
  }
}

/** Returns a seq that the log has, or the next one. @throws {StoreError} TIME_OUT_OF_RANGE */
export function checkStart(from: number, head: number): number {
  if (from <= head + 1) return from;
  throw beyondHead(`begin at event ${from}`, { from, head });
}

/** The same for a client that continues after its last event: `from` is the next. @throws {StoreError} TIME_OUT_OF_RANGE */
export function checkContinued(from: number, head: number): number {
  if (from <= head + 1) return from;
  // A log that was restored from an older backup will write other events under these numbers.
  throw beyondHead(`continue after event ${from - 1}`, { from, head });
}

/** Returns the refusal to do `what`, which names an event that the log does not have. */
export function beyondHead(what: string, data: { readonly from: number; readonly head: number }): StoreError {
  return new StoreError('TIME_OUT_OF_RANGE', `cannot ${what}: the head is ${data.head}`, { data });
}

/** What an answer of the feed has. */
export interface FeedAnswer {
  readonly format: FeedFormat;
  readonly filter: EventFilter | undefined;
  /** The same for filters that pass the same events. */
  readonly filterKey: string;
  /** Begins with the event after this one. */
  readonly position: number;
  /** Last seq of an answer that ends; undefined for one that follows the log. */
  readonly to: number | undefined;
  /** Most events; Infinity for all. */
  readonly limit: number;
}

/** A request for events. */
interface EventRequest {
  readonly query: QueryValues;
  readonly accept: string | undefined;
  readonly lastEventId: string | undefined;
}

/** What it is answered from. */
interface AnswerBasis {
  /** The last event to give. */
  readonly head: number;
  /** Whether later events are not given, as of a server of the past. */
  readonly isPast: boolean;
  readonly formats: FeedFormats;
}

/**
 * Returns what a request for events asks for; undefined when the client has all of it already.
 * @throws {HttpFailure} REQUEST_INVALID; StoreError TIME_OUT_OF_RANGE and those of filters
 */
export function eventAnswer(request: EventRequest, { head, isPast, formats }: AnswerBasis): FeedAnswer | undefined {
  const { query, accept, lastEventId } = request;
  checkParameters(query, ['from', 'to', 'limit', 'format', 'data', 'follow']);
  const seqs = { min: 0, max: Number.MAX_SAFE_INTEGER };
  const kind = choice(query, 'format', ['sse', 'ndjson']) ?? accepted(accept);
  const to = count(query, 'to', seqs);
  const isEndless = kind === 'sse' && to === undefined && !isPast;
  const follow = choice(query, 'follow', ['true', 'false']) ?? String(isEndless);
  if (follow === 'true' && isPast) throw requestInvalid('this server shows the past: nothing follows');
  if (follow === 'true' && to !== undefined) throw requestInvalid('to ends the answer: it cannot follow too');
  const next = seqAfter(lastEventId);
  if (next !== undefined) checkContinued(next, head);
  const start = next ?? count(query, 'from', seqs);
  const from = Math.max(1, checkStart(start ?? (follow === 'true' ? head + 1 : 1), head));
  const end = follow === 'true' ? undefined : Math.min(to ?? head, head);
  // A browser whose answer ended asks again, until it hears that there is no more.
  if (end !== undefined && lastEventId !== undefined && from > end) return undefined;
  const { filter, key } = filterOf(query);
  const format = formats.get(kind, dataOf(query));
  const limit = count(query, 'limit', { min: 1, max: seqs.max }) ?? Number.POSITIVE_INFINITY;
  return { format, filter, filterKey: key, position: from - 1, to: end, limit };
}

/** Returns the seq after a `Last-Event-ID`. */
export function seqAfter(lastEventId: string | undefined): number | undefined {
  if (lastEventId === undefined || lastEventId === '') return undefined;
  const seq = /^\d{1,15}$/.test(lastEventId) ? Number(lastEventId) : Number.NaN;
  if (Number.isSafeInteger(seq)) return seq + 1;
  throw requestInvalid(`Last-Event-ID must be a seq: ${JSON.stringify(lastEventId.slice(0, 100))}`);
}

/** Returns the format that a header `Accept` asks for; lines of JSON if it takes anything. */
function accepted(accept: string | undefined): 'sse' | 'ndjson' {
  const types = (accept ?? '*/*').split(',').map((type) => type.split(';')[0]?.trim().toLowerCase());
  if (types.includes('text/event-stream')) return 'sse';
  if (
    types.some((type) => ['*/*', 'application/*', 'application/x-ndjson', 'application/ndjson'].includes(type ?? ''))
  ) {
    return 'ndjson';
  }
  throw new HttpFailure(406, 'REQUEST_INVALID', 'events come as text/event-stream or application/x-ndjson');
}
