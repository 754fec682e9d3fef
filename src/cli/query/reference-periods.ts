import type { ImageId } from '../../model/digest.js';
import type { ReferenceInterval } from '../../store/audit/audit.js';

/** One period in the life of a reference, in which it stood for one thing, or for nothing after it was removed. */
export interface ReferencePeriod {
  /** Absent when it stood for nothing. */
  readonly image?: ImageId | undefined;
  /** Images of other platforms that it stood for as well. */
  readonly others: number;
  /** The event that began it: its moment (milliseconds since the epoch), seq, author, reason and request. */
  readonly from: number;
  readonly seq: number;
  readonly actor: string;
  readonly reason?: string | undefined;
  readonly requestId?: string | undefined;
  /** Absent while it lasts. */
  readonly until?: number | undefined;
}

/** Returns the whole life of a reference, each period beginning where the one before ended, the oldest first. */
export function referencePeriods(intervals: readonly ReferenceInterval[]): ReferencePeriod[] {
  return intervals.flatMap((interval, at) => {
    const gap = gapAfter(interval, intervals[at + 1]);
    return gap === undefined ? [standing(interval)] : [standing(interval), gap];
  });
}

function standing({
  image,
  platforms,
  from,
  until,
  seq,
  actor,
  reason,
  requestId,
}: ReferenceInterval): ReferencePeriod {
  return { image, others: Math.max(0, (platforms?.length ?? 1) - 1), from, until, seq, actor, reason, requestId };
}

function gapAfter(interval: ReferenceInterval, next: ReferenceInterval | undefined): ReferencePeriod | undefined {
  const { until, untilSeq, removedBy, removedReason } = interval;
  if (until === undefined || untilSeq === undefined || removedBy === undefined) return undefined;
  return { others: 0, from: until, until: next?.from, seq: untilSeq, actor: removedBy, reason: removedReason };
}
