import { eventTypes } from '../../log/record-body.js';
import type { StoredEvent } from '../../model/events.js';
import { canonicalReference } from '../../model/reference.js';
import { mustBeObject, mustBeString } from '../argument-types.js';
import type { EventFilter } from './log-reads.js';

/**
 * Returns whether events pass `filter`; an absent filter passes all.
 * @throws {StoreError} REFERENCE_INVALID when a reference of the filter is none
 * @throws {TypeError} when a value is of the wrong type; RangeError for a type that no event has
 */
export function compileFilter(filter: EventFilter | undefined): (event: StoredEvent) => boolean {
  if (filter === undefined) return () => true;
  mustBeObject('filter', filter);
  const { since, until } = filter;
  mustBeTime('since', since);
  mustBeTime('until', until);
  const types = wanted('type', filter.type, knownType);
  const actors = wanted('actor', filter.actor);
  const images = wanted('image', filter.image);
  const references = wanted('reference', filter.reference, canonicalReference);
  const chains = wanted('chainId', filter.chainId);
  return (event) =>
    (since === undefined || event.time >= since) &&
    (until === undefined || event.time <= until) &&
    (types === undefined || types.has(event.type)) &&
    (actors === undefined || actors.has(event.actor)) &&
    (images === undefined || subjectsOf(event).images.some((image) => images.has(image))) &&
    (references === undefined || ('reference' in event && references.has(event.reference))) &&
    (chains === undefined || subjectsOf(event).chains.some((chain) => chains.has(chain)));
}

function wanted(
  name: string,
  values: string | readonly string[] | undefined,
  normalize: (value: string) => string = (value) => value,
): ReadonlySet<string> | undefined {
  if (values === undefined) return undefined;
  const list = typeof values === 'string' ? [values] : values;
  if (!Array.isArray(list)) throw new TypeError(`${name} must be a string or an array of strings`);
  for (const value of list) mustBeString(name, value);
  return new Set(list.map(normalize));
}

// An unknown type passes no event: a misspelt one would look like an empty log.
function knownType(type: string): string {
  if (eventTypes.some((known) => known === type)) return type;
  throw new RangeError(`type must be one of ${eventTypes.join(', ')}: ${JSON.stringify(type)}`);
}

function mustBeTime(name: string, value: unknown): void {
  if (value !== undefined && !Number.isFinite(value)) throw new TypeError(`${name} must be a finite number`);
}

/** The images and chains that an event is about. */
function subjectsOf(event: StoredEvent): { images: string[]; chains: string[] } {
  const images: (string | undefined)[] = [];
  const chains: (string | undefined)[] = [];
  if ('image' in event) images.push(event.image);
  if ('previous' in event) images.push(event.previous);
  if ('platforms' in event) images.push(...(event.platforms ?? []).map(({ image }) => image));
  if ('previousPlatforms' in event) images.push(...(event.previousPlatforms ?? []).map(({ image }) => image));
  if (event.type === 'LayerAdded' || event.type === 'LayerRemoved') chains.push(event.parent);
  else if ('parent' in event) images.push(event.parent);
  if ('chainId' in event) chains.push(event.chainId);
  return { images: images.filter(isPresent), chains: chains.filter(isPresent) };
}

function isPresent(value: string | undefined): value is string {
  return value !== undefined;
}
