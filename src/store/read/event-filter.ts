import type { StoredEvent } from '../../model/events.js';
import { canonicalReference } from '../../model/reference.js';
import type { EventFilter } from '../store.js';

/**
 * Returns whether events pass `filter`; an absent filter passes all.
 * @throws {StoreError} REFERENCE_INVALID when a reference of the filter is none
 */
export function compileFilter(filter: EventFilter | undefined): (event: StoredEvent) => boolean {
  if (filter === undefined) return () => true;
  const { since, until } = filter;
  const types = wanted(filter.type);
  const actors = wanted(filter.actor);
  const images = wanted(filter.image);
  const references = wanted(filter.reference, canonicalReference);
  const chains = wanted(filter.chainId);
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
  values: string | readonly string[] | undefined,
  normalize: (value: string) => string = (value) => value,
): ReadonlySet<string> | undefined {
  if (values === undefined) return undefined;
  const list = typeof values === 'string' ? [values] : values;
  return new Set(list.map(normalize));
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
