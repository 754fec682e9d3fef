import { join } from 'node:path';
import test from 'ava';
import { Packr } from 'msgpackr';
import { formatPosition, parsePosition, positionKey } from '../../src/log/rows.js';
import { rejection } from '../support/rejection.js';
import { storeError } from '../support/store-error.js';
import { creationOf, entriesOf, eventsFrom } from '../support/stored-event.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { openTestLog, tamper } from '../support/test-log.js';

test('a position is written with events or alone, read, replaced and forgotten', async (t) => {
  const location = join(await temporaryDirectory(t), 'log');
  const log = await openTestLog(t, location);
  t.is(log.position('mirror'), undefined);
  const entries = entriesOf(eventsFrom(1, [creationOf('a')]));
  await log.append({
    expectedHead: 0,
    entries,
    content: new Map(),
    positions: new Map([
      ['mirror', { seq: 0, time: 5 }],
      ['über', { seq: 1, time: 6 }],
    ]),
  });
  await log.append({
    expectedHead: 1,
    entries: [],
    content: new Map(),
    positions: new Map([['mirror', { seq: 1, time: 7 }]]),
  });
  t.is(log.head.seq, 1);
  await log.close();
  const again = await openTestLog(t, location, { createIfMissing: false });
  t.deepEqual(again.position('mirror'), { seq: 1, time: 7 });
  t.deepEqual(
    await again.positions(),
    new Map([
      ['mirror', { seq: 1, time: 7 }],
      ['über', { seq: 1, time: 6 }],
    ]),
  );
  await again.append({ expectedHead: 1, entries: [], content: new Map(), positions: new Map([['mirror', undefined]]) });
  t.deepEqual([...(await again.positions()).keys()], ['über']);
});

test('a position of a newer version is refused, and a damaged one is reported', async (t) => {
  const packr = new Packr({ useRecords: false });
  t.deepEqual(parsePosition(formatPosition({ seq: 3, time: 4 })), { seq: 3, time: 4 });
  t.deepEqual([...formatPosition({ seq: 3, time: 4 })], [...packr.pack([1, 3, 4])], 'as it was without a filter');
  t.deepEqual(parsePosition(formatPosition({ seq: 3, time: 4, filter: '{}' })), { seq: 3, time: 4, filter: '{}' });
  storeError(t, 'STORE_FORMAT_UNSUPPORTED', () => parsePosition(packr.pack([2, 3, 4])));
  for (const bad of [
    packr.pack([1, 3]),
    packr.pack([1, 3, 4, 5]),
    packr.pack([1, 3, 4, '{}', 5]),
    packr.pack([1, -1, 4]),
    packr.pack('x'),
    new Uint8Array(),
  ]) {
    storeError(t, 'LOG_CORRUPT', () => parsePosition(bad));
  }
  const location = join(await temporaryDirectory(t), 'log');
  const log = await openTestLog(t, location);
  await log.close();
  await tamper(location, (database) => database.put(positionKey('mirror'), Uint8Array.of(0xc1)));
  const again = await openTestLog(t, location, { createIfMissing: false });
  storeError(t, 'LOG_CORRUPT', () => again.position('mirror'));
  await rejection(t, 'LOG_CORRUPT', again.positions());
});
