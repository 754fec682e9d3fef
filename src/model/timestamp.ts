import { StoreError } from '../errors.js';
import { MAX_TIME_MS } from '../limits.js';
import { type Codec, mismatch } from './go-json/codecs.js';
import { JsonError } from './go-json/parse.js';

declare const brand: unique symbol;

/**
 * A time as Go's time.Time marshals it: RFC 3339, up to nine fractional digits without trailing
 * zeros, the original offset, `Z` for zero. Equal times may differ as text: see `sameInstant`.
 */
export type Timestamp = string & { readonly [brand]: 'Timestamp' };

/** Form of a time up to its seconds: 0 stands for any digit. */
const SECONDS_FORM = '0000-00-00T00:00:00';
const SECONDS_LENGTH = SECONDS_FORM.length;
const OFFSET_FORM = '00:00';
const DIGIT_ZERO = 0x30;
const NANOSECONDS_LENGTH = SECONDS_LENGTH + 10;
const OFFSET_LENGTH = 1 + OFFSET_FORM.length;
const DAYS_IN_MONTH = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
/** Go's zero time. */
export const ZERO_TIMESTAMP = '0001-01-01T00:00:00Z' as Timestamp;

/**
 * Parses RFC 3339 with capital `T` and `Z` and no leap second, like Go since 1.20; truncates the
 * fraction to nine digits.
 * @throws {StoreError} TIME_INVALID when malformed
 */
export function parseTimestamp(text: string): Timestamp {
  const timestamp = readTimestamp(text);
  if (timestamp !== undefined) return timestamp;
  const shown = text.slice(0, 100);
  throw new StoreError(
    'TIME_INVALID',
    `${JSON.stringify(shown)} is not a time: expected RFC 3339, like 2024-01-31T12:00:00Z`,
    { data: { time: shown } },
  );
}

function readTimestamp(text: string): Timestamp | undefined {
  if (!hasForm(text) || !isInRange(text)) return undefined;
  const hasOffset = !text.endsWith('Z');
  const end = text.length - (hasOffset ? OFFSET_LENGTH : 1);
  // Usually canonical already: no fraction, or one without trailing zeros.
  if (!hasOffset && end <= NANOSECONDS_LENGTH && (end === SECONDS_LENGTH || text[end - 1] !== '0'))
    return text as Timestamp;
  const digits = text.slice(SECONDS_LENGTH + 1, Math.min(end, NANOSECONDS_LENGTH)).replace(/0+$/, '');
  const zone = text.slice(end);
  const offset = zone === '+00:00' || zone === '-00:00' ? 'Z' : zone;
  return `${text.slice(0, SECONDS_LENGTH)}${digits === '' ? '' : `.${digits}`}${offset}` as Timestamp;
}

/**
 * Whether `text` has the form of RFC 3339; a regular expression takes four times as long, and a
 * config has several times.
 */
function hasForm(text: string): boolean {
  if (!isAt(text, 0, SECONDS_FORM)) return false;
  let at = SECONDS_LENGTH;
  if (text[at] === '.') {
    const fraction = at + 1;
    for (at = fraction; isDigit(text, at); ) at++;
    if (at === fraction) return false;
  }
  if (text[at] === 'Z') return text.length === at + 1;
  return (
    (text[at] === '+' || text[at] === '-') && text.length === at + OFFSET_LENGTH && isAt(text, at + 1, OFFSET_FORM)
  );
}

function isAt(text: string, start: number, form: string): boolean {
  for (let at = 0; at < form.length; at++) {
    const code = form.charCodeAt(at);
    if (code === DIGIT_ZERO ? !isDigit(text, start + at) : text.charCodeAt(start + at) !== code) return false;
  }
  return true;
}

function isDigit(text: string, at: number): boolean {
  const code = text.charCodeAt(at);
  return code >= 0x30 && code <= 0x39;
}

function isInRange(text: string): boolean {
  const offset = text.endsWith('Z') ? undefined : text.length - OFFSET_LENGTH + 1;
  return (
    dayExists(numberAt(text, 0, 4), numberAt(text, 5, 2), numberAt(text, 8, 2)) &&
    numberAt(text, 11, 2) <= 23 &&
    numberAt(text, 14, 2) <= 59 &&
    numberAt(text, 17, 2) <= 59 &&
    (offset === undefined || (numberAt(text, offset, 2) <= 23 && numberAt(text, offset + 3, 2) <= 59))
  );
}

function numberAt(text: string, start: number, length: number): number {
  let number = 0;
  for (let at = start; at < start + length; at++) number = 10 * number + text.charCodeAt(at) - 0x30;
  return number;
}

function dayExists(year: number, month: number, day: number): boolean {
  const isLeap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  const days = month === 2 && isLeap ? 29 : (DAYS_IN_MONTH[month - 1] ?? 0);
  return day >= 1 && day <= days;
}

/**
 * Returns whole milliseconds since the epoch from the caller's clock `now`.
 * @throws {TypeError} when `now` is not a function or gives no number; RangeError when it is NaN or
 *   out of range
 */
export function readClock(now: () => number): number {
  if (typeof now !== 'function') throw new TypeError('now must be a function');
  const given: unknown = now();
  if (typeof given !== 'number')
    throw new TypeError(`now must give a number, and gave a value of type ${typeof given}`);
  const time = Math.floor(given);
  if (time >= 0 && time <= MAX_TIME_MS) return time;
  throw new RangeError(`now must give milliseconds since the epoch, from 0 to ${MAX_TIME_MS}: ${given}`);
}

/** Converts milliseconds since the epoch to UTC; years 0 to 9999. */
export function timestampFromMs(timeMs: number): Timestamp {
  return parseTimestamp(new Date(timeMs).toISOString());
}

/** Converts to a Date, truncated to milliseconds. */
export function timestampToDate(timestamp: Timestamp): Date {
  return new Date(msOf(instantOf(timestamp)));
}

/** Converts to ms since the epoch. */
export function msOf({ seconds, nanoseconds }: Instant): number {
  return seconds * 1_000 + Math.floor(nanoseconds / 1_000_000);
}

/**
 * Converts to UTC, to the nanosecond. Unchanged when its year in UTC is not one of 0 to 9999, which
 * RFC 3339 cannot write.
 */
export function utcTimestamp(timestamp: Timestamp): Timestamp {
  if (timestamp.endsWith('Z')) return timestamp;
  const { seconds } = instantOf(timestamp);
  const utc = new Date(seconds * 1_000).toISOString().slice(0, -'.000Z'.length);
  const fraction = /\.\d+/.exec(timestamp)?.[0] ?? '';
  return readTimestamp(`${utc}${fraction}Z`) ?? timestamp;
}

/** Whether two timestamps are the same instant, to the nanosecond, in any offsets. */
export function sameInstant(a: Timestamp, b: Timestamp): boolean {
  return a === b || compareInstants(a, b) === 0;
}

/** Compares two timestamps as instants: negative when `a` is earlier, zero when equal. */
export function compareInstants(a: Timestamp, b: Timestamp): number {
  return byInstant(instantOf(a), instantOf(b));
}

/** A moment to the nanosecond. */
export interface Instant {
  /** Whole seconds since the epoch; negative before it. */
  readonly seconds: number;
  /** Nanoseconds after that, from 0 to 999,999,999. */
  readonly nanoseconds: number;
}

/** Orders instants: negative when `a` is earlier, zero when equal. */
export function byInstant(a: Instant, b: Instant): number {
  return a.seconds - b.seconds || a.nanoseconds - b.nanoseconds;
}

/** Returns the moment of a timestamp in any offset. */
export function instantOf(timestamp: Timestamp): Instant {
  if (timestamp[SECONDS_LENGTH] !== '.') return { seconds: Date.parse(timestamp) / 1_000, nanoseconds: 0 };
  const digits = /\.(\d+)/.exec(timestamp)?.[1] ?? '';
  const whole = timestamp.replace(/\.\d+/, '');
  return { seconds: Date.parse(whole) / 1_000, nanoseconds: Number(digits.padEnd(9, '0')) };
}

/** Go's `time.Time`. */
export const timestampCodec: Codec<Timestamp> = {
  zero: () => ZERO_TIMESTAMP,
  decode(value, before) {
    if (value === null) return before;
    if (typeof value !== 'string') throw mismatch('an RFC 3339 time', value);
    const timestamp = readTimestamp(value);
    if (timestamp === undefined) {
      throw new JsonError(`expected an RFC 3339 time, found ${JSON.stringify(value.slice(0, 40))}`);
    }
    return timestamp;
  },
  encode: (value) => `"${value}"`,
  isEmpty: () => false,
};
