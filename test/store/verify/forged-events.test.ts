import test from 'ava';
import { Packr } from 'msgpackr';
import { encodeRecord } from '../../../src/log/record.js';
import type { StoredEvent } from '../../../src/model/events.js';
import { idNamed } from '../../support/image-configs.js';
import { briefly, storeToDamage } from './damaged-store.js';

/*
 * What somebody does who has the disk and knows the format: the records are rewritten with their leaf hashes and the tree, and
 * the checkpoint and the snapshots are gone. What is left to find is what the records say.
 */

const store = storeToDamage();
const packr = new Packr({ useRecords: false });

/** Records changed by `change` give exactly these violations. */
const gives = test.macro(
  async (t, change: (event: StoredEvent) => Uint8Array | StoredEvent | undefined, ...expected: string[]) => {
    const damaged = await store(t);
    await damaged.forge(change);
    const violations = (await damaged.verify()).filter(({ code }) => !code.startsWith('INDEX_'));
    t.deepEqual(briefly(violations), [...expected].sort());
  },
);

const at =
  (seq: number, change: (event: StoredEvent) => Uint8Array | StoredEvent) =>
  (event: StoredEvent): Uint8Array | StoredEvent | undefined =>
    event.seq === seq ? change(event) : undefined;

/** The same values behind an array header of another width. */
function withLongHeader(record: Uint8Array): Uint8Array {
  if (record[0] !== 0xdc) throw new Error('the record has fewer than 16 values');
  return Uint8Array.of(0xdd, 0, 0, ...record.subarray(1));
}

test('nothing changed, nothing wrong', gives, () => undefined);
test(
  'a record in other bytes',
  gives,
  at(100, (event) => withLongHeader(encodeRecord(event))),
  'RECORD_NOT_CANONICAL event 100',
);
test(
  'bytes that are no record',
  gives,
  at(100, () => Uint8Array.of(1, 2, 3)),
  'NOT_CHECKED views',
  'RECORD_DAMAGED event 100',
);
test(
  'a record of a later format',
  gives,
  at(100, (event) => encodeRecord(event).with(1, 9)),
  'NOT_CHECKED views',
  'RECORD_DAMAGED event 100',
);
test(
  'a record in the place of another',
  gives,
  at(100, (event) => ({ ...event, seq: 99, transaction: { first: 99, count: 1 } })),
  'NOT_CHECKED views',
  'SEQ_WRONG event 100',
);
test(
  'an event that is older than the one before',
  gives,
  at(629, (event) => ({ ...event, time: 5 })),
  'TIME_DECREASED event 629',
);
test(
  'a transaction that does not end before the next',
  gives,
  at(100, (event) => ({ ...event, transaction: { first: 100, count: 2 } })),
  'TRANSACTION_BROKEN event 101',
);
test(
  'a transaction that goes beyond the log',
  gives,
  (event) =>
    event.transaction.first + event.transaction.count === 633
      ? { ...event, transaction: { ...event.transaction, count: 7 } }
      : undefined,
  'TRANSACTION_BROKEN event 632',
);
/** The record of a route that says nothing, in format 2. */
function withEmptyRoute(event: StoredEvent): Uint8Array {
  const values = packr.unpack(encodeRecord({ ...event, via: 'x' })) as unknown[];
  return packr.pack(values.with(9, [null, null, null, null]));
}

test(
  'an event with a route, which changes nothing else',
  gives,
  at(100, (event) => ({ ...event, via: 'registry', address: '192.0.2.7' })),
);
test(
  'a route in other bytes',
  gives,
  at(100, (event) => withLongHeader(encodeRecord({ ...event, agent: 'docker' }))),
  'RECORD_NOT_CANONICAL event 100',
);
test(
  'a route that says nothing, which has another record',
  gives,
  at(100, withEmptyRoute),
  'NOT_CHECKED views',
  'RECORD_DAMAGED event 100',
);
for (const field of ['via', 'address', 'agent', 'traceparent'] as const) {
  test(
    `another ${field} in the middle of a transaction`,
    gives,
    at(3, (event) => ({ ...event, [field]: 'other' })),
    'TRANSACTION_BROKEN event 3',
    'TRANSACTION_BROKEN event 4',
  );
}
test(
  'an event of another actor in the middle of a transaction',
  gives,
  at(3, (event) => ({ ...event, actor: 'mallory' })),
  'TRANSACTION_BROKEN event 3',
  'TRANSACTION_BROKEN event 4',
);
test(
  'a reference to an image that never was',
  gives,
  (event) =>
    event.type === 'ReferenceSet' && event.reason === 'release' ? { ...event, image: idNamed('never') } : undefined,
  'EVENT_CONTRADICTS event 629',
);
