import test from 'ava';
import fc from 'fast-check';
import { decodeJson } from '../../src/model/go-json/codecs.js';
import { JsonError } from '../../src/model/go-json/parse.js';
import {
  compareInstants,
  parseTimestamp,
  sameInstant,
  timestampCodec,
  timestampFromMs,
  timestampToDate,
  utcTimestamp,
} from '../../src/model/timestamp.js';
import { storeError } from '../support/store-error.js';
import { bytesOf } from '../support/text-bytes.js';

const writes = test.macro({
  exec(t, text: string, expected: string) {
    t.is(parseTimestamp(text), expected as never);
    t.is(timestampCodec.encode(decodeJson(bytesOf(JSON.stringify(text)), timestampCodec)), `"${expected}"`);
  },
  title: (_, text, expected) => `the time ${text} is written ${expected}`,
});

test(writes, '2024-01-11T09:30:00.123456789Z', '2024-01-11T09:30:00.123456789Z');
test(writes, '2024-01-01T00:00:00.000Z', '2024-01-01T00:00:00Z');
test(writes, '2024-06-30T12:00:00.500-07:00', '2024-06-30T12:00:00.5-07:00');
test(writes, '2024-06-30T12:00:00.0000000019Z', '2024-06-30T12:00:00.000000001Z');
test(writes, '2024-06-30T12:00:00.0000000009Z', '2024-06-30T12:00:00Z');
test(writes, '2024-01-01T00:00:00.1234567890123Z', '2024-01-01T00:00:00.123456789Z');
test(writes, '2024-01-01T00:00:00.9999999999999-07:00', '2024-01-01T00:00:00.999999999-07:00');
test(writes, `2024-01-01T00:00:00.${'0'.repeat(50)}1Z`, '2024-01-01T00:00:00Z');
test(writes, '2024-06-30T12:00:00+00:00', '2024-06-30T12:00:00Z');
test(writes, '2024-06-30T12:00:00-00:00', '2024-06-30T12:00:00Z');
test(writes, '2024-06-30T12:00:00+05:45', '2024-06-30T12:00:00+05:45');
test(writes, '2024-02-29T23:59:59Z', '2024-02-29T23:59:59Z');
test(writes, '2000-02-29T00:00:00Z', '2000-02-29T00:00:00Z');
test(writes, '0000-01-01T00:00:00Z', '0000-01-01T00:00:00Z');
test(writes, '9999-12-31T23:59:59.999999999Z', '9999-12-31T23:59:59.999999999Z');

const refuses = test.macro({
  exec(t, text: string) {
    storeError(t, 'TIME_INVALID', () => parseTimestamp(text));
    t.throws(() => decodeJson(bytesOf(JSON.stringify(text)), timestampCodec), { instanceOf: JsonError });
  },
  title: (_, text) => `${JSON.stringify(text)} is not a time`,
});

test(refuses, '');
test(refuses, '2024-01-01');
test(refuses, '2024-01-01T00:00:00');
test(refuses, '2024-01-01 00:00:00Z');
test(refuses, '2024-01-01t00:00:00Z');
test(refuses, '2024-01-01T00:00:00z');
test(refuses, '2024-01-01T00:00:00.Z');
test(refuses, '2024-01-01T00:00:00,5Z');
test(refuses, '2024-01-01T0:00:00Z');
test(refuses, '2024-01-01T24:00:00Z');
test(refuses, '2024-01-01T00:60:00Z');
test(refuses, '2024-12-31T23:59:60Z');
test(refuses, '2024-13-01T00:00:00Z');
test(refuses, '2024-00-01T00:00:00Z');
test(refuses, '2024-01-00T00:00:00Z');
test(refuses, '2024-04-31T00:00:00Z');
test(refuses, '2023-02-29T00:00:00Z');
test(refuses, '1900-02-29T00:00:00Z');
test(refuses, '2024-01-01T00:00:00+24:00');
test(refuses, '2024-01-01T00:00:00+01:60');
test(refuses, '2024-01-01T00:00:00+0100');
test(refuses, '12024-01-01T00:00:00Z');
test(refuses, ' 2024-01-01T00:00:00Z');
test(refuses, '2024-01-01T00:00:00Z\n');

test('a number is not a time in JSON, null leaves the time as it is', (t) => {
  t.throws(() => decodeJson(bytesOf('5'), timestampCodec), { instanceOf: JsonError, message: /RFC 3339.*number 5/ });
  t.is(decodeJson(bytesOf('null'), timestampCodec), timestampCodec.zero());
});

test('any millisecond comes back from its timestamp', (t) => {
  const first = Date.parse('0000-01-01T00:00:00Z');
  const last = Date.parse('9999-12-31T23:59:59.999Z');
  fc.assert(
    fc.property(fc.integer({ min: first, max: last }), (timeMs) => {
      t.is(timestampToDate(timestampFromMs(timeMs)).getTime(), timeMs);
      return true;
    }),
  );
});

test('a Date of a timestamp is cut to the millisecond, before the epoch too', (t) => {
  t.is(timestampToDate(parseTimestamp('2024-01-01T01:00:00.9999999+01:00')).toISOString(), '2024-01-01T00:00:00.999Z');
  t.is(timestampToDate(parseTimestamp('1969-12-31T23:59:59.0005Z')).getTime(), -1_000);
});

test('moments are compared to the nanosecond and across offsets', (t) => {
  const at = (text: string) => parseTimestamp(text);
  t.true(sameInstant(at('2024-01-01T00:30:00+01:00'), at('2023-12-31T23:30:00Z')));
  t.true(sameInstant(at('0001-01-01T02:00:00.5+02:00'), at('0001-01-01T00:00:00.5Z')));
  t.false(sameInstant(at('2024-01-01T00:00:00.000000001Z'), at('2024-01-01T00:00:00Z')));
  t.true(compareInstants(at('2024-01-01T00:00:00.000000001Z'), at('2024-01-01T00:00:00.000000002Z')) < 0);
  t.true(compareInstants(at('2024-01-01T00:00:00+01:00'), at('2024-01-01T00:00:00Z')) < 0);
  t.true(compareInstants(at('1970-01-01T00:00:00Z'), at('1969-12-31T23:59:59.999999999Z')) > 0);
});

test('a time in UTC keeps its nanoseconds, and its text where UTC has no year for it', (t) => {
  const utc = (text: string): string => utcTimestamp(parseTimestamp(text));
  t.is(utc('2020-01-02T03:04:05.123456789+02:00'), '2020-01-02T01:04:05.123456789Z');
  t.is(utc('2020-01-01T00:00:00.5+00:30'), '2019-12-31T23:30:00.5Z');
  t.is(utc('2020-01-02T03:04:05.1Z'), '2020-01-02T03:04:05.1Z');
  t.is(utc('0000-01-01T00:00:00.1+01:00'), '0000-01-01T00:00:00.1+01:00');
  t.is(utc('9999-12-31T23:59:59.1-01:00'), '9999-12-31T23:59:59.1-01:00');
});
