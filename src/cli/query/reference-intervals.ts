import type { Digest, ImageId } from '../../model/digest.js';
import type { PlatformImage, StoredEvent } from '../../model/events.js';

/** One period in which a reference stood for one thing: from its event to the one that ended it. */
export interface ReferenceInterval {
  readonly reference: string;
  readonly image: ImageId;
  /** Digest of the manifest or index that it stood for, when it came with one. */
  readonly target?: Digest | undefined;
  /** The image of each platform, when it stood for several. */
  readonly platforms?: readonly PlatformImage[] | undefined;
  /** The event that began it: its moment (ms since the epoch), seq, author and reason. */
  readonly from: number;
  readonly fromSeq: number;
  readonly actor: string;
  readonly reason?: string | undefined;
  /** The event that ended it; absent while it lasts. */
  readonly until?: number | undefined;
  readonly untilSeq?: number | undefined;
  /** Who removed the reference, when it ended so and not by moving. */
  readonly removedBy?: string | undefined;
  readonly removedReason?: string | undefined;
}

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

function begun({ reference, image, target, platforms, time, seq, actor, reason }: Setting): ReferenceInterval {
  return { reference, image, target: target?.digest, platforms, from: time, fromSeq: seq, actor, reason };
}

function ended(interval: ReferenceInterval, event: StoredEvent): ReferenceInterval {
  const end = { ...interval, until: event.time, untilSeq: event.seq };
  return event.type === 'ReferenceRemoved' ? { ...end, removedBy: event.actor, removedReason: event.reason } : end;
}
