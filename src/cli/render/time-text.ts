const MINUTE_MS = 60_000;
const HOUR_MS = 60 * MINUTE_MS;
const DAY_MS = 24 * HOUR_MS;

/** Returns a moment, ms since the epoch, as RFC 3339 in UTC with milliseconds: what JSON output has. */
export function utcText(timeMs: number): string {
  return new Date(timeMs).toISOString();
}

/** Returns a moment, ms since the epoch, as `2026-01-31 14:05:09` in `timeZone`, by default the machine's. */
export function localText(timeMs: number, timeZone?: string): string {
  const parts = new Map<string, string>();
  for (const { type, value } of formatFor(timeZone).formatToParts(timeMs)) parts.set(type, value);
  const part = (name: string): string => parts.get(name) ?? '';
  const date = `${part('year').padStart(4, '0')}-${part('month')}-${part('day')}`;
  return `${date} ${part('hour')}:${part('minute')}:${part('second')}`;
}

/** Returns a moment as `localText` does, without the seconds. */
export function localMinuteText(timeMs: number, timeZone?: string): string {
  return localText(timeMs, timeZone).slice(0, -':00'.length);
}

/** Returns a length of time roughly, as one says it: `45 s`, `12 min`, `5 h`, `3 days`. */
export function durationText(durationMs: number): string {
  if (durationMs < MINUTE_MS) return `${Math.floor(durationMs / 1000)} s`;
  if (durationMs < HOUR_MS) return `${Math.floor(durationMs / MINUTE_MS)} min`;
  if (durationMs < 2 * DAY_MS) return `${Math.floor(durationMs / HOUR_MS)} h`;
  return `${Math.floor(durationMs / DAY_MS)} days`;
}

const formats = new Map<string | undefined, Intl.DateTimeFormat>();

// Making a format costs about 50 µs, using one about 1 µs, and a log has a time on every line.
function formatFor(timeZone: string | undefined): Intl.DateTimeFormat {
  const known = formats.get(timeZone);
  if (known !== undefined) return known;
  const made = new Intl.DateTimeFormat('en-US', {
    ...(timeZone === undefined ? {} : { timeZone }),
    hourCycle: 'h23',
    year: 'numeric',
    month: '2-digit',
    day: '2-digit',
    hour: '2-digit',
    minute: '2-digit',
    second: '2-digit',
  });
  formats.set(timeZone, made);
  return made;
}
