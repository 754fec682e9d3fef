import { StoreError } from '../errors.js';
import { DAY_MS, HOUR_MS, instantsAt, localMs, MINUTE_MS, zoneName } from './time-zone.js';

/*
 * Points in time as people write them. A text is all of the time that it names: a date its day, a
 * minute its minute, a second its second, so that what a table shows at 08:51 is there as of 08:51.
 * A range begins at `first`; everything else asks as of `last`.
 */

/** A point in time that was read; milliseconds since the epoch. */
export type PointInTime =
  | { readonly kind: 'event'; readonly seq: number }
  | { readonly kind: 'now' }
  | { readonly kind: 'time'; readonly first: number; readonly last: number };

type Span = Extract<PointInTime, { readonly kind: 'time' }>;

/** What a text depends on. */
export interface MomentContext {
  readonly nowMs: number;
  /** IANA time zone of texts without one, and of days. */
  readonly timeZone: string;
}

/** The forms `parseMoment` reads, for errors. */
const EXPECTED =
  'an event (@12), a time ago (2h, 2 weeks ago), now, today, yesterday or last tuesday, also with a time (yesterday 09:00), ' +
  'a date, or a date and time with or without a zone';

const SECOND_MS = 1_000;
const WEEK_MS = 7 * DAY_MS;
/** Longer than any words. */
const MAX_WORDS_LENGTH = 100;
/** Largest time of a Date. */
const MAX_DATE_MS = 8_640_000_000_000_000;

/**
 * Parses a point in time, in any case:
 *
 * - `@12`, `#12`, `12`: an event. A bare number that looks like a year or a day is refused.
 * - `2h`, `1d12h`, `90m`, `2 weeks ago`, `an hour ago`: a time before now. Units are ms, s, m, h, d, w
 *   and English words; a day is 24 hours, months and years are those of the calendar. Dots may
 *   stand for spaces, as in git: `2.weeks.ago`.
 * - `now`; `today`, `yesterday`, `tuesday` or `last tuesday` (the last one before today), alone or
 *   with a time: `yesterday 09:00`, `tuesday at 14:00:05`. A time alone is today's.
 * - `2026-01-31`; `2026-01-31T14:05`, with a space or T, seconds and fractions or not, and a zone or
 *   not: Z, an offset, UTC, or the zone's own name for that time (EST). Includes RFC 3339 (section
 *   5.6). A fraction is truncated to milliseconds, the precision of events.
 *
 * A local time that the end of daylight saving repeats is both; one that its start skips is the
 * moment of the change.
 * @throws {StoreError} TIME_INVALID for anything else
 */
export function parseMoment(text: string, context: MomentContext): PointInTime {
  const words = text.toLowerCase().replace(/(?<=[a-z])\.|\.(?=[a-z])/g, ' ');
  if (words === 'now') return { kind: 'now' };
  const moment =
    parseEvent(text) ??
    parseDate(text, context) ??
    (text.length > MAX_WORDS_LENGTH ? undefined : (parseDay(words, context) ?? parseAgo(words, context)));
  if (moment !== undefined) return moment;
  const isMonth = /^\d{4}-\d\d$/.test(text);
  throw refused(text, isMonth ? `it is a month; name a day, like ${text}-01` : `expected ${EXPECTED}`);
}

function refused(text: string, why: string): StoreError {
  const shown = text.slice(0, 100);
  return new StoreError('TIME_INVALID', `${JSON.stringify(shown)} is not a point in time: ${why}`, {
    data: { when: shown },
  });
}

function parseEvent(text: string): PointInTime | undefined {
  const [, mark, digits] = /^([@#])?(\d+)$/.exec(text) ?? [];
  if (digits === undefined) return undefined;
  const seq = Number(digits);
  if (!Number.isSafeInteger(seq)) throw refused(text, 'no event has so large a number');
  if (mark === undefined) refuseDate(digits);
  return { kind: 'event', seq };
}

/** Throws for digits that may be a year or a day: an answer about the wrong one would look right. */
function refuseDate(digits: string): void {
  const [, year = '', month = '01', day = '01'] = /^((?:19[789]|20\d)\d)(?:(\d\d)(\d\d))?$/.exec(digits) ?? [];
  const date = `${year}-${month}-${day}`;
  if (year === '' || dayMs(date) === undefined) return;
  const reading = digits.length === year.length ? 'the year begins at' : 'the day is';
  throw new StoreError(
    'TIME_INVALID',
    `${digits} alone has two readings: event ${digits} is @${digits}, ${reading} ${date}`,
    {
      data: { when: digits },
    },
  );
}

const TIME = '((?:[01]\\d|2[0-3]):[0-5]\\d)(?::([0-5]\\d|60)(\\.\\d+)?)?';
const ZONE = 'Z|z|[+-](?:[01]\\d|2[0-3])(?::?[0-5]\\d)?|[A-Z]{3,5}';
const DATE_FORM = new RegExp(`^(\\d{4}-\\d\\d-\\d\\d)(?:[Tt ]${TIME}(?: ?(${ZONE}))?)?$`);
const TIME_FORM = new RegExp(`^${TIME}$`);

/** Zones with the same name everywhere. */
const ZERO_ZONES = ['Z', 'UTC', 'GMT'];

function parseDate(text: string, { timeZone }: MomentContext): Span | undefined {
  const match = DATE_FORM.exec(text);
  if (match === null) return undefined;
  const [, date = '', minute, second, fraction, zone] = match;
  const day = dayMs(date);
  if (day === undefined) throw refused(text, 'the calendar has no such day');
  if (minute === undefined) return wholeDay(day, timeZone);
  const clock = clockOf(minute, second, fraction);
  const local = day + clock.ms;
  if (zone === undefined) return spanAt(local, clock.precisionMs, timeZone);
  const instant = instantIn(zone, local, timeZone);
  if (instant === undefined) throw refused(text, zoneRefusal(zone, local, timeZone));
  return { kind: 'time', first: instant, last: instant + clock.precisionMs };
}

/** Returns the first millisecond of a date, as UTC; undefined when no calendar has it. */
function dayMs(date: string): number | undefined {
  const time = Date.parse(`${date}T00:00:00Z`);
  // Date.parse accepts 30 February as 2 March.
  return !Number.isNaN(time) && new Date(time).toISOString().startsWith(date) ? time : undefined;
}

/** A time of day, and the rest of the minute, second or millisecond that it names. */
interface Clock {
  readonly ms: number;
  readonly precisionMs: number;
}

function clockOf(minute: string, second?: string, fraction?: string): Clock {
  const ms = Number(minute.slice(0, 2)) * HOUR_MS + Number(minute.slice(3)) * MINUTE_MS;
  if (second === undefined) return { ms, precisionMs: MINUTE_MS - 1 };
  // A leap second, which epoch milliseconds lack, is the end of the second before.
  if (second === '60') return { ms: ms + MINUTE_MS - 1, precisionMs: 0 };
  const whole = ms + Number(second) * SECOND_MS;
  if (fraction === undefined) return { ms: whole, precisionMs: SECOND_MS - 1 };
  return { ms: whole + Number(fraction.slice(1, '.123'.length).padEnd(3, '0')), precisionMs: 0 };
}

function wholeDay(day: number, timeZone: string): Span {
  const [begin, end] = [instantsAt(day, timeZone), instantsAt(day + DAY_MS, timeZone)];
  return { kind: 'time', first: begin.first, last: end.first - 1 };
}

function spanAt(local: number, precisionMs: number, timeZone: string): Span {
  const { first, last } = instantsAt(local, timeZone);
  const isSkipped = localMs(first, timeZone) !== local;
  return { kind: 'time', first, last: isSkipped ? first : last + precisionMs };
}

function instantIn(zone: string, local: number, timeZone: string): number | undefined {
  if (ZERO_ZONES.includes(zone.toUpperCase())) return local;
  const [, sign, hours, minutes = '0'] = /^([+-])(\d\d):?(\d\d)?$/.exec(zone) ?? [];
  if (sign !== undefined) {
    const offset = Number(hours) * HOUR_MS + Number(minutes) * MINUTE_MS;
    return sign === '-' ? local + offset : local - offset;
  }
  const { first, last } = instantsAt(local, timeZone);
  return [first, last].find((instant) => zoneName(instant, timeZone) === zone && localMs(instant, timeZone) === local);
}

function zoneRefusal(zone: string, local: number, timeZone: string): string {
  const name = zoneName(instantsAt(local, timeZone).first, timeZone);
  return `the zone is ${name} then (${timeZone}), and only UTC and GMT are known elsewhere: give an offset instead of ${zone}`;
}

const WEEKDAYS = ['sunday', 'monday', 'tuesday', 'wednesday', 'thursday', 'friday', 'saturday'];
const DAYS: ReadonlyMap<string, number> = new Map(
  WEEKDAYS.flatMap((name, at) => [
    [name, at],
    [name.slice(0, 3), at],
  ]),
);

function parseDay(words: string, { nowMs, timeZone }: MomentContext): Span | undefined {
  const [, name = 'today', time] = /^(last [a-z]+|[a-z]+)(?: (?:at )?(.+))?$/.exec(words) ?? [
    undefined,
    undefined,
    words,
  ];
  const today = Math.floor(localMs(nowMs, timeZone) / DAY_MS) * DAY_MS;
  const back = daysBack(name, new Date(today).getUTCDay());
  if (back === undefined) return undefined;
  const day = today - back * DAY_MS;
  if (time === undefined) return wholeDay(day, timeZone);
  const [, minute, second, fraction] = TIME_FORM.exec(time) ?? [];
  if (minute === undefined) return undefined;
  const clock = clockOf(minute, second, fraction);
  return spanAt(day + clock.ms, clock.precisionMs, timeZone);
}

function daysBack(name: string, today: number): number | undefined {
  if (name === 'today') return 0;
  if (name === 'yesterday') return 1;
  const weekday = DAYS.get(name.replace(/^last /, ''));
  // Never today, as in git.
  return weekday === undefined ? undefined : (today - weekday + 7) % 7 || 7;
}

/** A number of milliseconds, or of calendar months. */
interface Unit {
  readonly ms?: number;
  readonly months?: number;
}

const UNITS: ReadonlyMap<string, Unit> = new Map([
  ...named({ ms: 1 }, 'ms', 'millisecond'),
  ...named({ ms: SECOND_MS }, 's', 'sec', 'second'),
  ...named({ ms: MINUTE_MS }, 'm', 'min', 'minute'),
  ...named({ ms: HOUR_MS }, 'h', 'hr', 'hour'),
  ...named({ ms: DAY_MS }, 'd', 'day'),
  ...named({ ms: WEEK_MS }, 'w', 'week'),
  ...named({ months: 1 }, 'month'),
  ...named({ months: 12 }, 'year'),
]);

function named(unit: Unit, short: string, ...words: string[]): [string, Unit][] {
  const plurals = [short, ...words].filter(({ length }) => length > 2).map((word) => `${word}s`);
  return [short, ...words, ...plurals].map((name) => [name, unit]);
}

const AMOUNT = /^(?:(\d+) ?|(?:an?|one) )([a-z]+)(?:$|,? (?=\S)|(?=\d))/;

function parseAgo(words: string, { nowMs, timeZone }: MomentContext): Span | undefined {
  let rest = words.replace(/ ago$/, '');
  let [ms, months] = [0, 0];
  do {
    const [matched, count = '1', name = ''] = AMOUNT.exec(rest) ?? [];
    const unit = UNITS.get(name);
    if (matched === undefined || unit === undefined) return undefined;
    ms += Number(count) * (unit.ms ?? 0);
    months += Number(count) * (unit.months ?? 0);
    rest = rest.slice(matched.length);
  } while (rest !== '');
  const time = (months === 0 ? nowMs : monthsBefore(nowMs, months, timeZone)) - ms;
  return Math.abs(time) <= MAX_DATE_MS ? { kind: 'time', first: time, last: time } : undefined;
}

/** Returns the same time of the same day `months` before, or of that month's last day. */
function monthsBefore(nowMs: number, months: number, timeZone: string): number {
  const now = new Date(localMs(nowMs, timeZone));
  const [year, month] = [now.getUTCFullYear(), now.getUTCMonth() - months];
  const lastDay = new Date(Date.UTC(year, month + 1, 0)).getUTCDate();
  const day = Date.UTC(year, month, Math.min(now.getUTCDate(), lastDay));
  return Number.isNaN(day) ? day : instantsAt(day + (now.getTime() % DAY_MS), timeZone).first;
}
