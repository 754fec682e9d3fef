import test from 'ava';
import { parseMoment } from '../../src/model/timestamp.js';

const NOON = Date.UTC(2026, 0, 31, 12);

for (const [text, time] of [
  ['2026-01-31T12:00:00Z', NOON],
  ['2026-01-31t12:00:00z', NOON],
  ['2026-01-31 12:00:00Z', NOON],
  ['2026-01-31T12:00:00', NOON],
  ['2026-01-31T12:00', NOON],
  ['2026-01-31T14:00:00+02:00', NOON],
  ['2026-01-31T06:30:00-05:30', NOON],
  ['2026-01-31T12:00:00.5Z', NOON + 500],
  ['2026-01-31T12:00:00.123456789Z', NOON + 123],
  ['2026-01-31T12:00:00.1234567890123Z', NOON + 123],
  ['2026-01-31T14:00:00.9999999999999999999+02:00', NOON + 999],
  ['2026-01-31T12:00:00.00000000000000000001', NOON],
  ['2024-02-29T00:00:00Z', Date.UTC(2024, 1, 29)],
  ['2016-12-31T23:59:60Z', Date.UTC(2017, 0, 1) - 1],
] as const) {
  test(`${text} is one millisecond`, (t) => {
    t.deepEqual(parseMoment(text), { first: time, last: time });
  });
}

test('a fraction of a second may have any number of digits', (t) => {
  const time = NOON + 111;
  t.deepEqual(parseMoment(`2026-01-31T12:00:00.${'1'.repeat(1_000_000)}Z`), { first: time, last: time });
});

test('a date is its whole day in UTC', (t) => {
  t.deepEqual(parseMoment('2026-01-31'), { first: Date.UTC(2026, 0, 31), last: Date.UTC(2026, 1, 1) - 1 });
});

for (const text of [
  '',
  '7',
  'yesterday',
  '2026',
  '2026-1-31',
  '2026-02-30',
  '2026-13-01',
  '2025-02-29T00:00:00Z',
  '2026-01-31T24:00:00Z',
  '2026-01-31T25:00:00Z',
  '2026-01-31T12:61:00Z',
  '2026-01-31T12:00:61Z',
  '2026-01-31T12:00:00+2',
  '2026-01-31T12:00:00+25:00',
  '2026-01-31T12:00:00.Z',
  '2026-01-31Z',
  ' 2026-01-31',
  '2026-01-31T12:00:00Z\n',
]) {
  test(`${JSON.stringify(text)} is not a point in time`, (t) => {
    t.is(parseMoment(text), undefined);
  });
}
