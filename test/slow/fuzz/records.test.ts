import { sha256 } from '#sha256';
import test from 'ava';
import fc from 'fast-check';
import { Packr } from 'msgpackr';
import { formatEventRows, parseEventRow, uncheckedRecords } from '../../../src/log/event-rows.js';
import { leafInput } from '../../../src/log/merkle.js';
import { decodeRecord, encodeRecord } from '../../../src/log/record.js';
import { anyEvent } from '../../support/event-arbitraries.js';
import { rowOf } from '../../support/event-rows.js';
import { allowedFailure } from './allowed-failure.js';
import { fuzz } from './fuzz.js';
import { mutated } from './mutations.js';

const CODES = ['LOG_CORRUPT', 'STORE_FORMAT_UNSUPPORTED'] as const;

test('a record is decoded to an event that is encoded and decoded to itself, or refused', async (t) => {
  await fuzz(
    t,
    mutated(anyEvent().map(encodeRecord)),
    async (bytes) => {
      const event = await allowedFailure(() => decodeRecord(bytes), CODES);
      if (event !== undefined) t.deepEqual(decodeRecord(encodeRecord(event)), event);
    },
    2_000,
  );
});

test('a record is read as msgpackr reads it, value by value, or refused', async (t) => {
  const packr = new Packr({ useRecords: false });
  await fuzz(
    t,
    mutated(anyEvent().map(encodeRecord)),
    async (bytes) => {
      const event = await allowedFailure(() => decodeRecord(bytes), CODES);
      if (event === undefined) return;
      // What it gives of a Buffer are Buffers.
      t.deepEqual(packr.unpack(new Uint8Array(bytes)), packr.unpack(new Uint8Array(encodeRecord(event))));
    },
    2_000,
  );
});

test('the row of an event whose bytes were changed is refused, also with a right hash over a record of another seq', async (t) => {
  await fuzz(t, mutated(anyEvent().map((event) => rowOf(encodeRecord(event)))), async (row) => {
    const seq = 7;
    const event = await allowedFailure(() => parseEventRow(row, seq), CODES);
    t.true(event === undefined || event.seq === seq);
  });
});

test('a row of several events whose bytes were changed is refused, also with a right checksum', async (t) => {
  const rowOfFour = fc.array(anyEvent(), { minLength: 4, maxLength: 4 }).map(
    (events) =>
      formatEventRows(
        5,
        events.map((event, at) => encodeRecord({ ...event, seq: 5 + at, transaction: { first: 5, count: 4 } })),
      )[0]?.value ?? new Uint8Array(0),
  );
  await fuzz(t, mutated(rowOfFour), async (row) => {
    const input = row.subarray(32);
    for (const value of [row, Uint8Array.from([...sha256(input), ...input])]) {
      for (const seq of [5, 8]) {
        const event = await allowedFailure(() => parseEventRow(value, seq), CODES);
        t.true(event === undefined || event.seq === seq);
      }
      t.true(uncheckedRecords(value, { after: 0, last: 8 }).every(({ seq }) => seq <= 8));
    }
  });
});

test('a row with a right hash over any record gives the event of its seq, or is refused', async (t) => {
  await fuzz(t, mutated(anyEvent().map(encodeRecord)), async (record) => {
    const input = leafInput(record);
    const row = Uint8Array.from([...sha256(input), ...input]);
    const seq = (await allowedFailure(() => decodeRecord(record), CODES))?.seq ?? 1;
    const event = await allowedFailure(() => parseEventRow(row, seq), CODES);
    t.true(event === undefined || event.seq === seq);
    t.is(await allowedFailure(() => parseEventRow(row, seq + 1), CODES), undefined);
  });
});
