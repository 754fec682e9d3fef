import { StoreError } from '../errors.js';
import type { Codec } from './json/codec.js';
import { JsonError } from './json/json-error.js';
import { mismatch } from './json/scalar-codecs.js';

declare const brand: unique symbol;

/**
 * A moment as Go's time.Time writes it in JSON: RFC 3339, up to nine digits of fraction without trailing
 * zeros, the offset as it was given, `Z` for an offset of zero. Equal moments may differ as text: see `sameInstant`.
 */
export type Timestamp = string & { readonly [brand]: 'Timestamp' };

const RFC3339 = /^(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d+))?(Z|[+-](\d\d):(\d\d))$/;
const DAYS_IN_MONTH = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
/** Go's zero time. */
const ZERO = '0001-01-01T00:00:00Z' as Timestamp;

/**
 * Returns `text` as a timestamp. Accepts RFC 3339 with capital `T` and `Z` and no leap second, as Go since 1.20; digits
 * of the fraction beyond nine are cut.
 * @throws {StoreError} TIME_INVALID when it is none
 */
export function parseTimestamp(text: string): Timestamp {
  const timestamp = readTimestamp(text);
  if (timestamp !== undefined) return timestamp;
  const shown = text.slice(0, 100);
  throw new StoreError(
    'TIME_INVALID',
    `${JSON.stringify(shown)} is no time: expected RFC 3339, like 2024-01-31T12:00:00Z`,
    { data: { time: shown } },
  );
}

function readTimestamp(text: string): Timestamp | undefined {
  const parts = RFC3339.exec(text);
  if (parts === null) return undefined;
  const [, year, month, day, hour, minute, second, fraction, zone, zoneHour, zoneMinute] = parts;
  const inRange =
    dayExists(Number(year), Number(month), Number(day)) &&
    Number(hour) <= 23 &&
    Number(minute) <= 59 &&
    Number(second) <= 59 &&
    Number(zoneHour ?? 0) <= 23 &&
    Number(zoneMinute ?? 0) <= 59;
  if (!inRange) return undefined;
  const digits = (fraction ?? '').slice(0, 9).replace(/0+$/, '');
  const offset = zone === '+00:00' || zone === '-00:00' ? 'Z' : zone;
  return `${text.slice(0, 19)}${digits === '' ? '' : `.${digits}`}${offset}` as Timestamp;
}

function dayExists(year: number, month: number, day: number): boolean {
  const isLeap = year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);
  const days = month === 2 && isLeap ? 29 : (DAYS_IN_MONTH[month - 1] ?? 0);
  return day >= 1 && day <= days;
}

/** Returns the moment `timeMs` milliseconds after the epoch, in UTC; from year 0 to 9999. */
export function timestampFromMs(timeMs: number): Timestamp {
  return parseTimestamp(new Date(timeMs).toISOString());
}

/** Returns `timestamp` as a Date, cut to the millisecond. */
export function timestampToDate(timestamp: Timestamp): Date {
  const { seconds, nanoseconds } = instantOf(timestamp);
  return new Date(seconds * 1_000 + Math.floor(nanoseconds / 1_000_000));
}

/** Whether two timestamps are the same moment, to the nanosecond, whatever their offsets. */
export function sameInstant(a: Timestamp, b: Timestamp): boolean {
  return a === b || compareInstants(a, b) === 0;
}

/** Compares two timestamps as moments: negative when `a` is earlier, zero when they are the same. */
export function compareInstants(a: Timestamp, b: Timestamp): number {
  const left = instantOf(a);
  const right = instantOf(b);
  return left.seconds - right.seconds || left.nanoseconds - right.nanoseconds;
}

function instantOf(timestamp: Timestamp): { seconds: number; nanoseconds: number } {
  const digits = /\.(\d+)/.exec(timestamp)?.[1] ?? '';
  const whole = timestamp.replace(/\.\d+/, '');
  return { seconds: Date.parse(whole) / 1_000, nanoseconds: Number(digits.padEnd(9, '0')) };
}

/** Go's `time.Time`. */
export const timestampCodec: Codec<Timestamp> = {
  zero: () => ZERO,
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
