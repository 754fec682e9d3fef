import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import { Level } from 'level';
import { eventKey } from '../../../src/log/rows.js';
import { tableFaults } from '../../../src/log/leveldb/table.js';
import { unsnappy } from '../../../src/log/leveldb/coding.js';
import { MAX_TABLE_INDEX_BYTES } from '../../../src/limits.js';
import { bytesOf } from '../../support/text-bytes.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';

/** The largest table that LevelDB makes of so many events. */
async function tableOf(t: ExecutionContext, count: number, compression: boolean): Promise<Uint8Array> {
  const location = join(await temporaryDirectory(t), 'log');
  const database = new Level<Uint8Array, Uint8Array>(location, {
    keyEncoding: 'view',
    valueEncoding: 'view',
    compression,
  });
  await database.open();
  const batch = database.batch();
  for (let seq = 1; seq <= count; seq++) batch.put(eventKey(seq), bytesOf(`event ${seq}, and again ${seq} `.repeat(5)));
  await batch.write();
  await (database as unknown as { compactRange(from: Uint8Array, to: Uint8Array): Promise<void> }).compactRange(
    eventKey(0),
    eventKey(count),
  );
  await database.close();
  const names = (await readdir(location)).filter((name) => name.endsWith('.ldb'));
  const tables = await Promise.all(names.map((name) => readFile(join(location, name))));
  return tables.sort((a, b) => b.length - a.length)[0] ?? new Uint8Array();
}

for (const compression of [true, false]) {
  test(`a table that LevelDB wrote ${compression ? 'compressed' : 'plain'} is whole, and a flipped bit is found with the events around it`, async (t) => {
    const table = await tableOf(t, 4_000, compression);
    t.true(table.length > 20_000);
    t.deepEqual(tableFaults(table), []);
    const found = new Set<string>();
    const property = fc.property(fc.nat(table.length - 1), fc.nat(7), (byte, bit) => {
      const flipped = Uint8Array.from(table);
      flipped[byte] = (flipped[byte] as number) ^ (1 << bit);
      const faults = tableFaults(flipped);
      if (faults.length === 0) return byte >= table.length - 48;
      const [{ isWholeTable, events, message } = { isWholeTable: false, events: undefined, message: '' }] = faults;
      found.add(message);
      // A block of 4 KiB holds some of the events, and its neighbours are named with it at the most. Where the last block ends is not said.
      if (faults.length !== 1) return false;
      return isWholeTable || (events !== undefined && Math.min(events.last, 4_000) - events.first < 400);
    });
    fc.assert(property, { numRuns: 200 });
    t.true(found.size > 10);
  });
}

test('a table that is cut anywhere, and any bytes, are not a whole table', async (t) => {
  const table = await tableOf(t, 500, true);
  for (let length = 0; length < table.length; length += 97) {
    t.true(tableFaults(table.subarray(0, length)).every(({ isWholeTable }) => isWholeTable));
    t.is(tableFaults(table.subarray(0, length)).length, 1);
  }
  fc.assert(fc.property(fc.uint8Array(), (bytes) => tableFaults(bytes).length === 1));
});

test('Snappy: literals and copies, also into what they give', (t) => {
  const text = (...bytes: number[]): string | undefined => {
    const plain = unsnappy(Uint8Array.from(bytes), MAX_TABLE_INDEX_BYTES);
    return plain === undefined ? undefined : new TextDecoder().decode(plain);
  };
  t.is(text(0), '');
  t.is(text(3, 2 << 2, 0x61, 0x62, 0x63), 'abc');
  t.is(text(9, 1 << 2, 0x61, 0x62, (6 << 2) | 2, 2, 0), 'ababababa');
  t.is(text(6, 1 << 2, 0x61, 0x62, 1, 2), 'ababab');
  t.is(text(6, 1 << 2, 0x61, 0x62, (3 << 2) | 3, 2, 0, 0, 0), 'ababab');
  t.is(text(3, 60 << 2, 2, 0x61, 0x62, 0x63), 'abc');
  // A copy from before the beginning, of nothing, beyond the size; a size that is not reached, or is not there.
  for (const bytes of [[4, 1], [5, 0, 0x61, 1, 0], [3, 0, 0x61, 1, 1], [3, 0, 0x61], []])
    t.is(text(...bytes), undefined);
});

test('Snappy: a size beyond the limit is refused before it is allocated', (t) => {
  t.is(unsnappy(Uint8Array.of(0xff, 0xff, 0xff, 0xff, 0x0f), MAX_TABLE_INDEX_BYTES), undefined);
  fc.assert(
    fc.property(fc.uint8Array(), (bytes) => (unsnappy(bytes, 1_000)?.length ?? 0) <= 1_000),
    { numRuns: 2_000 },
  );
});
