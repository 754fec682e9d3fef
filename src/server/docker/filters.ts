import { badRequest } from './failures.js';

/** Filters of a request: values by key. */
export type Filters = ReadonlyMap<string, readonly string[]>;

/**
 * Reads the parameter `filters`: JSON of the form `{"label":["a=b"]}`, as SDKs send it, or
 * `{"label":{"a=b":true}}`, as the docker command line does.
 * @throws {HttpFailure} 400
 */
export function parseFilters(text: string | undefined): Filters {
  if (text === undefined || text === '') return new Map();
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw badRequest('invalid filters: they are not JSON');
  }
  // As Go reads it into a map.
  if (value === null) return new Map();
  if (typeof value !== 'object' || Array.isArray(value)) {
    throw badRequest('invalid filters: they are an object');
  }
  return new Map(Object.entries(value).map(([key, values]) => [key, valuesOf(key, values)]));
}

function valuesOf(key: string, values: unknown): readonly string[] {
  if (values === null) return [];
  if (typeof values === 'object') {
    return [...new Set(Array.isArray(values) ? values.map(String) : Object.keys(values))];
  }
  throw badRequest(`invalid filter '${key}': expected a list, or an object`);
}

/** @throws {HttpFailure} 400 for a key that is not among those */
export function refuseOthers(filters: Filters, known: readonly string[]): void {
  const other = [...filters.keys()].find((key) => !known.includes(key));
  if (other !== undefined) throw badRequest(`Invalid filter '${other}'`);
}

/** Returns a filter that is true or false; undefined without one. @throws {HttpFailure} 400 */
export function truthOf(filters: Filters, key: string): boolean | undefined {
  const values = filters.get(key);
  if (values === undefined) return undefined;
  if (values.length === 1 && /^(?:true|1)$/i.test(values[0] ?? '')) return true;
  if (values.length === 1 && /^(?:false|0)$/i.test(values[0] ?? '')) return false;
  throw badRequest(`invalid filter '${key}=[${values.join(' ')}]'`);
}

/** Whether labels are as `label` wants, all of its values, and as none of `label!` does. */
export function fitsLabels(filters: Filters, labels: Readonly<Record<string, string>>): boolean {
  const has = (wanted: string): boolean => {
    const at = wanted.indexOf('=');
    const key = at < 0 ? wanted : wanted.slice(0, at);
    return Object.hasOwn(labels, key) && (at < 0 || labels[key] === wanted.slice(at + 1));
  };
  return (filters.get('label') ?? []).every(has) && !(filters.get('label!') ?? []).some(has);
}

const UNITS: Readonly<Record<string, bigint>> = {
  ns: 1n,
  us: 1_000n,
  µs: 1_000n,
  ms: 1_000_000n,
  s: 1_000_000_000n,
  m: 60_000_000_000n,
  h: 3_600_000_000_000n,
};
const SECOND = 1_000_000_000n;
const DURATION = /^(?:\d+(?:\.\d+)?(?:ns|us|µs|ms|s|m|h))+$/;
const DATE = /^(\d{4}-\d\d-\d\d)(?:T(\d\d:\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?)?(Z|[+-]\d\d:\d\d)?$/;

/**
 * Reads a time as Docker does: seconds since the epoch with up to nine decimals, RFC 3339 or the
 * beginning of it (UTC without a zone), or a duration before now, such as `10m` or `1h30m`.
 * Returns nanoseconds since the epoch.
 * @throws {HttpFailure} 400
 */
export function parseTime(text: string, nowMs: number): bigint {
  const [, seconds, fraction = ''] = /^(-?\d{1,12})(?:\.(\d{1,9}))?$/.exec(text) ?? [];
  if (seconds !== undefined) return BigInt(seconds) * SECOND + BigInt(fraction.padEnd(9, '0'));
  if (DURATION.test(text)) return BigInt(nowMs) * 1_000_000n - durationOf(text);
  const [, day, minute = '00:00', second = '00', decimals = '', zone = 'Z'] = DATE.exec(text) ?? [];
  const ms = Date.parse(`${day}T${minute}:${second}${zone}`);
  // Date.parse takes a 30th of February for the 2nd of March.
  if (day === undefined || Number.isNaN(ms) || new Date(day).toISOString().slice(0, day.length) !== day) {
    throw badRequest(`cannot read the time ${JSON.stringify(text.slice(0, 100))}`);
  }
  return BigInt(ms) * 1_000_000n + BigInt(decimals.padEnd(9, '0'));
}

function durationOf(text: string): bigint {
  let sum = 0n;
  for (const [, whole = '', decimals = '', unit = ''] of text.matchAll(/(\d+)(?:\.(\d+))?(ns|us|µs|ms|s|m|h)/g)) {
    const size = UNITS[unit] ?? 0n;
    sum += BigInt(whole) * size + (decimals === '' ? 0n : (BigInt(decimals) * size) / 10n ** BigInt(decimals.length));
  }
  return sum;
}
