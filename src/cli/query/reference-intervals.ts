import type { PlatformImage, StoredEvent } from '../../model/events.js';
import type { ReferenceInterval } from '../../store/audit/audit.js';

/**
 * Returns the periods of one reference, in order, folded from its events in
 * the order of the log. Between a removal and the next setting there is none.
 * Setting it to what it stands for, as loading the same image again does, begins no new one.
 */
export async function referenceIntervals(events: AsyncIterable<StoredEvent>): Promise<ReferenceInterval[]> {
  const intervals: ReferenceInterval[] = [];
  for await (const event of events) {
    if (event.type !== 'ReferenceSet' && event.type !== 'ReferenceRemoved') continue;
    const last = intervals.at(-1);
    const isCurrent = last !== undefined && last.until === undefined;
    if (isCurrent && event.type === 'ReferenceSet' && standsFor(last, event)) continue;
    if (isCurrent) intervals[intervals.length - 1] = ended(last, event);
    if (event.type === 'ReferenceSet') intervals.push(begun(event));
  }
  return intervals;
}

type Setting = StoredEvent & { readonly type: 'ReferenceSet' };

function standsFor(interval: ReferenceInterval, { image, platforms }: Setting): boolean {
  const others = (list: readonly PlatformImage[] = []): string => list.map((each) => each.image).join(' ');
  return interval.image === image && others(interval.platforms) === others(platforms);
}

function begun({ reference, image, previous, target, platforms, time, ...event }: Setting): ReferenceInterval {
  const { seq, actor, reason, requestId } = event;
  return { reference, image, previous, target: target?.digest, platforms, from: time, seq, actor, reason, requestId };
}

function ended(interval: ReferenceInterval, event: StoredEvent): ReferenceInterval {
  const end = { ...interval, until: event.time, untilSeq: event.seq };
  return event.type === 'ReferenceRemoved' ? { ...end, removedBy: event.actor, removedReason: event.reason } : end;
}
