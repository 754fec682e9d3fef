import { StoreError } from '../../errors.js';
import type { EventStore } from '../../store/event-store.js';
import type { ReferenceEntry } from '../../store/store.js';

/** Returns what the canonical reference `reference` stands for; undefined when it is not there. */
export function referenceEntry(store: EventStore, reference: string): ReferenceEntry | undefined {
  return store.referenceEntries().find((entry) => entry.reference === reference);
}

/** The error for a reference that is not there; `doing` says what could not be done, as `cannot untag`. */
export function referenceNotFound(doing: string, reference: string): StoreError {
  return new StoreError('REFERENCE_NOT_FOUND', `${doing} ${reference}: no such reference`, { data: { reference } });
}
