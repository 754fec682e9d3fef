import { StoreError } from '../../errors.js';
import type { Log } from '../../log/log.js';
import { PRESENT_MS } from '../../limits.js';
import { parseMoment } from '../../model/point-in-time.js';
import { lastSeqBy } from '../read/last-seq-by.js';
import type { When } from './audit.js';

/** The word for the end of the log, whatever the clock says. */
const NOW = 'now';

/** What a point in time is looked up in. */
export interface SeqAtOptions {
  readonly log: Log;
  /** The last event that may be seen. */
  readonly headSeq: number;
  /** The clock, milliseconds since the epoch. */
  readonly now: () => number;
}

/**
 * Returns the last event at or before `when`; 0 when it is before the first. A moment costs a binary search over the events.
 * @throws {StoreError} TIME_INVALID, TIME_OUT_OF_RANGE for a seq after the head or a moment to come; LOG_CORRUPT
 * @throws {RangeError} for a number that is no seq; TypeError for what is no point in time at all
 */
export function seqAt(when: When, options: SeqAtOptions): number {
  const { log, headSeq } = options;
  if (typeof when === 'number') return checkedSeq(when, headSeq);
  if (when === NOW) return headSeq;
  const { moment, isPresent } = momentOf(when, options);
  return isPresent ? headSeq : lastSeqBy(log, headSeq, moment);
}

function checkedSeq(seq: number, headSeq: number): number {
  if (!Number.isSafeInteger(seq) || seq < 0) throw new RangeError(`a seq must be a whole number from 0 up: ${seq}`);
  // Of the two zeros, only one is a seq.
  if (seq <= headSeq) return seq + 0;
  throw new StoreError('TIME_OUT_OF_RANGE', `there is no event ${seq}: the log ends at seq ${headSeq}`, {
    data: { seq, head: headSeq },
  });
}

/**
 * The last millisecond of `when`, which the clock has reached, and whether all that is in the log
 * was written by then.
 */
function momentOf(
  when: Date | string,
  { log, headSeq, now }: SeqAtOptions,
): { readonly moment: number; readonly isPresent: boolean } {
  const { first, last } = parse(when);
  const head = headSeq === 0 ? 0 : (log.event(headSeq)?.time ?? 0);
  // A clock that went back is behind the events that it stamped.
  const clock = now();
  const present = Math.max(clock, head);
  if (first > present) {
    const text = when instanceof Date ? when.toISOString() : when.slice(0, 100);
    throw new StoreError('TIME_OUT_OF_RANGE', `${text} is still to come: it is ${new Date(present).toISOString()}`, {
      data: { when: text, now: present },
    });
  }
  // A clock that ran ahead once and was set right gives events times that are still to come: they
  // were written all the same, and who asks for the present, by a clock that was read a moment ago,
  // asks for them too.
  return { moment: last, isPresent: head > clock && first <= clock + PRESENT_MS && last >= clock - PRESENT_MS };
}

function parse(when: Date | string): { readonly first: number; readonly last: number } {
  if (when instanceof Date) {
    const time = when.getTime();
    if (Number.isNaN(time)) throw new StoreError('TIME_INVALID', 'an invalid Date is no point in time');
    return { first: time, last: time };
  }
  if (typeof when !== 'string') throw new TypeError('when must be a seq, a Date or a string');
  const moment = parseMoment(when);
  if (moment !== undefined) return moment;
  throw new StoreError(
    'TIME_INVALID',
    `${JSON.stringify(when.slice(0, 100))} is no point in time: expected a seq, a date or RFC 3339`,
    { data: { when: when.slice(0, 100) } },
  );
}
