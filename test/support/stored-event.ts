import type { LogEntry } from '../../src/log/log.js';
import { encodeRecord } from '../../src/log/record.js';
import type { EventBody, StoredEvent } from '../../src/model/events.js';
import { idNamed } from './image-configs.js';

/** Returns the bodies as the events of one transaction that begins at `first`. */
export function eventsFrom(first: number, bodies: readonly EventBody[], time = 1_000): StoredEvent[] {
  const transaction = { first, count: bodies.length };
  return bodies.map((body, at) => ({
    seq: first + at,
    time,
    transaction,
    actor: 'tester',
    reason: undefined,
    requestId: undefined,
    ...body,
  }));
}

/** Returns events as a log takes them. */
export function entriesOf(events: readonly StoredEvent[]): LogEntry[] {
  return events.map((event) => ({ event, record: encodeRecord(event) }));
}

/** Returns the creation of an image of this name, a body like any other where only the log matters. */
export function creationOf(name: string): EventBody {
  return { type: 'ImageCreated', image: idNamed(name), size: 10, os: 'linux', architecture: 'amd64' };
}
