import type { Observable } from 'rxjs';
import type { Head } from '../../log/log.js';
import { type ChainId, type ImageId, parseDigest } from '../../model/digest.js';
import { type EventType, eventTypes, type StoredEvent, type Subject, subjectsOf } from '../../model/events.js';
import { StoreError } from '../../errors.js';
import { canonicalReference } from '../../model/reference.js';
import { mustBeObject, mustBeString } from '../argument-types.js';

/**
 * Which events to read: all of the given facts must hold, each by any of its values. A filter that no event can pass
 * is refused, as it would look like an empty log: an empty list, an empty text, `since` after `until`, or types and
 * subjects that no event has together.
 */
export interface EventFilter {
  readonly type?: EventType | readonly EventType[] | undefined;
  readonly image?: ImageId | readonly ImageId[] | undefined;
  /** In the short or the canonical form. */
  readonly reference?: string | readonly string[] | undefined;
  readonly chainId?: ChainId | readonly ChainId[] | undefined;
  readonly actor?: string | readonly string[] | undefined;
  /** First and last moment, inclusive, milliseconds since the epoch. */
  readonly since?: number | undefined;
  readonly until?: number | undefined;
}

/** Which events to read, and in which direction. */
export interface ReadOptions {
  /** First and last seq, inclusive, whatever the direction; default 1 and the head at the call. */
  readonly from?: number | undefined;
  readonly to?: number | undefined;
  readonly reverse?: boolean | undefined;
  readonly limit?: number | undefined;
  readonly filter?: EventFilter | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** Which events to follow. */
export interface FollowOptions {
  /** First seq to give; default the one after the head. */
  readonly from?: number | undefined;
  readonly filter?: EventFilter | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * The events from one seq on, for ever: those there are, then each as it becomes durable, none left out and none twice.
 * It is never dropped for being slow, and holds no more than one page of events (MAX_PAGE_EVENTS) however far it is
 * behind. Calls of `next` that wait together are answered in order. It ends when the store is closed.
 */
export interface Follower extends AsyncIterableIterator<StoredEvent>, AsyncDisposable {
  /** Every event up to here was given, or passed over by the filter. */
  readonly position: number;
  /**
   * Resolves when every event that is in the log at this call was given or passed over, which somebody must iterate for.
   * @throws {StoreError} ABORTED when the iteration ended before; STORE_CLOSED when the store was closed before; what
   *   the iteration fails with
   */
  caughtUp(): Promise<void>;
  /** Ends it at once: a `next` that waits is answered with the end. */
  return(): Promise<IteratorResult<StoredEvent, undefined>>;
}

/** The event log of a store, for reading. Events are checked for gaps and against their leaf hashes before they are given. */
export interface StoreLog {
  /** The last event that every view has folded. */
  readonly head: Head;
  /**
   * Returns events in order, once. With a filter that names images, references, chains or actors it costs what is about
   * them, not what the log holds.
   * @throws {StoreError} FILTER_INVALID, DIGEST_INVALID, REFERENCE_INVALID at the call; the iteration fails with
   *   STORE_CLOSED, ABORTED, LOG_CORRUPT, LOG_FAILED
   */
  read(options?: ReadOptions): AsyncIterableIterator<StoredEvent>;
  /**
   * Returns a follower of the log. One that has caught up costs a writer nothing until an event passes its filter.
   * @throws {StoreError} FILTER_INVALID, DIGEST_INVALID, REFERENCE_INVALID at the call; the iteration fails with
   *   ABORTED, LOG_CORRUPT, LOG_FAILED
   */
  follow(options?: FollowOptions): Follower;
  /**
   * Each event as it becomes durable, after every view has folded its transaction. Subscribers are called before the
   * write resolves, so be brief. What one throws goes where RxJS sends it, to its own error channel or as an uncaught
   * exception in a later turn: neither the writer nor any other subscriber notices.
   */
  readonly events$: Observable<StoredEvent>;
}

/** A filter that was checked. */
export interface CompiledFilter {
  /** Whether an event passes; undefined when every event does. */
  readonly passes: ((event: StoredEvent) => boolean) | undefined;
  /**
   * Every event that passes is about one of these: the kind of subject that the fewest events share, when the
   * filter names several kinds. Undefined when it names none.
   */
  readonly subjects: readonly Subject[] | undefined;
  /** The types of the events that pass; undefined when the filter names none. */
  readonly types: ReadonlySet<EventType> | undefined;
  /** First and last moment of the events that pass, milliseconds since the epoch; undefined where it names none. */
  readonly since: number | undefined;
  readonly until: number | undefined;
}

const NO_FILTER: CompiledFilter = {
  passes: undefined,
  subjects: undefined,
  types: undefined,
  since: undefined,
  until: undefined,
};

/** The kinds of subject, beside the actor that every event has. */
type SubjectKind = 'image' | 'reference' | 'chainId';

/** The kinds of subject that events of a type can have. */
const SUBJECT_KINDS: Readonly<Record<EventType, readonly SubjectKind[]>> = {
  ImageCreated: ['image', 'chainId'],
  ImageDeleted: ['image', 'chainId'],
  ParentSet: ['image'],
  ParentCleared: ['image'],
  MetadataSet: ['image'],
  MetadataCleared: ['image'],
  ReferenceSet: ['image', 'reference'],
  ReferenceRemoved: ['image', 'reference'],
  ManifestAdded: ['image'],
  LayerAdded: ['chainId'],
  LayerRemoved: ['chainId'],
  ContentErased: ['image'],
};

/**
 * Returns `filter` ready for use; an absent filter passes all.
 * @throws {StoreError} FILTER_INVALID when no event can pass; DIGEST_INVALID, REFERENCE_INVALID when an image, a chain or
 *   a reference of the filter is none
 * @throws {TypeError} when a value is of the wrong type; RangeError for a type that no event has
 */
export function compileFilter(filter: EventFilter | undefined): CompiledFilter {
  if (filter === undefined) return NO_FILTER;
  mustBeObject('filter', filter);
  const { since, until } = filter;
  const types = wanted('type', filter.type, knownType);
  const actors = wanted('actor', filter.actor, actorName);
  const images = wanted('image', filter.image, (image) => parseDigest(image) as ImageId);
  const references = wanted('reference', filter.reference, canonicalReference);
  const chains = wanted('chainId', filter.chainId, (chain) => parseDigest(chain) as ChainId);
  checkTimes(since, until);
  checkTypes(types, { image: images, reference: references, chainId: chains });
  const tests: ((event: StoredEvent) => boolean)[] = [];
  if (since !== undefined) tests.push((event) => event.time >= since);
  if (until !== undefined) tests.push((event) => event.time <= until);
  if (types !== undefined) tests.push((event) => types.has(event.type));
  if (actors !== undefined) tests.push((event) => actors.has(event.actor));
  if (references !== undefined) tests.push((event) => 'reference' in event && references.has(event.reference));
  if (images !== undefined) tests.push((event) => subjectsOf(event).images.some((image) => images.has(image)));
  if (chains !== undefined) tests.push((event) => subjectsOf(event).chains.some((chain) => chains.has(chain)));
  return { passes: all(tests), subjects: subjectsNamed({ references, images, chains, actors }), types, since, until };
}

function all(tests: readonly ((event: StoredEvent) => boolean)[]): CompiledFilter['passes'] {
  if (tests.length <= 1) return tests[0];
  return (event) => tests.every((passes) => passes(event));
}

/** What a filter names of each kind. */
interface NamedSubjects {
  readonly references: ReadonlySet<string> | undefined;
  readonly images: ReadonlySet<ImageId> | undefined;
  readonly chains: ReadonlySet<ChainId> | undefined;
  readonly actors: ReadonlySet<string> | undefined;
}

// From the kind of subject that has the fewest events to the one that has the most.
function subjectsNamed({ references, images, chains, actors }: NamedSubjects): readonly Subject[] | undefined {
  if (references !== undefined) return [...references].map((reference) => ({ reference }));
  if (images !== undefined) return [...images].map((image) => ({ image }));
  if (chains !== undefined) return [...chains].map((chainId) => ({ chainId }));
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

// An unknown type passes no event: a misspelt one would look like an empty log.
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
  mustBeTime('since', since);
  mustBeTime('until', until);
  if (since === undefined || until === undefined || since <= until) return;
  throw impossible(`it begins at ${timeText(since)} (since) and ends before, at ${timeText(until)} (until)`, {
    since,
    until,
  });
}

function mustBeTime(name: string, value: unknown): void {
  if (value !== undefined && !Number.isFinite(value)) throw new TypeError(`${name} must be a finite number`);
}

function checkTypes(
  types: ReadonlySet<EventType> | undefined,
  subjects: Readonly<Record<SubjectKind, ReadonlySet<string> | undefined>>,
): void {
  const kinds = (['image', 'reference', 'chainId'] as const).filter((kind) => subjects[kind] !== undefined);
  const candidates = [...(types ?? eventTypes)];
  if (candidates.some((type) => kinds.every((kind) => SUBJECT_KINDS[type].includes(kind)))) return;
  const what = types === undefined ? 'no event' : `no ${candidates.join(' or ')}`;
  throw impossible(`${what} has ${kinds.join(' and ')}`, { types: candidates, subjects: kinds });
}

function impossible(why: string, data: Readonly<Record<string, unknown>>): StoreError {
  return new StoreError('FILTER_INVALID', `no event can pass the filter: ${why}`, { data });
}

// A number that no Date can hold is shown as it is.
function timeText(time: number): string {
  const date = new Date(time);
  return Number.isNaN(date.getTime()) ? String(time) : date.toISOString();
}
