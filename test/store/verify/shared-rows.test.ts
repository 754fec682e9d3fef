import { join } from 'node:path';
import test from 'ava';
import { openLevel } from '../../../src/log/leveldb/open-level.js';
import { eventKey } from '../../../src/log/rows.js';
import { openStore } from '../../../src/store/open/open-store.js';
import { rebuildStore } from '../../../src/store/rebuild/rebuild-store.js';
import { verifyStore } from '../../../src/store/verify-store.js';
import { rejection } from '../../support/rejection.js';
import { briefly, type DamagedStore, flipped, storeToDamage } from './damaged-store.js';

/** The last event of a row of 64 in a full tile, and of one in the last tile. */
const [FULL, LAST] = [128, 576];

const store = storeToDamage();

/** Changes the row that ends with event `last`, and leaves the rows as they are otherwise. */
async function change(
  { directory }: DamagedStore,
  last: number,
  make: (row: Uint8Array) => Uint8Array | undefined,
): Promise<void> {
  const database = await openLevel(join(directory, 'log'), false);
  const row = (await database.get(eventKey(last))) as Uint8Array;
  const changed = make(Uint8Array.from(row));
  if (changed === undefined) await database.del(eventKey(last));
  else await database.put(eventKey(last), changed);
  await database.close();
}

/** The change of a row gives exactly these violations. */
const gives = test.macro(
  async (t, last: number, make: (row: Uint8Array) => Uint8Array | undefined, ...expected: string[]) => {
    const damaged = await store(t);
    await change(damaged, last, make);
    t.deepEqual(briefly(await damaged.verify()), [...expected].sort());
  },
);

test('a row of several events that is whole', gives, FULL, (row) => row);
test(
  'a record in a row of a full tile',
  gives,
  FULL,
  (row) => flipped(row, -1),
  'NOT_CHECKED views',
  'RECORD_DAMAGED events 65 to 128',
);
test(
  'a record in a row of the last tile',
  gives,
  LAST,
  (row) => flipped(row, -1),
  'NOT_CHECKED tree',
  'NOT_CHECKED views',
  'RECORD_DAMAGED events 513 to 576',
);
test('the checksum of a row of a full tile', gives, FULL, (row) => flipped(row, 3), 'LEAF_WRONG events 65 to 128');
test('the checksum of a row of the last tile', gives, LAST, (row) => flipped(row, 3), 'LEAF_WRONG events 513 to 576');
test(
  'a length in a row',
  gives,
  FULL,
  (row) => flipped(row, 34),
  'NOT_CHECKED views',
  'RECORD_DAMAGED events 65 to 128',
);
test(
  'a row cut short',
  gives,
  FULL,
  (row) => row.subarray(0, 50),
  'NOT_CHECKED views',
  'RECORD_DAMAGED events 65 to 128',
);
test('a row that is missing', gives, FULL, () => undefined, 'NOT_CHECKED views', 'RECORD_MISSING events 65 to 128');

test('no event of a damaged row is delivered, and a rebuild names all of them', async (t) => {
  const damaged = await store(t);
  await change(damaged, FULL, (row) => flipped(row, -1));
  const reader = await openStore(damaged.directory, { readOnly: true });
  t.teardown(() => reader.close());
  const seqs: number[] = [];
  const reading = async (): Promise<void> => {
    for await (const { seq } of reader.log.read()) seqs.push(seq);
  };
  t.regex((await rejection(t, 'LOG_CORRUPT', reading())).message, /events 65 to 128 do not match the checksum/);
  t.true(seqs.length <= 64);
  const { message } = await rejection(t, 'LOG_CORRUPT', rebuildStore(damaged.directory));
  t.regex(message, /events 65 to 128 can no longer be read/);
});

test('a rebuild that accepts a loss inside a row keeps the events of the row before it', async (t) => {
  const damaged = await store(t);
  await change(damaged, LAST, (row) => flipped(row, -1));
  await rebuildStore(damaged.directory, { acceptLoss: 512 });
  const reader = await openStore(damaged.directory, { readOnly: true });
  t.teardown(() => reader.close());
  t.is(reader.log.head.seq, 512);
  t.deepEqual(await verifyStore(damaged.directory), []);
});
