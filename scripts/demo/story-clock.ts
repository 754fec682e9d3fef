const HOUR_MS = 3_600_000;

/** A clock that stands still until the story goes on. */
export interface StoryClock {
  /** Milliseconds since the epoch. A function of its own, to be given away. */
  readonly now: () => number;
  /** Returns the time as `Mon 2024-03-04 09:00 UTC`. */
  readonly text: () => string;
  /** Lets so many hours pass, a whole number above zero. */
  readonly pass: (hours: number) => void;
}

/** Returns a clock that begins at `startMs`, milliseconds since the epoch. */
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
