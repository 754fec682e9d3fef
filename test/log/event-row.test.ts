import test from 'ava';
import fc from 'fast-check';
import {
  formatEventRows,
  lastRowEnd,
  lowestOfRow,
  openEventRow,
  parseEventRow,
  rowEnds,
  spanOfKey,
  spanOfRow,
  wholeEntries,
} from '../../src/log/event-rows.js';
import { seqOfKey } from '../../src/log/rows.js';
import { leafHash } from '../../src/log/merkle.js';
import { encodeRecord } from '../../src/log/record.js';
import { bytesToHex } from '../../src/model/digest.js';
import type { StoredEvent } from '../../src/model/events.js';
import { sha256 as nodeSha256 } from '../../src/model/sha256-node.js';
import { sha256 as portableSha256 } from '../../src/model/sha256-portable.js';
import { anyEvent } from '../support/event-arbitraries.js';
import { rowOf } from '../support/event-rows.js';
import { storeError } from '../support/store-error.js';
import { creationOf, eventsFrom } from '../support/stored-event.js';

const [event] = eventsFrom(7, [creationOf('a')]) as [StoredEvent];
const row = rowOf(encodeRecord(event));

test('a row is the leaf hash, a zero byte and the record', (t) => {
  const record = encodeRecord(event);
  t.deepEqual(new Uint8Array(row), Uint8Array.of(...leafHash(record), 0, ...record));
});

test('a row gives the event back', (t) => {
  fc.assert(
    fc.property(anyEvent(), (stored) => {
      t.deepEqual(parseEventRow(rowOf(encodeRecord(stored)), stored.seq), stored);
    }),
  );
});

test('each flipped bit of a row is found', (t) => {
  for (let bit = 0; bit < row.length * 8; bit++) {
    const damaged = row.slice();
    damaged[bit >> 3] = (row[bit >> 3] as number) ^ (1 << (bit & 7));
    storeError(t, 'LOG_CORRUPT', () => parseEventRow(damaged, 7), `bit ${bit}`);
  }
});

/** A batch of creations from event `first` on. */
function recordsFrom(first: number, count: number): Uint8Array[] {
  const bodies = Array.from({ length: count }, (_, at) => creationOf(`${first + at}`));
  return eventsFrom(first, bodies).map(encodeRecord);
}

test('a batch has rows of as many events as alignment allows, which have every event once, under the key of the last', (t) => {
  t.deepEqual(
    formatEventRows(60, recordsFrom(60, 140)).map(({ key }) => seqOfKey(key)),
    [60, 64, 128, 192, 196, 198, 199],
  );
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 300 }), fc.integer({ min: 1, max: 150 }), (first, count) => {
      const records = recordsFrom(first, count);
      const rows = formatEventRows(first, records);
      const found = rows.flatMap(({ key, value }) => wholeEntries([key, value]));
      t.deepEqual(
        found.map(({ event }) => event.seq),
        records.map((_, at) => first + at),
      );
      t.deepEqual(
        found.map(({ record }) => bytesToHex(record)),
        records.map(bytesToHex),
      );
      t.deepEqual(
        rows.flatMap(({ leaves }) => leaves),
        records.map(leafHash),
      );
      const byEnd = new Map(rows.map(({ key, value }) => [seqOfKey(key), value]));
      for (let seq = first; seq < first + count; seq += 1) {
        const end = rowEnds(seq).find((each) => byEnd.has(each)) ?? 0;
        const value = byEnd.get(end) as Uint8Array;
        t.is(parseEventRow(value, seq).seq, seq);
        t.deepEqual(spanOfRow(value, seq), spanOfKey(value, end));
        t.true(lowestOfRow(end) <= spanOfKey(value, end).first);
        t.true(end <= lastRowEnd(seq));
      }
    }),
    { numRuns: 60 },
  );
});

test('a row of several events is no larger than a read of one of them may be', (t) => {
  const bodies = Array.from({ length: 64 }, () => creationOf('x'));
  const records = eventsFrom(1, bodies).map((each) => encodeRecord({ ...each, reason: 'r'.repeat(3_000) }));
  const rows = formatEventRows(1, records);
  t.is(rows.length, 16);
  for (const { value } of rows) t.true(value.length < 16 * 1024 + 300);
});

test('each flipped bit of a row of several events is found, in each of them', (t) => {
  const [{ key, value } = { key: new Uint8Array(), value: new Uint8Array() }] = formatEventRows(1, recordsFrom(1, 4));
  t.is(seqOfKey(key), 4);
  for (let bit = 0; bit < value.length * 8; bit++) {
    const damaged = value.slice();
    damaged[bit >> 3] = (value[bit >> 3] as number) ^ (1 << (bit & 7));
    for (const seq of [1, 4]) storeError(t, 'LOG_CORRUPT', () => parseEventRow(damaged, seq), `bit ${bit}`);
    t.deepEqual(wholeEntries([key, damaged]), []);
  }
  for (let length = 0; length < value.length; length++) {
    storeError(t, 'LOG_CORRUPT', () => parseEventRow(value.subarray(0, length), 2), `${length} bytes`);
  }
  storeError(t, 'LOG_CORRUPT', () => parseEventRow(value, 6));
});

test('an event that is asked of a row that has others is missing', (t) => {
  const [{ value } = { value: new Uint8Array() }] = formatEventRows(5, recordsFrom(5, 4));
  const eventOf = openEventRow(value, 7);
  t.is(eventOf(5).seq, 5);
  for (const seq of [4, 9]) {
    t.is(
      storeError(t, 'LOG_CORRUPT', () => eventOf(seq)).message,
      `event ${seq} of the log is damaged: its row is missing`,
    );
  }
});

test('a row cut short anywhere is found', (t) => {
  for (let length = 0; length < row.length; length++) {
    storeError(t, 'LOG_CORRUPT', () => parseEventRow(row.subarray(0, length), 7), `${length} bytes`);
  }
});

test('a whole row that stands at another seq is found', (t) => {
  const error = storeError(t, 'LOG_CORRUPT', () => parseEventRow(row, 8));
  t.is(error.message, 'event 8 of the log is damaged: the record says seq 7');
  t.deepEqual(error.data, { seq: 8 });
});

test('the leaf hash is that of RFC 6962', (t) => {
  const hex = (record: Uint8Array): string => bytesToHex(leafHash(record));
  // The leaves of the test tree that the Go and C++ implementations of certificate transparency share.
  t.is(hex(new Uint8Array()), '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d');
  t.is(hex(Uint8Array.of(0)), '96a296d224f285c67bee93c30f8a309157f0daa35dc5b87e410b78630a09cfc7');
  t.is(hex(Uint8Array.of(0x10)), '0298d122906dcfc10892cb53a73992fc5b9f493ea4c9badb27b791b4127a7fe7');
});

test('Node hashes as the portable hash does', (t) => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 400 }), (bytes) => {
      t.deepEqual(nodeSha256(bytes), portableSha256(bytes));
    }),
  );
});
