import test from 'ava';
import fc from 'fast-check';
import { Packr } from 'msgpackr';
import { decodeRecord, encodeRecord, recordValues } from '../../../src/log/record.js';
import type { StoredEvent } from '../../../src/model/events.js';
import { isRecordOf } from '../../../src/store/verify/record-check.js';
import { anyEvent } from '../../support/event-arbitraries.js';
import { idNamed } from '../../support/image-configs.js';

test('a record matches the event that it encodes', (t) => {
  fc.assert(
    fc.property(anyEvent(), (event) => {
      const record = encodeRecord(event);
      return isRecordOf(decodeRecord(record), record);
    }),
    { numRuns: 1_000 },
  );
  t.pass();
});

const event: StoredEvent = {
  seq: 300,
  time: 1_700_000_000_000,
  transaction: { first: 300, count: 1 },
  actor: 'tester',
  reason: 'é'.repeat(20),
  requestId: 'r'.repeat(40),
  type: 'ImageDeleted',
  image: idNamed('image'),
  parent: undefined,
  chainId: undefined,
};

/** A record as MessagePack would be allowed to have it: each has one value in a longer form. */
const longer: Readonly<Record<string, (record: Uint8Array) => Uint8Array>> = {
  'a number of one byte in two': (record) => replaced(record, 1, [record[1] as number], [0xcc, record[1] as number]),
  'a number of two bytes in four': (record) => replaced(record, 2, [0xcd, 1, 44], [0xce, 0, 0, 1, 44]),
  'a text with a size of a byte': (record) => replaced(record, 17, [0xa6], [0xd9, 6]),
  'an array with a size of two bytes': (record) =>
    replaced(record, 0, [record[0] as number], [0xdc, 0, (record[0] as number) & 15]),
};

function replaced(record: Uint8Array, from: number, old: readonly number[], fresh: readonly number[]): Uint8Array {
  const at = record.findIndex((_, index) => index >= from && old.every((byte, step) => record[index + step] === byte));
  return Uint8Array.from([...record.subarray(0, at), ...fresh, ...record.subarray(at + old.length)]);
}

for (const [what, change] of Object.entries(longer)) {
  test(`a longer form does not match: ${what}`, (t) => {
    const record = encodeRecord(event);
    const changed = change(record);
    t.true(changed.length > record.length);
    t.deepEqual(decodeRecord(changed), event);
    t.true(isRecordOf(event, record));
    t.false(isRecordOf(event, changed));
    t.false(isRecordOf(event, Uint8Array.from([...record, 0])));
    t.false(isRecordOf(event, record.subarray(0, -1)));
  });
}

test('values of all sizes match as msgpackr writes them', (t) => {
  const packr = new Packr({ useRecords: false });
  for (const size of [0, 31, 32, 255, 256, 30_000]) {
    const large = decodeRecord(encodeRecord({ ...event, reason: 'x'.repeat(size) }));
    const record = packr.pack(recordValues(large));
    t.true(isRecordOf(large, record), `${size}`);
  }
  for (const seq of [127, 128, 255, 256, 65_535, 65_536, 2 ** 32 - 1, 2 ** 32, 2 ** 53 - 1]) {
    const moved = { ...event, seq, transaction: { first: seq, count: 1 } };
    t.true(isRecordOf(moved, packr.pack(recordValues(moved))), `${seq}`);
  }
});
