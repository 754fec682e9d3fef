import { type OptionNames, refuseUnknown } from '../../model/option-names.js';
import type { Observable } from 'rxjs';
import type { Head } from '../../log/log.js';
import { type ChainId, type ImageId, parseDigest } from '../../model/digest.js';
import type { EventType, StoredEvent } from '../../model/events.js';
import { canBeAbout, eventTypes, factsOf } from '../../model/event-table.js';
import { type Subject, subjectsOf } from '../../model/subjects.js';
import { StoreError } from '../../errors.js';
import { parseMoment } from '../../model/moment.js';
import { wantedReference } from '../../model/reference-pattern.js';
import { UTC } from '../../model/time-zone.js';
import { mustBeObject, mustBeString } from '../argument-types.js';

/**
 * Selects events: every given field must match, each by any of its values. A filter no event can
 * pass is refused, because it would look like an empty log: an empty list or actor, `since` after
 * `until`, or types and subjects no event combines.
 *
 * The index has images, references, chains and actors. A filter on other fields alone reads every
 * event of the range; `explain` tells which.
 */
export interface EventFilter {
  readonly type?: EventType | readonly EventType[] | undefined;
  readonly image?: ImageId | readonly ImageId[] | undefined;
  /**
   * Names, in familiar or canonical form; or patterns, as of Docker's `reference` filter: `*` and
   * `?` stop at a slash, `[a-z]` is one character. A pattern with a slash is held against both
   * forms, each with and without its tag or digest: `shop/*` is every tag right below `shop`. One
   * without a slash is held against the last part of the name, in any repository: `*:prod`.
   */
  readonly reference?: string | readonly string[] | undefined;
  readonly chainId?: ChainId | readonly ChainId[] | undefined;
  readonly actor?: string | readonly string[] | undefined;
  /** The request id itself. Not in the index. */
  readonly requestId?: string | readonly string[] | undefined;
  /** A text in the reason, in any case of letters. Not in the index. */
  readonly reasonIncludes?: string | readonly string[] | undefined;
  /** What the write came through: `registry`. Not in the index. */
  readonly via?: string | readonly string[] | undefined;
  /**
   * First and last time, inclusive: milliseconds since the epoch, a Date, or a text as of `When`, in
   * UTC and by the store's clock at the call (`2h`, `yesterday 09:00`, `2026-01-31`). Of a text
   * `since` is the start and `until` the end. For events there are `from` and `to`.
   */
  readonly since?: number | Date | string | undefined;
  readonly until?: number | Date | string | undefined;
}

export const filterNames: OptionNames<EventFilter> = {
  type: true,
  image: true,
  reference: true,
  chainId: true,
  actor: true,
  requestId: true,
  reasonIncludes: true,
  via: true,
  since: true,
  until: true,
};

/** Options of `read`. */
export interface ReadOptions {
  /** First and last seq, inclusive, in either direction; default 1 and the head at the call. */
  readonly from?: number | undefined;
  readonly to?: number | undefined;
  readonly reverse?: boolean | undefined;
  readonly limit?: number | undefined;
  readonly filter?: EventFilter | undefined;
  /** Called as events are looked through, with those done and all of the range. */
  readonly onProgress?: ((events: number, total: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

export const readOptionNames: OptionNames<ReadOptions> = {
  onProgress: true,
  from: true,
  to: true,
  reverse: true,
  limit: true,
  filter: true,
  signal: true,
};

/** Options of `follow`. */
export interface FollowOptions {
  /** First seq to deliver; default the one after the head. */
  readonly from?: number | undefined;
  readonly filter?: EventFilter | undefined;
  readonly signal?: AbortSignal | undefined;
}

export const followOptionNames: OptionNames<FollowOptions> = { from: true, filter: true, signal: true };

/**
 * An endless iterator over the log from one seq on: existing events, then each as it becomes
 * durable, without gaps or duplicates. A slow reader is never dropped; memory stays at one page of
 * events (MAX_PAGE_EVENTS) however far behind it is, and with a pattern of references eight bytes
 * for each event that it is behind by. Concurrent `next` calls are answered in order.
 * Ends when the store closes.
 */
export interface Follower extends AsyncIterableIterator<StoredEvent>, AsyncDisposable {
  /** Every event up to here was delivered or filtered out. */
  readonly position: number;
  /** The seq of the last event of the log. */
  readonly head: number;
  /**
   * Resolves when every event in the log at this call was delivered or filtered out. Needs someone
   * to iterate.
   * @throws {StoreError} ABORTED when the iteration, or STORE_CLOSED when the store, ended first;
   *   what the iteration fails with
   */
  caughtUp(): Promise<void>;
  /** Ends the iteration at once; pending `next` calls resolve with the end. */
  return(): Promise<IteratorResult<StoredEvent, undefined>>;
}

/** Reads a store's event log. Events are checked for gaps and against the checksums of their rows. */
export interface StoreLog {
  /** The last event folded into every view. */
  readonly head: Head;
  /**
   * Returns a one-time iterator over events. A filter on images, references, chains or actors costs
   * only their events, not the whole log. A pattern of references costs an index row for each event
   * about a reference, one event for each reference, and the events that fit; eight bytes of memory
   * for each of these.
   * @throws {StoreError} FILTER_INVALID, DIGEST_INVALID, REFERENCE_INVALID, TIME_INVALID at the call;
   *   the iteration fails with STORE_CLOSED, ABORTED, LOG_CORRUPT, LOG_FAILED
   */
  read(options?: ReadOptions): AsyncIterableIterator<StoredEvent>;
  /**
   * Tells how `read` would find its events: by the index, or by reading each of `events` events.
   * @throws {StoreError} as `read` at the call
   */
  explain(options?: ReadOptions): { readonly by: 'index' } | { readonly by: 'scan'; readonly events: number };
  /**
   * Returns a follower of the log. Once caught up, it costs writes nothing until an event passes
   * its filter.
   * @throws {StoreError} FILTER_INVALID, DIGEST_INVALID, REFERENCE_INVALID, TIME_INVALID at the call;
   *   the iteration fails with ABORTED, LOG_CORRUPT, LOG_FAILED
   */
  follow(options?: FollowOptions): Follower;
  /**
   * Each event once durable, after every view has folded its transaction. Subscribers run before
   * the write resolves, so be brief. An error in one goes to its RxJS error channel or becomes an
   * uncaught exception in a later turn: it affects neither the write nor other subscribers.
   */
  readonly events$: Observable<StoredEvent>;
}

/** A validated filter. */
export interface CompiledFilter {
  /** Whether an event passes; undefined if all do. */
  readonly passes: ((event: StoredEvent) => boolean) | undefined;
  /**
   * Every event that passes is about one of these. If the filter names several kinds of subject,
   * the kind with the fewest events. Undefined if it names none, or patterns of references.
   */
  readonly subjects: readonly Subject[] | undefined;
  /** Every event that passes is about a canonical reference for which this holds, if it is set. */
  readonly matchesReference: ((reference: string) => boolean) | undefined;
  /** The types of the events that pass; undefined for all. */
  readonly types: ReadonlySet<EventType> | undefined;
  /** First and last time of the events that pass, milliseconds since the epoch; inclusive. */
  readonly since: number | undefined;
  readonly until: number | undefined;
}

const NO_FILTER: CompiledFilter = {
  passes: undefined,
  subjects: undefined,
  matchesReference: undefined,
  types: undefined,
  since: undefined,
  until: undefined,
};

/** The kinds of subject besides the actor, which every event has. */
type SubjectKind = 'image' | 'reference' | 'chainId';

/**
 * Validates and compiles `filter`; an absent filter passes all. Times ago are before `now`; the text
 * `now` is not before `headTimeMs`, as a clock that went back is.
 * @throws {StoreError} FILTER_INVALID when no event can pass, or for a malformed pattern;
 *   DIGEST_INVALID, REFERENCE_INVALID for an invalid image, chain or reference
 * @throws {StoreError} TIME_INVALID for a text that is no time
 * @throws {TypeError} for a value of a wrong type; RangeError for an unknown event type
 */
export function compileFilter(
  filter: EventFilter | undefined,
  now: () => number = Date.now,
  headTimeMs = 0,
): CompiledFilter {
  if (filter === undefined) return NO_FILTER;
  mustBeObject('filter', filter);
  refuseUnknown(filter, filterNames, 'field of a filter');
  const since = timeOf('since', filter.since, now, headTimeMs)?.first;
  const until = timeOf('until', filter.until, now, headTimeMs)?.last;
  const types = wanted('type', filter.type, knownType);
  const actors = wanted('actor', filter.actor, actorName);
  const images = wanted('image', filter.image, (image) => parseDigest(image) as ImageId);
  const references = referencesWanted(filter.reference);
  const chains = wanted('chainId', filter.chainId, (chain) => parseDigest(chain) as ChainId);
  const requests = wanted('requestId', filter.requestId, (requestId) => requestId);
  const texts = wanted('reasonIncludes', filter.reasonIncludes, (text) => text.toLowerCase());
  const ways = wanted('via', filter.via, (via) => via);
  checkTimes(since, until);
  checkTypes(types, { image: images, reference: references, chainId: chains });
  const tests: ((event: StoredEvent) => boolean)[] = [];
  if (since !== undefined) tests.push((event) => event.time >= since);
  if (until !== undefined) tests.push((event) => event.time <= until);
  if (types !== undefined) tests.push((event) => types.has(event.type));
  if (actors !== undefined) tests.push((event) => actors.has(event.actor));
  if (requests !== undefined) tests.push(({ requestId }) => requestId !== undefined && requests.has(requestId));
  if (texts !== undefined) tests.push(({ reason }) => reason !== undefined && hasAny(reason.toLowerCase(), texts));
  if (ways !== undefined) tests.push(({ via }) => via !== undefined && ways.has(via));
  if (references !== undefined) tests.push((event) => factsOf(event).references(event).some(references.matches));
  if (images !== undefined) tests.push((event) => subjectsOf(event).images.some((image) => images.has(image)));
  if (chains !== undefined) tests.push((event) => subjectsOf(event).chains.some((chain) => chains.has(chain)));
  return {
    passes: all(tests),
    subjects: subjectsNamed({ references, images, chains, actors }),
    matchesReference: references?.matches,
    types: types ?? (references === undefined ? undefined : new Set(eventTypes.filter(hasReference))),
    since,
    until,
  };
}

function hasReference(type: EventType): boolean {
  return canBeAbout(type, 'reference');
}

function hasAny(text: string, parts: ReadonlySet<string>): boolean {
  for (const part of parts) if (text.includes(part)) return true;
  return false;
}

interface WantedReferences {
  /** Canonical; undefined if one is a pattern. */
  readonly names: ReadonlySet<string> | undefined;
  readonly matches: (reference: string) => boolean;
}

function referencesWanted(values: EventFilter['reference']): WantedReferences | undefined {
  const texts = wanted('reference', values, (text) => text);
  if (texts === undefined) return undefined;
  const names = new Set<string>();
  const patterns: ((reference: string) => boolean)[] = [];
  for (const { name, matches } of [...texts].map(wantedReference)) {
    if (name === undefined) patterns.push(matches);
    else names.add(name);
  }
  return {
    names: patterns.length === 0 ? names : undefined,
    matches: (reference) => names.has(reference) || patterns.some((matches) => matches(reference)),
  };
}

function all(tests: readonly ((event: StoredEvent) => boolean)[]): CompiledFilter['passes'] {
  if (tests.length <= 1) return tests[0];
  return (event) => tests.every((passes) => passes(event));
}

interface NamedSubjects {
  readonly references: WantedReferences | undefined;
  readonly images: ReadonlySet<ImageId> | undefined;
  readonly chains: ReadonlySet<ChainId> | undefined;
  readonly actors: ReadonlySet<string> | undefined;
}

// Ordered from the kind with the fewest events to the one with the most.
function subjectsNamed({ references, images, chains, actors }: NamedSubjects): readonly Subject[] | undefined {
  if (references?.names !== undefined) return [...references.names].map((reference) => ({ reference }));
  if (images !== undefined) return [...images].map((image) => ({ image }));
  if (chains !== undefined) return [...chains].map((chainId) => ({ chainId }));
  // One actor may have done everything: then a search by the pattern costs less.
  if (references !== undefined) return undefined;
  if (actors !== undefined) return [...actors].map((actor) => ({ actor }));
  return undefined;
}

function wanted<Value extends string>(
  name: string,
  values: string | readonly string[] | undefined,
  normalize: (value: string) => Value,
): ReadonlySet<Value> | undefined {
  if (values === undefined) return undefined;
  const list = typeof values === 'string' ? [values] : values;
  if (!Array.isArray(list)) throw new TypeError(`${name} must be a string or an array of strings`);
  if (list.length === 0) throw impossible(`its list of values for ${name} is empty`, { fact: name });
  for (const value of list) mustBeString(name, value);
  return new Set(list.map(normalize));
}

// Refuses unknown types: a misspelt one would look like an empty log.
function knownType(type: string): EventType {
  const known = eventTypes.find((each) => each === type);
  if (known !== undefined) return known;
  throw new RangeError(`type must be one of ${eventTypes.join(', ')}: ${JSON.stringify(type)}`);
}

function actorName(actor: string): string {
  if (actor === '') throw impossible('its actor is empty, and every event has one', { fact: 'actor' });
  return actor;
}

function checkTimes(since: number | undefined, until: number | undefined): void {
  if (since === undefined || until === undefined || since <= until) return;
  throw impossible(`it begins at ${timeText(since)} (since) and ends before, at ${timeText(until)} (until)`, {
    since,
    until,
  });
}

function timeOf(
  name: string,
  value: number | Date | string | undefined,
  now: () => number,
  headTimeMs: number,
): { readonly first: number; readonly last: number } | undefined {
  if (value === undefined) return undefined;
  if (typeof value === 'string') {
    const nowMs = now();
    const point = parseMoment(value, { nowMs, timeZone: UTC });
    if (point.kind === 'time') return point;
    const presentMs = Math.max(nowMs, headTimeMs);
    if (point.kind === 'now') return { first: presentMs, last: presentMs };
    throw new StoreError(
      'TIME_INVALID',
      `${name} takes a time, and ${value} is an event: for events take from and to`,
      {
        data: { when: value },
      },
    );
  }
  const time = value instanceof Date ? value.getTime() : value;
  if (!Number.isFinite(time)) throw new TypeError(`${name} must be a finite number, a Date or a text`);
  return { first: time, last: time };
}

function checkTypes(
  types: ReadonlySet<EventType> | undefined,
  subjects: Readonly<Record<SubjectKind, object | undefined>>,
): void {
  const kinds = (['image', 'reference', 'chainId'] as const).filter((kind) => subjects[kind] !== undefined);
  const candidates = [...(types ?? eventTypes)];
  if (candidates.some((type) => kinds.every((kind) => canBeAbout(type, kind)))) return;
  const what = types === undefined ? 'no event' : `no ${candidates.join(' or ')}`;
  throw impossible(`${what} has ${kinds.join(' and ')}`, { types: candidates, subjects: kinds });
}

function impossible(why: string, data: Readonly<Record<string, unknown>>): StoreError {
  return new StoreError('FILTER_INVALID', `no event can pass the filter: ${why}`, { data });
}

// Shows a number outside the range of Date as it is.
function timeText(time: number): string {
  const date = new Date(time);
  return Number.isNaN(date.getTime()) ? String(time) : date.toISOString();
}
