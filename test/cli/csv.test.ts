import test from 'ava';
import fc from 'fast-check';
import { csvRow, EVENT_CSV_HEAD, eventCsvRow } from '../../src/cli/render/csv.js';
import { eventToJSON } from '../../src/log/event-json.js';
import { printable } from '../../src/cli/render/text.js';
import { anyEvent } from '../support/event-arbitraries.js';
import { archive, startSession } from './session.js';

/** Reads one record as RFC 4180 says. */
function cellsOf(record: string): string[] {
  const cells = [...record.matchAll(/(?:^|,)(?:"((?:[^"]|"")*)"|([^",]*))/g)];
  return cells.map(([, quoted, bare = '']) => quoted?.replaceAll('""', '"') ?? bare);
}

test('a record of CSV is one line, and reads back as what a terminal would show', (t) => {
  const cell = fc.oneof(fc.string({ unit: 'binary' }), fc.constantFrom('', 'a,b', '"', 'a\nb', '=1+1'));
  fc.assert(
    fc.property(fc.array(cell, { minLength: 1, maxLength: 6 }), (cells) => {
      const record = csvRow(['x', ...cells]);
      t.notRegex(record, /[\r\n]/);
      const shown = cells.map((each) => (/^[=+\-@＝＋－＠]/u.test(each) ? `'${each}` : each)).map(printable);
      t.deepEqual(cellsOf(record), ['x', ...shown]);
    }),
  );
});

test('a formula is made a text, a number is not', (t) => {
  t.is(csvRow(['=HYPERLINK("x")', '+1', '-1', '@a', '＝1']), `"'=HYPERLINK(""x"")",'+1,'-1,'@a,'＝1`);
  t.is(csvRow([-5, 0, undefined, 'a-b', 'a=b']), '-5,0,,a-b,a=b');
  t.is(csvRow(['\t=1', '\r=1']), '\\u0009=1,\\u000d=1');
});

test('any event has as many cells as the header has names', (t) => {
  const names = cellsOf(EVENT_CSV_HEAD);
  fc.assert(
    fc.property(anyEvent(), (drawn) => {
      const event = { ...drawn, time: drawn.time % 1e14 };
      const cells = cellsOf(eventCsvRow(event, { json: eventToJSON(event), names: ['a', 'b'], what: 'what' }));
      t.is(cells.length, names.length);
      t.is(cells[names.indexOf('seq')], String(event.seq));
      t.is(cells[names.indexOf('transaction')], String(event.transaction.first));
      t.is(cells[names.indexOf('names')], 'a b');
      t.is(cells[names.indexOf('what')], 'what');
    }),
  );
});

test('log --format csv has a header, times in UTC, whole digests and the names of deleted images', async (t) => {
  const { done, run } = await startSession(t);
  await done('load', archive('skopeo-tiny-1.tar'));
  await done('tag', 'tiny:1', 'a:1', '--reason', '=cmd()', '--request-id', 'a,b');
  const id = (await done('resolve', 'a:1')).trim();
  await done('rm', '--force', id);
  const [head = '', ...records] = (await done('log', '--format', 'csv')).trimEnd().split('\n');
  const names = cellsOf(head);
  const rows = records.map((record) => Object.fromEntries(cellsOf(record).map((cell, at) => [names[at], cell])));
  t.like(rows[3], {
    seq: '4',
    time: '2026-01-31T12:00:00.000Z',
    transaction: '4',
    type: 'ReferenceSet',
    actor: 'tester',
    reason: "'=cmd()",
    requestId: 'a,b',
    reference: 'docker.io/library/a:1',
    image: id,
  });
  t.like(
    rows.find(({ type }) => type === 'ImageDeleted'),
    { image: id, names: 'a:1 tiny:1', transaction: '5' },
  );
  t.is(rows.length, 8);
  const only = await done('log', '--format', 'csv', '--type', 'ImageDeleted', '--quiet');
  t.regex(only, /^7,[^\n]*,a:1 tiny:1,,bd10de19d2be,,,,\n$/);
  t.is((await run('log', '--format', 'csv', '--oneline')).code, 2);
});
