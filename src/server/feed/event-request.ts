import { HttpFailure } from '../failure.js';
import type { FeedAnswer } from './event-feed.js';
import type { FeedFormats } from './feed-format.js';
import {
  checkContinued,
  checkParameters,
  checkStart,
  choice,
  count,
  dataOf,
  filterOf,
  type QueryValues,
  requestInvalid,
} from './feed-query.js';

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
