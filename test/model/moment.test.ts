import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import { parseMoment } from '../../src/model/moment.js';
import { instantsAt, localMs, localTimeText, offsetMs, zoneName } from '../../src/model/time-zone.js';
import { storeError } from '../support/store-error.js';

const NOON = Date.UTC(2026, 0, 31, 12);
const MINUTE_MS = 60_000;
/** A Sunday, 10:30 in UTC. */
const NOW = Date.parse('2026-11-29T10:30:00Z');

function iso(timeMs: number): string {
  return new Date(timeMs).toISOString();
}

/** Reads a text at NOW; a span as its two ends. */
function read(text: string, timeZone = 'UTC', nowMs = NOW): unknown {
  const point = parseMoment(text, { nowMs, timeZone });
  return point.kind === 'time' ? [iso(point.first), iso(point.last)] : point;
}

for (const [text, time] of [
  ['2026-01-31T12:00:00.0Z', NOON],
  ['2026-01-31T12:00:00.5Z', NOON + 500],
  ['2026-01-31T12:00:00.123456789Z', NOON + 123],
  ['2026-01-31T12:00:00.1234567890123Z', NOON + 123],
  ['2026-01-31T14:00:00.9999999999999999999+02:00', NOON + 999],
  ['2026-01-31T12:00:00.00000000000000000001', NOON],
  ['2024-02-29T00:00:00.000Z', Date.UTC(2024, 1, 29)],
  ['2016-12-31T23:59:60Z', Date.UTC(2017, 0, 1) - 1],
  [`2026-01-31T12:00:00.${'1'.repeat(1_000_000)}Z`, NOON + 111],
] as const) {
  test(`${text.slice(0, 50)} is one millisecond`, (t) => {
    t.deepEqual(read(text), [iso(time), iso(time)]);
  });
}

for (const text of [
  '2026-01-31T12:00:00Z',
  '2026-01-31t12:00:00z',
  '2026-01-31 12:00:00Z',
  '2026-01-31T12:00:00',
  '2026-01-31T14:00:00+02:00',
  '2026-01-31T14:00:00+0200',
  '2026-01-31T14:00:00+02',
  '2026-01-31 14:00:00 +02:00',
  '2026-01-31T06:30:00-05:30',
  '2026-01-31 12:00:00 UTC',
  '2026-01-31 12:00:00 GMT',
]) {
  test(`${text} is its second`, (t) => {
    t.deepEqual(read(text), ['2026-01-31T12:00:00.000Z', '2026-01-31T12:00:00.999Z']);
  });
}

test('a time without seconds is its minute, and a date its day', (t) => {
  t.deepEqual(read('2026-01-31T12:00'), ['2026-01-31T12:00:00.000Z', '2026-01-31T12:00:59.999Z']);
  t.deepEqual(read('2026-01-31 12:00+01:00'), ['2026-01-31T11:00:00.000Z', '2026-01-31T11:00:59.999Z']);
  t.deepEqual(read('2026-01-31'), ['2026-01-31T00:00:00.000Z', '2026-01-31T23:59:59.999Z']);
});

test('an event is a number, with @ or # when it looks like a date', (t) => {
  for (const text of ['12', '@12', '#12', '@012']) t.deepEqual(read(text), { kind: 'event', seq: 12 });
  t.deepEqual(read('0'), { kind: 'event', seq: 0 });
  t.deepEqual(read('@2026'), { kind: 'event', seq: 2026 });
  t.deepEqual(read('#20260131'), { kind: 'event', seq: 20_260_131 });
  for (const text of ['1969', '2100', '20263', '20260231', '18990101'])
    t.deepEqual(read(text), { kind: 'event', seq: Number(text) });
});

test('a number that looks like a date is refused with its two readings', (t) => {
  for (const year of ['1970', '2026', '2099']) {
    const { message, data } = storeError(t, 'TIME_INVALID', () => read(year));
    t.is(message, `${year} alone has two readings: event ${year} is @${year}, the year begins at ${year}-01-01`);
    t.deepEqual(data, { when: year });
  }
  const { message } = storeError(t, 'TIME_INVALID', () => read('20260131'));
  t.is(message, '20260131 alone has two readings: event 20260131 is @20260131, the day is 2026-01-31');
});

const isAgo = test.macro({
  title: (_, text: string) => `${text} is a time before now`,
  exec: (t: ExecutionContext, text: string, expected: string) => {
    t.deepEqual(read(text), [expected, expected]);
    t.deepEqual(read(text.toUpperCase()), [expected, expected]);
  },
});

test(isAgo, '2h', '2026-11-29T08:30:00.000Z');
test(isAgo, '2h ago', '2026-11-29T08:30:00.000Z');
test(isAgo, '90m', '2026-11-29T09:00:00.000Z');
test(isAgo, '1d12h', '2026-11-27T22:30:00.000Z');
test(isAgo, '1w2d3h4m5s6ms', '2026-11-20T07:25:54.994Z');
test(isAgo, '2 weeks ago', '2026-11-15T10:30:00.000Z');
test(isAgo, '2.weeks.ago', '2026-11-15T10:30:00.000Z');
test(isAgo, '3 days ago', '2026-11-26T10:30:00.000Z');
test(isAgo, 'an hour ago', '2026-11-29T09:30:00.000Z');
test(isAgo, 'a day ago', '2026-11-28T10:30:00.000Z');
test(isAgo, 'one week ago', '2026-11-22T10:30:00.000Z');
test(isAgo, '1 day, 2 hours ago', '2026-11-28T08:30:00.000Z');
test(isAgo, '1 hour 30 minutes ago', '2026-11-29T09:00:00.000Z');
test(isAgo, '45 mins', '2026-11-29T09:45:00.000Z');
test(isAgo, '1 month ago', '2026-10-29T10:30:00.000Z');
test(isAgo, '9 months ago', '2026-02-28T10:30:00.000Z');
test(isAgo, '1 year 1 day ago', '2025-11-28T10:30:00.000Z');
test(isAgo, '0s', '2026-11-29T10:30:00.000Z');

test('days are those of the zone', (t) => {
  t.deepEqual(read('now'), { kind: 'now' });
  t.deepEqual(read('Now'), { kind: 'now' });
  t.deepEqual(read('today'), ['2026-11-29T00:00:00.000Z', '2026-11-29T23:59:59.999Z']);
  t.deepEqual(read('yesterday'), ['2026-11-28T00:00:00.000Z', '2026-11-28T23:59:59.999Z']);
  t.deepEqual(read('yesterday', 'America/New_York'), ['2026-11-28T05:00:00.000Z', '2026-11-29T04:59:59.999Z']);
  t.deepEqual(read('today', 'Pacific/Chatham'), ['2026-11-29T10:15:00.000Z', '2026-11-30T10:14:59.999Z']);
  t.deepEqual(read('yesterday 09:00', 'America/New_York'), ['2026-11-28T14:00:00.000Z', '2026-11-28T14:00:59.999Z']);
  t.deepEqual(read('yesterday at 09:00:05'), ['2026-11-28T09:00:05.000Z', '2026-11-28T09:00:05.999Z']);
  t.deepEqual(read('09:00'), ['2026-11-29T09:00:00.000Z', '2026-11-29T09:00:59.999Z']);
});

test('a weekday is the last one before today', (t) => {
  const dayOf = (text: string): string => String((read(text) as string[])[0]).slice(0, 10);
  const days = ['mon', 'tue', 'wed', 'thu', 'fri', 'sat', 'sun'];
  t.deepEqual(days.map(dayOf), [
    '2026-11-23',
    '2026-11-24',
    '2026-11-25',
    '2026-11-26',
    '2026-11-27',
    '2026-11-28',
    '2026-11-22',
  ]);
  for (const text of ['tuesday', 'last tuesday', 'Last Tue', 'last.tuesday']) t.is(dayOf(text), '2026-11-24');
  t.deepEqual(read('last tuesday 14:00', 'Asia/Kolkata'), ['2026-11-24T08:30:00.000Z', '2026-11-24T08:30:59.999Z']);
});

for (const text of [
  '',
  ' ',
  '-1',
  '1.5',
  '1.5h',
  '@',
  '#',
  '@ 12',
  '@-1',
  '2026-1-31',
  '2026-11',
  '2026-02-30',
  '2026-13-01',
  '2025-02-29T00:00:00Z',
  '2026-01-31T24:00:00Z',
  '2026-01-31T25:00:00Z',
  '2026-01-31T12:61:00Z',
  '2026-01-31T12:00:61Z',
  '2026-01-31T12:00:00+2',
  '2026-01-31T12:00:00+25:00',
  '2026-01-31T12:00:00+02:60',
  '2026-01-31T12:00:00.Z',
  '2026-01-31Z',
  '2026-01-31 12:00 EST',
  '2026-01-31 12:00 X',
  ' 2026-01-31',
  ' 2h',
  '2026-01-31T12:00:00Z\n',
  '2 ago',
  'ago',
  'a',
  'an',
  'am',
  'hour',
  '2 fortnights ago',
  '2h-',
  'last',
  'last today',
  'last yesterday',
  'tomorrow',
  'noon',
  'today 24:00',
  'today at',
  'tues',
  'yesterday 9:00',
  'constructor',
  '9'.repeat(17),
  `${'9'.repeat(12)}w`,
  `${'9'.repeat(12)} years ago`,
  '1h'.repeat(1_000_000),
]) {
  test(`${JSON.stringify(text.slice(0, 40))} is not a point in time`, (t) => {
    const { message, data } = storeError(t, 'TIME_INVALID', () => read(text));
    t.true(message.startsWith(`${JSON.stringify(text.slice(0, 100))} is not a point in time: `), message);
    t.deepEqual(data, { when: text.slice(0, 100) });
  });
}

test('a refusal says what is wrong, or what is taken', (t) => {
  const why = (text: string, timeZone?: string): string =>
    storeError(t, 'TIME_INVALID', () => read(text, timeZone)).message.replace(/^.* is not a point in time: /, '');
  t.is(why('2026-11'), 'it is a month; name a day, like 2026-11-01');
  t.is(why('2026-02-30'), 'the calendar has no such day');
  t.regex(why('noon'), /^expected an event \(@12\), a time ago \(2h, 2 weeks ago\), now, today, /);
  t.is(
    why('2026-07-01 12:00 EST', 'America/New_York'),
    'the zone is EDT then (America/New_York), and only UTC and GMT are known elsewhere: give an offset instead of EST',
  );
});

/** Local times around changes: zone, text, first and last instant. */
const changes = [
  // Clocks went from 02:00 to 03:00 at 07:00 UTC.
  ['America/New_York', '2026-03-08 01:59', '2026-03-08T06:59:00.000Z', '2026-03-08T06:59:59.999Z'],
  ['America/New_York', '2026-03-08 02:00', '2026-03-08T07:00:00.000Z', '2026-03-08T07:00:00.000Z'],
  ['America/New_York', '2026-03-08 02:30', '2026-03-08T07:00:00.000Z', '2026-03-08T07:00:00.000Z'],
  ['America/New_York', '2026-03-08 03:00', '2026-03-08T07:00:00.000Z', '2026-03-08T07:00:59.999Z'],
  ['America/New_York', '2026-03-08', '2026-03-08T05:00:00.000Z', '2026-03-09T03:59:59.999Z'],
  // Clocks went from 02:00 to 01:00 at 06:00 UTC.
  ['America/New_York', '2026-11-01 00:59', '2026-11-01T04:59:00.000Z', '2026-11-01T04:59:59.999Z'],
  ['America/New_York', '2026-11-01 01:30', '2026-11-01T05:30:00.000Z', '2026-11-01T06:30:59.999Z'],
  ['America/New_York', '2026-11-01 01:30 EDT', '2026-11-01T05:30:00.000Z', '2026-11-01T05:30:59.999Z'],
  ['America/New_York', '2026-11-01 01:30 EST', '2026-11-01T06:30:00.000Z', '2026-11-01T06:30:59.999Z'],
  ['America/New_York', '2026-11-01 01:30:15.5 -05:00', '2026-11-01T06:30:15.500Z', '2026-11-01T06:30:15.500Z'],
  ['America/New_York', '2026-11-01 02:00', '2026-11-01T07:00:00.000Z', '2026-11-01T07:00:59.999Z'],
  ['America/New_York', '2026-11-01', '2026-11-01T04:00:00.000Z', '2026-11-02T04:59:59.999Z'],
  ['Europe/Berlin', '2026-03-29 02:30', '2026-03-29T01:00:00.000Z', '2026-03-29T01:00:00.000Z'],
  ['Europe/Berlin', '2026-10-25 02:30', '2026-10-25T00:30:00.000Z', '2026-10-25T01:30:59.999Z'],
  ['Europe/Berlin', '2026-07-01', '2026-06-30T22:00:00.000Z', '2026-07-01T21:59:59.999Z'],
  ['Asia/Kolkata', '2026-03-29 02:30', '2026-03-28T21:00:00.000Z', '2026-03-28T21:00:59.999Z'],
  ['Asia/Kolkata', '2026-11-29', '2026-11-28T18:30:00.000Z', '2026-11-29T18:29:59.999Z'],
  // From 02:45 to 03:45 on 27 September, and back from 03:45 to 02:45 on 5 April.
  ['Pacific/Chatham', '2026-09-27 03:00', '2026-09-26T14:00:00.000Z', '2026-09-26T14:00:00.000Z'],
  ['Pacific/Chatham', '2026-04-05 03:00', '2026-04-04T13:15:00.000Z', '2026-04-04T14:15:59.999Z'],
  ['Pacific/Chatham', '2026-11-29', '2026-11-28T10:15:00.000Z', '2026-11-29T10:14:59.999Z'],
  // Half an hour.
  ['Australia/Lord_Howe', '2026-04-05 01:45', '2026-04-04T14:45:00.000Z', '2026-04-04T15:15:59.999Z'],
  // Days that begin at 01:00, and one that never was.
  ['Africa/Cairo', '2026-04-24', '2026-04-23T22:00:00.000Z', '2026-04-24T20:59:59.999Z'],
  ['Pacific/Apia', '2011-12-30', '2011-12-30T10:00:00.000Z', '2011-12-30T09:59:59.999Z'],
] as const;

for (const [timeZone, text, first, last] of changes) {
  test(`${text} in ${timeZone}`, (t) => {
    t.deepEqual(read(text, timeZone), [first, last]);
  });
}

test('a duration is of real time, across a change too', (t) => {
  const now = Date.parse('2026-11-01T12:00:00-05:00');
  t.deepEqual(read('1d', 'America/New_York', now), ['2026-10-31T17:00:00.000Z', '2026-10-31T17:00:00.000Z']);
  t.deepEqual(read('1 month ago', 'America/New_York', now), ['2026-10-01T16:00:00.000Z', '2026-10-01T16:00:00.000Z']);
  t.deepEqual(read('yesterday 12:00', 'America/New_York', now), [
    '2026-10-31T16:00:00.000Z',
    '2026-10-31T16:00:59.999Z',
  ]);
});

const zones = fc.constantFrom(
  'America/New_York',
  'Europe/Berlin',
  'Asia/Kolkata',
  'Pacific/Chatham',
  'Europe/London',
  'Australia/Lord_Howe',
  'Africa/Casablanca',
  'America/Sao_Paulo',
  'Pacific/Apia',
  'UTC',
);
const times = fc.integer({ min: Date.UTC(1971, 0, 1), max: Date.UTC(2037, 0, 1) });

test('what is printed with its zone is read as the same second, and without it as one that holds it', (t) => {
  t.notThrows(() =>
    fc.assert(
      fc.property(zones, times, (timeZone, time) => {
        const second = Math.floor(time / 1_000) * 1_000;
        const shown = localTimeText(time, timeZone);
        const named = parseMoment(`${shown} ${zoneName(time, timeZone)}`, { nowMs: 0, timeZone });
        const bare = parseMoment(shown, { nowMs: 0, timeZone });
        return (
          named.kind === 'time' &&
          named.first === second &&
          named.last === second + 999 &&
          bare.kind === 'time' &&
          bare.first <= second &&
          bare.last >= second + 999
        );
      }),
    ),
  );
});

test('the order of what clocks show is kept, and a day is all that shows its date', (t) => {
  t.notThrows(() =>
    fc.assert(
      fc.property(zones, times, fc.integer({ min: -3 * 24 * 60, max: 3 * 24 * 60 }), (timeZone, time, minutes) => {
        const other = time + minutes * MINUTE_MS;
        const shown = localTimeText(other, timeZone);
        const limit = localTimeText(time, timeZone).slice(0, 16);
        const point = parseMoment(limit, { nowMs: 0, timeZone });
        const date = parseMoment(limit.slice(0, 10), { nowMs: 0, timeZone });
        if (point.kind !== 'time' || date.kind !== 'time') return false;
        const isUpTo = shown.slice(0, 16) <= limit;
        const isSameDay = shown.slice(0, 10) === limit.slice(0, 10);
        // What clocks show twice is both: nothing up to it is left out.
        return (!isUpTo || other <= point.last) && isSameDay === (other >= date.first && other <= date.last);
      }),
    ),
  );
});

test('an offset leads to the local time and back, also from the cache', (t) => {
  t.notThrows(() =>
    fc.assert(
      fc.property(zones, times, (timeZone, time) => {
        const local = localMs(time, timeZone);
        const { first, last } = instantsAt(local, timeZone);
        return (
          local - time === offsetMs(time, timeZone) && first <= time && time <= last && [first, last].includes(time)
        );
      }),
    ),
  );
});

test('a zone has the name that English gives it, else its offset', (t) => {
  const winter = Date.UTC(2026, 0, 1);
  const summer = Date.UTC(2026, 6, 1);
  const names = (zone: string): string[] => [zoneName(winter, zone), zoneName(summer, zone)];
  t.deepEqual(names('America/New_York'), ['EST', 'EDT']);
  t.deepEqual(names('Europe/Berlin'), ['+01:00', '+02:00']);
  t.deepEqual(names('Europe/London'), ['GMT', '+01:00']);
  t.deepEqual(names('Asia/Kolkata'), ['+05:30', '+05:30']);
  t.deepEqual(names('Pacific/Chatham'), ['+13:45', '+12:45']);
  t.deepEqual(names('America/Sao_Paulo'), ['-03:00', '-03:00']);
  t.deepEqual(names('Etc/UTC'), ['UTC', 'UTC']);
});
