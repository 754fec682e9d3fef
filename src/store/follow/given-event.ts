import type { StoredEvent } from '../../model/events.js';

/**
 * Returns an event as every reader gets it: frozen with all that is in it, because the views, other
 * readers and later reads share it; bytes, which cannot be frozen, are the reader's copy. Freezing
 * at delivery costs a replay nothing, and a reader 0.2 to 0.6 µs an event.
 */
export function givenEvent(event: StoredEvent): StoredEvent {
  if (event.type === 'MetadataSet') {
    Object.freeze(event.transaction);
    return Object.freeze({ ...event, value: new Uint8Array(event.value) });
  }
  if (!Object.isFrozen(event)) freezeAll(event);
  return event;
}

function freezeAll(value: object): void {
  for (const each of Object.values(value)) {
    if (typeof each === 'object' && each !== null && !Object.isFrozen(each)) freezeAll(each);
  }
  Object.freeze(value);
}
