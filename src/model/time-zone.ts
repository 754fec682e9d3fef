/*
 * Local times of IANA time zones, by `Intl`. A zone is kept by name, because its offset changes; a
 * local time is written as milliseconds since the epoch as if it were UTC.
 */

/* Milliseconds of a minute, an hour, and a day of 24 hours. */
export const MINUTE_MS = 60_000;
export const HOUR_MS = 60 * MINUTE_MS;
export const DAY_MS = 24 * HOUR_MS;
/** The zone whose offset is always zero. */
export const UTC = 'UTC';

/** Whether `Intl` knows the zone. */
export function isTimeZone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en-US', { timeZone: name });
    return true;
  } catch {
    return false;
  }
}

/**
 * Returns the machine's zone (`TZ`, else the system's) under a name that `Intl` takes. A zone that
 * has none, as with `TZ=UTC+5`, is the fixed offset of now in whole hours, else UTC.
 */
export function systemTimeZone(): string {
  const named: string | undefined = new Intl.DateTimeFormat().resolvedOptions().timeZone;
  if (named !== undefined && named !== 'Etc/Unknown' && isTimeZone(named)) return named;
  const hours = new Date().getTimezoneOffset() / 60;
  // POSIX counts offsets west of Greenwich.
  return hours !== 0 && Number.isInteger(hours) ? `Etc/GMT${hours > 0 ? '+' : ''}${hours}` : UTC;
}

/** Returns how far local time is ahead of UTC at `timeMs`, in milliseconds. */
export function offsetMs(timeMs: number, timeZone: string): number {
  if (timeZone === UTC) return 0;
  const day = Math.floor(timeMs / DAY_MS);
  const { before, after } = offsetsAround(day, timeZone);
  return before === after ? before : readOffset(timeMs, timeZone);
}

/** Returns the local time at `timeMs`. */
export function localMs(timeMs: number, timeZone: string): number {
  return timeMs + offsetMs(timeMs, timeZone);
}

/**
 * Returns the first and last instant at which clocks show `local`: two where the end of daylight
 * saving repeats it. For a local time that its start skips, both are the instant of the change.
 */
export function instantsAt(local: number, timeZone: string): { readonly first: number; readonly last: number } {
  const [before, after] = [offsetMs(local - DAY_MS, timeZone), offsetMs(local + DAY_MS, timeZone)];
  const instants = [...new Set([before, after])]
    .map((offset) => local - offset)
    .filter((instant) => localMs(instant, timeZone) === local)
    .sort((a, b) => a - b);
  const [first, last = first] = instants;
  if (first !== undefined && last !== undefined) return { first, last };
  const change = changeBetween(local - after, local - before, timeZone);
  return { first: change, last: change };
}

/** Whether clocks show the local time of `timeMs` twice. */
export function isRepeated(timeMs: number, timeZone: string): boolean {
  if (timeZone === UTC) return false;
  const { before, after } = offsetsAround(Math.floor(timeMs / DAY_MS), timeZone);
  if (before === after) return false;
  const { first, last } = instantsAt(localMs(timeMs, timeZone), timeZone);
  return first !== last;
}

/** Returns the first instant with the offset of `late`. Offsets change once in between. */
function changeBetween(early: number, late: number, timeZone: string): number {
  const before = offsetMs(early, timeZone);
  let [low, high] = [early, late];
  while (high - low > 1) {
    const middle = Math.floor((low + high) / 2);
    if (offsetMs(middle, timeZone) === before) low = middle;
    else high = middle;
  }
  return high;
}

/**
 * Returns the zone's name at `timeMs`, as `EST` or `UTC`; an offset, as `+01:00` or `+05:30`, where
 * English has none.
 */
export function zoneName(timeMs: number, timeZone: string): string {
  if (timeZone === UTC) return UTC;
  const name = partOf(formatFor(timeZone, 'short'), timeMs);
  return /^GMT[+-]/.test(name) ? offsetText(offsetMs(timeMs, timeZone)) : name;
}

/** Formats an offset in ms as `+01:00`. */
export function offsetText(offset: number): string {
  const minutes = Math.round(Math.abs(offset) / MINUTE_MS);
  const two = (value: number): string => String(value).padStart(2, '0');
  return `${offset < 0 ? '-' : '+'}${two(Math.floor(minutes / 60))}:${two(minutes % 60)}`;
}

/** Formats the local time as `2026-01-31 14:05:09`. */
export function localTimeText(timeMs: number, timeZone: string): string {
  const text = new Date(localMs(timeMs, timeZone)).toISOString();
  return text.slice(0, -'.000Z'.length).replace('T', ' ');
}

interface Offsets {
  readonly before: number;
  readonly after: number;
}

/** Maximum days of one zone in the cache. */
const MAX_CACHED_DAYS = 10_000;
const cache = new Map<string, Map<number, Offsets>>();

/**
 * Returns the offsets three hours around a day of UTC, which differ near a change. Cached: reading
 * an offset costs 4 µs, and a long table has many times of few days.
 */
function offsetsAround(day: number, timeZone: string): Offsets {
  const days = cache.get(timeZone) ?? new Map<number, Offsets>();
  cache.set(timeZone, days);
  const known = days.get(day);
  if (known !== undefined) return known;
  if (days.size >= MAX_CACHED_DAYS) days.clear();
  const offsets = {
    before: readOffset(day * DAY_MS - 3 * HOUR_MS, timeZone),
    after: readOffset((day + 1) * DAY_MS + 3 * HOUR_MS, timeZone),
  };
  days.set(day, offsets);
  return offsets;
}

const LONG_OFFSET = /^GMT(?:([+-])(\d\d):(\d\d)(?::(\d\d))?)?$/;

function readOffset(timeMs: number, timeZone: string): number {
  const [, sign, hours = '0', minutes = '0', seconds = '0'] =
    LONG_OFFSET.exec(partOf(formatFor(timeZone, 'longOffset'), timeMs)) ?? [];
  const offset = Number(hours) * HOUR_MS + Number(minutes) * MINUTE_MS + Number(seconds) * 1_000;
  return sign === '-' ? -offset : offset;
}

function partOf(format: Intl.DateTimeFormat, timeMs: number): string {
  return format.formatToParts(timeMs).find(({ type }) => type === 'timeZoneName')?.value ?? '';
}

const formats = new Map<string, Intl.DateTimeFormat>();

// Cached: creating a format takes fifty times as long as using it.
function formatFor(timeZone: string, timeZoneName: 'short' | 'longOffset'): Intl.DateTimeFormat {
  const key = `${timeZoneName} ${timeZone}`;
  const known = formats.get(key);
  if (known !== undefined) return known;
  const format = new Intl.DateTimeFormat('en-US', { timeZone, timeZoneName });
  formats.set(key, format);
  return format;
}
