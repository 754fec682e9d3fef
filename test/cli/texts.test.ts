import { durationText, isPrintable, printable, sizeText } from '../../src/model/texts.js';
import test, { type ExecutionContext } from 'ava';
import { InvalidArgumentError } from 'commander';
import { bar } from '../../src/cli/render/progress.js';
import { displayWidth, pad, truncate } from '../../src/cli/render/display-width.js';
import { jsonText, paintJson, createColors } from '../../src/cli/render/text.js';
import { localTimeText } from '../../src/model/time-zone.js';
import { treeLines } from '../../src/cli/render/table.js';
import { momentsOf, pointInTime } from '../../src/cli/option-values.js';
import { timeColumn, timesBetween } from '../../src/cli/render/times.js';
import type { When } from '../../src/store/past/audit.js';

const mark = (kind: string) => (text: unknown) => `${kind}<${String(text)}>`;

const NOW = Date.parse('2026-01-31T12:00:00Z');

const io = { now: () => NOW, timeZone: 'America/New_York' };

const means = test.macro({
  title: (_, text: string) => `the point in time ${JSON.stringify(text)}`,
  exec: (t: ExecutionContext, text: string, expected: When, first?: string, end?: string) => {
    const last = end ?? first;
    const when = pointInTime(io)(text);
    t.deepEqual(when, expected);
    const moments = momentsOf(when, { io, timeZone: io.timeZone });
    t.is(moments === undefined ? undefined : new Date(moments.first).toISOString(), first);
    t.is(moments === undefined ? undefined : new Date(moments.last).toISOString(), last);
  },
});

test(means, '12', 12);
test(means, '#12', 12);
test(means, '@2026', 2026);
test(means, '0', 0);
test(means, 'now', 'now', '2026-01-31T12:00:00.000Z');
test(means, 'NOW', 'now', '2026-01-31T12:00:00.000Z');
test(means, '2h', '2h', '2026-01-31T10:00:00.000Z');
test(means, '2024-02-29', '2024-02-29', '2024-02-29T05:00:00.000Z', '2024-03-01T04:59:59.999Z');
test(means, '2026-01-31T14:05', '2026-01-31T14:05', '2026-01-31T19:05:00.000Z', '2026-01-31T19:05:59.999Z');
test(means, '2026-01-31t14:05:09.0+02:00', '2026-01-31t14:05:09.0+02:00', '2026-01-31T12:05:09.000Z');

test('a point in time that cannot be read is refused with the reason', (t) => {
  const refusal = {
    instanceOf: InvalidArgumentError,
    message: /^2026 alone has two readings: event 2026 is @2026, .*\.$/,
  };
  t.throws(() => pointInTime(io)('2026'), refusal);
  t.throws(() => pointInTime(io)('noon'), {
    message: /^"noon" is not a point in time: expected an event \(@12\), .*\.$/,
  });
});

test('a column of times names its zone: one name, two, or the region', (t) => {
  const [winter, summer] = [Date.UTC(2026, 0, 1, 12), Date.UTC(2026, 6, 1, 12)];
  const titleOf = (zone: string, ...times: number[]): string => timeColumn('TIME', times, zone).title;
  t.is(titleOf('America/New_York'), 'TIME');
  t.is(titleOf('America/New_York', winter, winter + 1), 'TIME (EST)');
  t.is(titleOf('America/New_York', summer, winter), 'TIME (EST/EDT)');
  t.is(titleOf('Europe/Berlin', winter), 'TIME (+01:00)');
  t.is(titleOf('Europe/Berlin', winter, summer), 'TIME (+01/+02)');
  t.is(titleOf('Pacific/Chatham', winter, summer), 'TIME (+12:45/+13:45)');
  t.is(titleOf('Europe/Berlin', winter, summer, -62_135_596_800_000), 'TIME (Europe/Berlin)');
  t.is(titleOf('UTC', winter, summer), 'TIME (UTC)');
});

test('a cell that clocks showed twice says which it is', (t) => {
  const first = Date.parse('2026-11-01T01:30:00-04:00');
  const { minutes, seconds } = timeColumn('TIME', [first], 'America/New_York');
  t.is(minutes(first), '2026-11-01 01:30 EDT');
  t.is(seconds(first + 3_600_000), '2026-11-01 01:30:00 EST');
  t.is(minutes(first + 2 * 3_600_000), '2026-11-01 02:30');
});

test('every name of a zone is among the times between two', (t) => {
  const [from, to] = [Date.UTC(2026, 0, 15), Date.UTC(2027, 0, 15)];
  t.is(timeColumn('TIME', timesBetween(from, to), 'America/New_York').title, 'TIME (EST/EDT)');
  t.is(timeColumn('TIME', timesBetween(from, from + 1), 'America/New_York').title, 'TIME (EST)');
  t.deepEqual([...timesBetween(5, 5)], [5]);
  t.true([...timesBetween(0, to)].length < 500);
});

test('sizes have decimal units and three digits', (t) => {
  const rows = [
    [0, '0 B'],
    [999, '999 B'],
    [1_000, '1 kB'],
    [1_234, '1.23 kB'],
    [999_499, '999 kB'],
    [999_500, '1 MB'],
    [5_000_000_000, '5 GB'],
    [Number.MAX_SAFE_INTEGER, '9.01 PB'],
  ] as const;
  for (const [bytes, text] of rows) t.is(sizeText(bytes), text);
});

test('lengths of time are as one says them', (t) => {
  const rows = [
    [0, '0 s'],
    [59_999, '59 s'],
    [60_000, '1 min'],
    [3_600_000, '1 h'],
    [47 * 3_600_000, '47 h'],
    [48 * 3_600_000, '2 days'],
  ] as const;
  for (const [durationMs, text] of rows) t.is(durationText(durationMs), text);
});

test('times in tables are those of the zone', (t) => {
  t.is(localTimeText(NOW, 'UTC'), '2026-01-31 12:00:00');
  t.is(localTimeText(NOW, 'Asia/Kathmandu'), '2026-01-31 17:45:00');
  t.is(localTimeText(Date.parse('2026-01-31T00:00:00Z'), 'UTC'), '2026-01-31 00:00:00');
});

test('wide and combining characters are counted as a terminal shows them', (t) => {
  t.is(displayWidth('a界e\u0301'), 4);
  t.is(truncate('界界界', 5), '界界…');
  t.is(truncate('界界界', 4), '界…');
  t.is(truncate('界界', 4), '界界');
  t.is(truncate('ab', 0), '');
  t.is(pad('界', 4), '界  ');
  t.is(pad('界', 4, 'right'), '  界');
});

test('bars show the least share, and never more than the whole', (t) => {
  t.deepEqual(
    [0, 0.001, 0.5, 1, 2].map((share) => bar(share, 4)),
    ['', '▏', '██', '████', '████'],
  );
});

const shows = test.macro({
  title: (_, what: string) => what,
  exec: (t: ExecutionContext, _: string, text: string, expected: string) => {
    t.is(printable(text), expected);
    t.is(isPrintable(text), text === expected);
  },
});

for (const unseen of [
  ...['\u00ad', '\u034f', '\u061c', '\u115f', '\u1160', '\u17b4', '\u180b', '\u180e', '\u200b', '\u200c', '\u200d'],
  ...['\u200e', '\u200f', '\u2028', '\u202e', '\u2060', '\u2065', '\u2069', '\u2800', '\u3164', '\ufe00', '\ufe0e'],
  ...['\ufe0f', '\ufeff', '\uffa0', '\ufff9', '\ud800', '\u007f'],
]) {
  const code = `\\u${unseen.charCodeAt(0).toString(16).padStart(4, '0')}`;
  test(shows, `the character ${code} between letters is escaped`, `a${unseen}b`, `a${code}b`);
}
test(shows, 'a tag is escaped', 'a\u{e0041}b', 'a\\udb40\\udc41b');
test(shows, 'a selector beyond U+FFFF is escaped', 'a\u{e0100}b', 'a\\udb40\\udd00b');
test(shows, 'text of many scripts stays', 'Zoë 山田 משה علي ก็ 한글 ⠁ e\u0301', 'Zoë 山田 משה علي ก็ 한글 ⠁ e\u0301');
test(shows, 'spaces of any width stay', 'a\u00a0b\u3000c', 'a\u00a0b\u3000c');
for (const emoji of ['👨‍👩‍👧', '❤️', '1️⃣', '🏴󠁧󠁢󠁥󠁮󠁧󠁿', '🏳️‍🌈', '👍🏽']) {
  test(shows, `the emoji ${emoji} stays`, `a${emoji}b`, `a${emoji}b`);
}
test(shows, 'a joiner after an emoji and before none is escaped', '👨\u200da', '👨\\u200da');
test(shows, 'a selector after an emoji that needs none is escaped', '😀\ufe0f', '😀\\ufe0f');
test(shows, 'a tag after a flag that needs none is escaped', '🏴\u{e0067}', '🏴\\udb40\\udc67');
test(shows, 'a joiner after a virama stays', 'क्\u200dष', 'क्\u200dष');
test(shows, 'a second joiner after a virama is escaped', 'क्\u200d\u200dष', 'क्\\u200d\\u200dष');
test(shows, 'a joiner after another Indic letter is escaped', 'क\u200dष', 'क\\u200dष');

test('a cut never leaves half an emoji', (t) => {
  t.is(truncate('👨‍👩‍👧👨‍👩‍👧', 3), '👨‍👩‍👧…');
  t.is(truncate('👨‍👩‍👧👨‍👩‍👧', 2), '…');
});

test('JSON is painted by what its tokens are', (t) => {
  const colors = {
    ...createColors(true),
    cyan: mark('k'),
    green: mark('s'),
    yellow: mark('n'),
    magenta: mark('w'),
  };
  t.is(
    paintJson('{"a\\"": ["b:", -1.5e3, true], "c" :null}', colors),
    '{k<"a\\"">: [s<"b:">, n<-1.5e3>, w<true>], k<"c"> :w<null>}',
  );
});

test('JSON escapes what a terminal would obey, and parses to the same value', (t) => {
  const value = { text: '\u001b[2J\u009b\u202e\u007f\u2028"\\', list: [1, null] };
  for (const indent of [0, 2]) {
    const text = jsonText(value, indent);
    t.notRegex(text, /(?!\n)[\p{Cc}\u202e\u2028]/u);
    t.deepEqual(JSON.parse(text), value);
  }
});

test('a tree of any depth is drawn', (t) => {
  const depth = 20_000;
  const lines = treeLines([0], (node) => (node < depth ? [node + 1] : []));
  t.is(lines.length, depth + 1);
  const branches = treeLines(['a'], (node) => (node === 'a' ? ['b', 'c'] : node === 'b' ? ['d'] : []));
  t.deepEqual(
    branches.map(({ node, branch }) => `${branch}${node}`),
    ['a', '├─ b', '│  └─ d', '└─ c'],
  );
});
