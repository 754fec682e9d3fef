import test from 'ava';
import fc from 'fast-check';
import { Packr } from 'msgpackr';
import { isStoreError } from '../../src/errors.js';
import { MAX_RECORD_BYTES } from '../../src/limits.js';
import { decodeRecord, encodeRecord, RECORD_FORMAT } from '../../src/log/record.js';
import type { EventType, StoredEvent } from '../../src/model/events.js';
import { eventTypes } from '../../src/model/event-table.js';
import { bytesToHex } from '../../src/model/digest.js';
import { anyEvent, bodyArbitraries } from '../support/event-arbitraries.js';
import { idNamed } from '../support/image-configs.js';
import { storeError } from '../support/store-error.js';
import { creationOf, eventsFrom } from '../support/stored-event.js';

const packr = new Packr({ useRecords: false });

/** The values of a good record, each row of a test changes some of them. */
function valuesOf(event: StoredEvent = created): unknown[] {
  return packr.unpack(encodeRecord(event)) as unknown[];
}

const [created] = eventsFrom(5, [creationOf('a'), creationOf('b')]) as [StoredEvent];

test('every type of event has an arbitrary, so that a new type is tested too', (t) => {
  t.deepEqual(Object.keys(bodyArbitraries).sort(), [...eventTypes].sort());
});

const comesBack = test.macro({
  exec(t, type: EventType) {
    fc.assert(
      fc.property(anyEvent(bodyArbitraries[type]), (event) => {
        const record = encodeRecord(event);
        t.deepEqual(decodeRecord(record), event);
        t.is(bytesToHex(encodeRecord(decodeRecord(record))), bytesToHex(record));
      }),
      { numRuns: 60 },
    );
    t.pass();
  },
  title: (_, type) => `a record of ${type} decodes to the event that was encoded`,
});

for (const type of eventTypes) test(comesBack, type);

test('a decoded value shares no bytes with its record', (t) => {
  const [event] = eventsFrom(1, [{ type: 'MetadataSet', image: idNamed('a'), key: 'k', value: Uint8Array.of(7, 7) }]);
  const record = new Uint8Array(encodeRecord(event as StoredEvent));
  const decoded = decodeRecord(record);
  record.fill(0);
  t.deepEqual(decoded.type === 'MetadataSet' && decoded.value, Uint8Array.of(7, 7));
});

const refuses = test.macro({
  exec(t, values: unknown, code: 'LOG_CORRUPT' | 'STORE_FORMAT_UNSUPPORTED', pattern: RegExp) {
    t.regex(storeError(t, code, () => decodeRecord(packr.pack(values))).message, pattern);
  },
  title: (given = '') => `a record with ${given} is refused by name`,
});

function changed(at: number, value: unknown): unknown[] {
  return valuesOf().with(at, value);
}

/** The values of a record with a route. */
function routed(route: unknown): unknown[] {
  return valuesOf().with(0, 2).toSpliced(9, 0, route);
}

test(
  'a newer format',
  refuses,
  changed(0, RECORD_FORMAT + 1),
  'STORE_FORMAT_UNSUPPORTED',
  /format 3; this version reads up to 2$/,
);
test('a format of text', refuses, changed(0, '1'), 'LOG_CORRUPT', /field format/);
test('an unknown type', refuses, changed(3, 200), 'STORE_FORMAT_UNSUPPORTED', /event type 200/);
test('a seq that is a fraction', refuses, changed(1, 1.5), 'LOG_CORRUPT', /field seq/);
test('a negative seq', refuses, changed(1, -1), 'LOG_CORRUPT', /field seq/);
test('a seq beyond 2^53', refuses, changed(1, 2n ** 60n), 'LOG_CORRUPT', /field seq/);
test('a time that is not a number', refuses, changed(2, Number.NaN), 'LOG_CORRUPT', /field time/);
test(
  'a clock that is not behind the time',
  refuses,
  changed(2, [1_000, 1_000]),
  'LOG_CORRUPT',
  /field time has a clock/,
);
test('a time of one value', refuses, changed(2, [1_000]), 'LOG_CORRUPT', /field time/);
test('a time of three values', refuses, changed(2, [1_000, 1, 1]), 'LOG_CORRUPT', /field time|length/);
test('a clock of text', refuses, changed(2, [1_000, '1']), 'LOG_CORRUPT', /field time/);
test('a transaction after its own event', refuses, changed(4, 6), 'LOG_CORRUPT', /field transaction/);
test('a transaction before its own event', refuses, changed(5, 0), 'LOG_CORRUPT', /field transaction/);
test('a transaction from seq 0', refuses, changed(4, 0), 'LOG_CORRUPT', /field transaction/);
test('no actor', refuses, changed(6, null), 'LOG_CORRUPT', /field actor/);
test('a reason that is a number', refuses, changed(7, 3), 'LOG_CORRUPT', /field reason/);
test('a digest of 31 bytes', refuses, changed(9, new Uint8Array(31)), 'LOG_CORRUPT', /field image is 31 bytes/);
test('a digest of text', refuses, changed(9, 'sha256:'), 'LOG_CORRUPT', /field image/);
test('a value too many', refuses, [...valuesOf(), null], 'LOG_CORRUPT', /length is 17, expected 16/);
test('a value too few', refuses, valuesOf().slice(0, -1), 'LOG_CORRUPT', /field created/);
test('no values', refuses, [], 'LOG_CORRUPT', /field format/);
test(
  'a route that says nothing, whose event has a record of format 1',
  refuses,
  routed([null, null, null, null]),
  'LOG_CORRUPT',
  /field route says nothing/,
);
test('a route of three values', refuses, routed(['a', null, null]), 'LOG_CORRUPT', /field traceparent|length/);
test(
  'a route of five values',
  refuses,
  routed(['a', null, null, null, null]),
  'LOG_CORRUPT',
  /length is 5, expected 4/,
);
test('no values of a route', refuses, routed([]), 'LOG_CORRUPT', /field via|length/);
test('a route of text', refuses, routed('registry'), 'LOG_CORRUPT', /field route is not an array/);
test('a route that is nil', refuses, routed(null), 'LOG_CORRUPT', /field route is not an array/);
test('a way that is a number', refuses, routed([1, null, null, null]), 'LOG_CORRUPT', /field via/);
test('a route in format 1', refuses, routed(['a', null, null, null]).with(0, 1), 'LOG_CORRUPT', /field image/);
test('format 2 and no route', refuses, changed(0, 2), 'LOG_CORRUPT', /field route/);
test('a map for its array', refuses, { format: 1 }, 'LOG_CORRUPT', /not a MessagePack array/);
test('a date of an extension type', refuses, changed(2, new Date(0)), 'LOG_CORRUPT', /field time/);

test('a record cut short anywhere is damaged', (t) => {
  const record = encodeRecord(created);
  for (let length = 0; length < record.length; length++) {
    storeError(t, 'LOG_CORRUPT', () => decodeRecord(record.subarray(0, length)), `${length} bytes`);
  }
});

test('a record with a byte too many is damaged', (t) => {
  storeError(t, 'LOG_CORRUPT', () => decodeRecord(Uint8Array.of(...encodeRecord(created), 0)));
});

test('any bytes decode or throw a StoreError, and the next record is read as before', (t) => {
  const record = new Uint8Array(encodeRecord(created));
  const decoded = decodeRecord(record);
  const bytes = fc.oneof(
    fc.uint8Array({ maxLength: 60 }),
    // A good record with one byte changed meets more of the decoder.
    fc
      .tuple(fc.nat({ max: record.length - 1 }), fc.nat({ max: 255 }))
      .map(([at, byte]) => record.slice().fill(byte, at, at + 1)),
  );
  fc.assert(
    fc.property(bytes, (input) => {
      try {
        decodeRecord(input);
      } catch (error) {
        if (!isStoreError(error)) throw error;
      }
      t.deepEqual(decodeRecord(record), decoded);
    }),
    { numRuns: 300 },
  );
});

test('a record that defines a structure of msgpackr does not change how later ones are read', (t) => {
  // Extension 0x72 defines record structure 0x40; 0x40 is also the number 64.
  const hostile = Uint8Array.of(0xd4, 0x72, 0x40, 0x91, 0xa1, 0x61, 0x01);
  storeError(t, 'LOG_CORRUPT', () => decodeRecord(hostile));
  const [event] = eventsFrom(64, [creationOf('a')], 64) as [StoredEvent];
  const { seq, time, transaction } = decodeRecord(encodeRecord(event));
  t.deepEqual({ seq, time, transaction }, { seq: 64, time: 64, transaction: { first: 64, count: 1 } });
});

test('a record has 65,535 bytes at the most', (t) => {
  const [empty] = eventsFrom(1, [{ type: 'MetadataSet', image: idNamed('a'), key: 'k', value: new Uint8Array(300) }]);
  const overhead = encodeRecord(empty as StoredEvent).length - 300;
  const eventOf = (size: number): StoredEvent => ({ ...empty, value: new Uint8Array(size) }) as StoredEvent;
  t.is(encodeRecord(eventOf(MAX_RECORD_BYTES - overhead)).length, MAX_RECORD_BYTES);
  const error = storeError(t, 'RECORD_TOO_LARGE', () => encodeRecord(eventOf(MAX_RECORD_BYTES - overhead + 1)));
  t.deepEqual(error.data, { type: 'MetadataSet', size: MAX_RECORD_BYTES + 1, limit: MAX_RECORD_BYTES });
});
