const HOUR_MS = 3_600_000;

/** A clock that only advances with the story. */
export interface StoryClock {
  /** Milliseconds since the epoch. Unbound, so it can be passed on. */
  readonly now: () => number;
  /** Formats the time as `Mon 2024-03-04 09:00 UTC`. */
  readonly text: () => string;
  /** Advances by a positive integer of hours. */
  readonly pass: (hours: number) => void;
}

/** Creates a clock at `startMs`, milliseconds since the epoch. */
export function storyClock(startMs: number): StoryClock {
  let nowMs = startMs;
  const weekday = new Intl.DateTimeFormat('en-US', { weekday: 'short', timeZone: 'UTC' });
  return {
    now: () => nowMs,
    text: () => `${weekday.format(nowMs)} ${new Date(nowMs).toISOString().slice(0, 16).replace('T', ' ')} UTC`,
    pass: (hours) => {
      nowMs += hours * HOUR_MS;
    },
  };
}
