import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import { Level } from 'level';
import { eventKey } from '../../../src/log/rows.js';
import { HASH_BYTES } from '../../../src/model/digest.js';
import { parseRecordFile, parseWriteBatch } from '../../../src/log/leveldb/log-files.js';
import { MAX_SCANNED_BYTES } from '../../../src/limits.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';

/** The write-ahead log that LevelDB makes of batches, each of one event whose value has so many bytes. */
async function writeAheadLog(t: ExecutionContext, sizes: readonly number[]): Promise<Uint8Array> {
  const location = join(await temporaryDirectory(t), 'log');
  const database = new Level<Uint8Array, Uint8Array>(location, { keyEncoding: 'view', valueEncoding: 'view' });
  for (const [at, size] of sizes.entries()) {
    await database.put(eventKey(at + 1), new Uint8Array(size).fill(at + 1, HASH_BYTES + 1), { sync: true });
  }
  await database.close();
  const name = (await readdir(location)).find((each) => each.endsWith('.log')) ?? '';
  return readFile(join(location, name));
}

/** The event that each whole record puts. */
function eventsIn(bytes: Uint8Array): number[] {
  return parseRecordFile(bytes).records.map(({ bytes: record }) => parseWriteBatch(record)?.events?.first ?? 0);
}

// Some end just before a block does, so that its end is too short for a header; some take several blocks.
const SIZES = [10, 100, 32_500, 40, 100_000, 5, 32_600, 60, 1, 2];

test('every record that LevelDB wrote is read, across blocks', async (t) => {
  const bytes = await writeAheadLog(t, SIZES);
  const { records, damaged, tornAt } = parseRecordFile(bytes);
  t.deepEqual([damaged, tornAt], [[], undefined]);
  t.deepEqual(
    records.map(({ bytes: record }) => parseWriteBatch(record)),
    SIZES.map((_, at) => ({ sequence: at + 1, count: 1, events: { first: at + 1, last: at + 1 } })),
  );
});

test('a bit that flips costs one record, and is damage where a whole one follows', async (t) => {
  const bytes = await writeAheadLog(t, SIZES);
  const offsets = parseRecordFile(bytes).records.map(({ offset }) => offset);
  const property = fc.property(fc.nat(bytes.length - 1), fc.nat(7), (byte, bit) => {
    const flipped = bytes.map((value, at) => (at === byte ? value ^ (1 << bit) : value));
    const hit = offsets.findLastIndex((offset) => offset <= byte);
    const { damaged, tornAt } = parseRecordFile(flipped);
    const found = eventsIn(flipped);
    // What fills a block behind its last record is read by nobody.
    if (damaged.length === 0 && tornAt === undefined) return found.length === SIZES.length;
    const isLast = hit === SIZES.length - 1;
    t.is(damaged.length, isLast ? 0 : 1);
    t.is(tornAt, isLast ? offsets.at(-1) : undefined);
    t.deepEqual(
      found,
      SIZES.map((_, at) => at + 1).filter((seq) => seq !== hit + 1),
    );
    return true;
  });
  fc.assert(property, { numRuns: 150 });
});

test('a file that is cut anywhere has a torn end and no damage', async (t) => {
  const bytes = await writeAheadLog(t, SIZES);
  const { records } = parseRecordFile(bytes);
  const ends = records.slice(1).map(({ offset }) => offset);
  const property = fc.property(fc.nat(bytes.length), (length) => {
    const { damaged, tornAt } = parseRecordFile(bytes.subarray(0, length));
    const whole = eventsIn(bytes.subarray(0, length));
    t.deepEqual(damaged, []);
    t.deepEqual(whole, SIZES.map((_, at) => at + 1).slice(0, whole.length));
    if (tornAt !== undefined) t.is(records[whole.length]?.offset, tornAt);
  });
  fc.assert(property, { numRuns: 150, examples: [[0], ...ends.map((end): [number] => [end])] });
});

test('zeros behind the records, as of blocks that were never written, are a torn end', async (t) => {
  const bytes = await writeAheadLog(t, [10, 20]);
  const longer = new Uint8Array(bytes.length + 70_000);
  longer.set(bytes);
  t.deepEqual(eventsIn(longer), [1, 2]);
  t.like(parseRecordFile(longer), { damaged: [], tornAt: bytes.length });
});

test('any bytes are read to their end, and give no record', (t) => {
  const property = fc.property(fc.uint8Array({ maxLength: 5_000 }), (bytes) => {
    t.deepEqual(parseRecordFile(bytes).records, []);
  });
  fc.assert(property, { numRuns: 150 });
});

test('bytes that look like headers everywhere are refused after MAX_SCANNED_BYTES', (t) => {
  // At each of them a record of 257 bytes seems to begin.
  const bytes = new Uint8Array(MAX_SCANNED_BYTES / 64).fill(1);
  t.like(parseRecordFile(bytes), { records: [], damaged: [], tornAt: 0 });
});
