import { MAX_CLOCK_BEHIND_MS } from '../limits.js';
import type { LogPoint } from '../log/log.js';
import type { Envelope } from '../model/events.js';

interface EventClockOptions {
  /** The caller's clock, validated. */
  readonly now: () => number;
  readonly onNotice: (notice: string) => void;
}

/** Gives the times of events, which never decrease. */
export class EventClock {
  readonly #options: EventClockOptions;
  #isBehind = false;

  constructor(options: EventClockOptions) {
    this.#options = options;
  }

  /**
   * Returns the times of the events after `head`: the clock's, or the head's if the clock went back.
   * If it is behind by more than MAX_CLOCK_BEHIND_MS, its own time is returned too, and a notice says
   * so each time that it falls behind. Fails if the clock does.
   */
  after(head: LogPoint): Pick<Envelope, 'time' | 'clock'> {
    const clock = this.#options.now();
    const wasBehind = this.#isBehind;
    this.#isBehind = head.time - clock > MAX_CLOCK_BEHIND_MS;
    if (!this.#isBehind) return { time: Math.max(head.time, clock) };
    if (!wasBehind) this.#options.onNotice(noticeOf(clock, head));
    return { time: head.time, clock };
  }
}

function noticeOf(clock: number, { seq, time }: LogPoint): string {
  const [last, now] = [time, clock].map((each) => new Date(each).toISOString());
  return (
    `the clock says ${now}, and the last event, ${seq}, was written at ${last}: one of the two is wrong. ` +
    `Until the clock is later, events have the time ${last}, and beside it that of the clock`
  );
}
