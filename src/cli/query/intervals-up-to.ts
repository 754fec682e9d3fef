import type { ReferenceInterval } from '../../store/audit/audit.js';

/** Returns the periods that had begun with event `seq`; what ended later had no end then. */
export function intervalsUpTo(intervals: readonly ReferenceInterval[], seq: number): ReferenceInterval[] {
  return intervals.filter((interval) => interval.seq <= seq).map((interval) => asOf(interval, seq));
}

function asOf(interval: ReferenceInterval, seq: number): ReferenceInterval {
  if (interval.untilSeq === undefined || interval.untilSeq <= seq) return interval;
  const { until, untilSeq, removedBy, removedReason, ...lasting } = interval;
  return lasting;
}
