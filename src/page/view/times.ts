import { DAY_MS, HOUR_MS, localMs, localTimeText, MINUTE_MS, zoneName, instantsAt } from '../../model/time-zone.js';

const formats = new Map<string, Intl.DateTimeFormat>();

function formatIn(timeZone: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = `${timeZone} ${JSON.stringify(options)}`;
  const known = formats.get(key);
  if (known !== undefined) return known;
  const format = new Intl.DateTimeFormat('en-GB', { ...options, timeZone });
  formats.set(key, format);
  return format;
}

/** Formats as `Tue 24 Nov 2026, 14:05`. */
export function dayAndTime(timeMs: number, timeZone: string): string {
  const day = formatIn(timeZone, { weekday: 'short', day: 'numeric', month: 'short', year: 'numeric' });
  return `${day.format(timeMs).replace(',', '')}, ${localTimeText(timeMs, timeZone).slice(11, 16)}`;
}

/** Formats as `Tue 24 Nov 2026, 14:05:09 CET`. */
export function wholeTime(timeMs: number, timeZone: string): string {
  return `${dayAndTime(timeMs, timeZone)}${localTimeText(timeMs, timeZone).slice(16)} ${zoneName(timeMs, timeZone)}`;
}

/** A label of the axis of time. */
export interface Tick {
  readonly time: number;
  readonly text: string;
}

const STEPS = [
  1_000,
  5_000,
  15_000,
  30_000,
  MINUTE_MS,
  5 * MINUTE_MS,
  15 * MINUTE_MS,
  30 * MINUTE_MS,
  HOUR_MS,
  3 * HOUR_MS,
  6 * HOUR_MS,
  12 * HOUR_MS,
  DAY_MS,
  2 * DAY_MS,
  7 * DAY_MS,
  14 * DAY_MS,
];
const MONTHS = [1, 2, 3, 6, 12, 24, 60, 120];
const MONTH_MS = 30.5 * DAY_MS;

/** Returns at most `most` labels between two times, at round times of the zone. */
export function ticksBetween(
  from: number,
  to: number,
  { timeZone, most }: { readonly timeZone: string; readonly most: number },
): Tick[] {
  const least = Math.max(1, (to - from) / most);
  const step = STEPS.find((each) => each >= least);
  const first = localMs(from, timeZone);
  const last = localMs(to, timeZone);
  const locals: number[] = [];
  if (step !== undefined) {
    for (let local = Math.ceil(first / step) * step; local <= last; local += step) locals.push(local);
  } else {
    const months = MONTHS.find((each) => each * MONTH_MS >= least) ?? 1200;
    const date = new Date(first);
    for (
      let month = Math.ceil((date.getUTCFullYear() * 12 + date.getUTCMonth()) / months) * months;
      ;
      month += months
    ) {
      const local = Date.UTC(Math.floor(month / 12), month % 12, 1);
      if (local > last) break;
      if (local >= first) locals.push(local);
    }
  }
  const shape: Intl.DateTimeFormatOptions =
    step === undefined
      ? { month: 'short', year: 'numeric' }
      : step >= DAY_MS
        ? { day: 'numeric', month: 'short' }
        : { hour: '2-digit', minute: '2-digit', ...(step < MINUTE_MS ? { second: '2-digit' } : {}) };
  return locals.map((local) => {
    const time = instantsAt(local, timeZone).first;
    return { time, text: formatIn(timeZone, shape).format(time) };
  });
}
