import { StoreError } from '../../errors.js';
import { eventTypes } from '../../log/record-body.js';
import { type ChainId, type ImageId, parseDigest } from '../../model/digest.js';
import type { EventType, StoredEvent } from '../../model/events.js';
import { canonicalReference } from '../../model/reference.js';
import { type Subject, subjectsOf } from '../../model/subjects.js';
import { mustBeObject, mustBeString } from '../argument-types.js';
import type { EventFilter } from './log-reads.js';

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
