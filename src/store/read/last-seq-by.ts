import type { Log } from '../../log/log.js';

/**
 * Returns the last event up to and with `time`, milliseconds since the epoch, among those up to `headSeq`; 0 when there is none.
 * Costs a binary search. The events of a transaction share their time, so that none is cut in half.
 */
export function lastSeqBy(log: Log, headSeq: number, time: number): number {
  let low = 0;
  let high = headSeq;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if ((log.event(middle)?.time ?? Number.POSITIVE_INFINITY) <= time) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** Returns the last event before `time`, as `lastSeqBy` does. */
export function lastSeqBefore(log: Log, headSeq: number, time: number): number {
  // Times of events are whole milliseconds.
  return lastSeqBy(log, headSeq, Math.ceil(time) - 1);
}
