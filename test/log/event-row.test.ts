import test from 'ava';
import fc from 'fast-check';
import { parseEventRow } from '../../src/log/event-rows.js';
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
