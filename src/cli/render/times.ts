import { DAY_MS, isRepeated, localTimeText, offsetMs, UTC, zoneName } from '../../model/time-zone.js';

/** The times of one column of a table; its title names the zone. */
export interface TimeColumn {
  /** As `SINCE (EST)`. Longer than the cells where the zone has long names. */
  readonly title: string;
  /** Formats as `2026-01-31 14:05`. */
  readonly minutes: (timeMs: number) => string;
  /** Formats as `2026-01-31 14:05:09`. */
  readonly seconds: (timeMs: number) => string;
}

/**
 * Returns a column named `title` of `times` in `timeZone`. Where daylight saving begins or ends
 * among them, the title names both (`EST/EDT`), and a cell that clocks showed twice says which.
 */
export function timeColumn(title: string, times: Iterable<number>, timeZone: string): TimeColumn {
  const label = zoneLabel(times, timeZone);
  const format = (timeMs: number, length: number): string => {
    const text = localTimeText(timeMs, timeZone).slice(0, length);
    return isRepeated(timeMs, timeZone) ? `${text} ${zoneName(timeMs, timeZone)}` : text;
  };
  return {
    title: label === '' ? title : `${title} (${label})`,
    minutes: (timeMs) => format(timeMs, '2026-01-31 14:05'.length),
    seconds: (timeMs) => format(timeMs, '2026-01-31 14:05:09'.length),
  };
}

/** Formats as `2026-01-31 14:05 EST`. */
export function zonedMinuteText(timeMs: number, timeZone: string): string {
  return `${localTimeText(timeMs, timeZone).slice(0, -':00'.length)} ${zoneName(timeMs, timeZone)}`;
}

/** Formats as `2026-01-31 14:05:09 EST`. */
export function zonedText(timeMs: number, timeZone: string): string {
  return `${localTimeText(timeMs, timeZone)} ${zoneName(timeMs, timeZone)}`;
}

/** Shorter than the daylight saving of any zone. */
const SAMPLE_MS = 10 * DAY_MS;
/** The rules of a zone repeat: older samples add no names that matter. */
const MAX_SAMPLES = 400;

/** Yields times from `from` to `to` that have every name of a zone in between. */
export function* timesBetween(from: number, to: number): Generator<number> {
  yield to;
  for (let count = 1; count < MAX_SAMPLES && to - count * SAMPLE_MS > from; count++) yield to - count * SAMPLE_MS;
  if (from < to) yield from;
}

/** Returns the names of a zone at `times`; its region when there are many. Empty without times. */
function zoneLabel(times: Iterable<number>, timeZone: string): string {
  if (timeZone === UTC) {
    // The first tells that there are times: a long list is not worth reading for one name.
    for (const _ of times) return UTC;
    return '';
  }
  // One name an offset: a name costs more to find.
  const byOffset = new Map<number, number>();
  for (const time of times) {
    const offset = offsetMs(time, timeZone);
    if (!byOffset.has(offset)) byOffset.set(offset, time);
  }
  const inOrder = [...byOffset].sort(([a], [b]) => a - b);
  const names = inOrder.map(([, time]) => zoneName(time, timeZone));
  if (names.length > 2) return timeZone;
  return names.length < 2 ? names.join('') : names.map((name) => name.replace(/:00$/, '')).join('/');
}
