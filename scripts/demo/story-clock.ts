const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const TUESDAY = 2;

/** Hours of the story until release 1.0, and until it ends. */
const RELEASE_HOURS = 25;
const ALL_HOURS = 196;

/** Dates of the story. */
export interface Calendar {
  readonly timeAt: (hours: number) => number;
  /** A moment between the two releases, milliseconds since the epoch. */
  readonly betweenReleases: number;
}

/** Returns the week from Monday morning, `startMs`, on. */
export function weekFrom(startMs: number): Calendar {
  const timeAt = (hours: number): number => startMs + hours * HOUR_MS;
  return { timeAt, betweenReleases: timeAt(51) };
}

/** Returns dates before `nowMs` with release 1.0 on last Tuesday, local time, and all else after that day. */
export function aroundLastTuesday(nowMs: number): Calendar {
  const today = new Date(nowMs);
  const days = (today.getDay() - TUESDAY + 7) % 7 || 7;
  const tuesday = new Date(today.getFullYear(), today.getMonth(), today.getDate() - days).getTime();
  const end = tuesday + DAY_MS;
  const start = tuesday + 10 * HOUR_MS - RELEASE_HOURS * HOUR_MS;
  const pace = (nowMs - end) / (ALL_HOURS - RELEASE_HOURS);
  const timeAt = (hours: number): number =>
    Math.floor(hours <= RELEASE_HOURS ? start + hours * HOUR_MS : end + (hours - RELEASE_HOURS) * pace);
  return { timeAt, betweenReleases: end - HOUR_MS };
}

/** A clock that only advances with the story. */
export interface StoryClock {
  /** Milliseconds since the epoch. Unbound, so it can be passed on. */
  readonly now: () => number;
  /** Formats the time as `Mon 2024-03-04 09:00 UTC`. */
  readonly text: () => string;
  /** Advances by a positive integer of hours. */
  readonly pass: (hours: number) => void;
}

/** Creates a clock; `timeAt` converts hours since the beginning to milliseconds since the epoch. */
export function storyClock(timeAt: (hours: number) => number): StoryClock {
  let hours = 0;
  const now = (): number => timeAt(hours);
  const weekday = new Intl.DateTimeFormat('en-US', { weekday: 'short', timeZone: 'UTC' });
  return {
    now,
    text: () => `${weekday.format(now())} ${new Date(now()).toISOString().slice(0, 16).replace('T', ' ')} UTC`,
    pass: (more) => {
      hours += more;
    },
  };
}
