import type { ReferenceRemoved, ReferenceSet, StoredEvent } from '../../model/events.js';
import type { ReferenceInterval } from './audit.js';
import { isSameTarget } from './same-target.js';

/**
 * Returns the periods of one reference, the oldest first, from its events in order. Between a removal and the next
 * setting there is none. Setting it to what it stands for, as loading the same archive again does, begins no new one.
 */
export function referenceIntervals(events: readonly StoredEvent[]): ReferenceInterval[] {
  const intervals: ReferenceInterval[] = [];
  for (const event of events) {
    if (event.type !== 'ReferenceSet' && event.type !== 'ReferenceRemoved') continue;
    const last = intervals.at(-1);
    const isCurrent = last !== undefined && last.untilSeq === undefined;
    if (isCurrent && event.type === 'ReferenceSet' && standsFor(last, event)) continue;
    if (isCurrent) intervals[intervals.length - 1] = ended(last, event);
    if (event.type === 'ReferenceSet') intervals.push(begun(event));
  }
  return intervals;
}

function standsFor({ image, target, platforms }: ReferenceInterval, event: ReferenceSet): boolean {
  const set = { image: event.image, target: event.target?.digest, platforms: event.platforms };
  return isSameTarget({ image, target, platforms }, set);
}

function begun(event: StoredEvent & ReferenceSet): ReferenceInterval {
  const { reference, image, previous, target, platforms, time, seq, actor, reason, requestId } = event;
  return { reference, image, previous, target: target?.digest, platforms, from: time, seq, actor, reason, requestId };
}

function ended(interval: ReferenceInterval, event: StoredEvent & (ReferenceSet | ReferenceRemoved)): ReferenceInterval {
  const end = { ...interval, until: event.time, untilSeq: event.seq };
  return event.type === 'ReferenceRemoved' ? { ...end, removedBy: event.actor, removedReason: event.reason } : end;
}
