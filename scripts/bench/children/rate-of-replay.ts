import { join } from 'node:path';
import { Level } from 'level';
import { createViews } from '../../../projections/views.js';
import { eventPages } from '../../../src/log/event-pages.js';
import { EVENT_PREFIX } from '../../../src/log/rows.js';
import { openLevel, readFailure } from '../../../src/log/open-level.js';
import { HASH_BYTES, type Sha256 } from '../../../src/model/digest.js';
import { nodeSha256 } from '../../../src/store/files/files.js';
import { secondsOf } from '../rounds.js';

/*
 * Folds the events of a store into new views, or only takes their rows, in one way: takes the way, the store's directory and how many
 * events it has. Prints how many it does in a second, after one turn that compiles the code.
 */

const LEAST_SECONDS = 1;
const BATCH_ROWS = 1_000;

const [way, directory, size] = process.argv.slice(2) as [string, string, string];
const events = Number(size);
const location = join(directory, 'log');

/** Passes every record: it gives the hash that stands before the record in its row. What reading costs without the hash, for this only. */
const storedHash: Sha256 = (input) => new Uint8Array(input.buffer, input.byteOffset - HASH_BYTES, HASH_BYTES);

/** Returns how many events it took. */
const ways: Readonly<Record<string, () => Promise<number>>> = {
  checked: () => replay(nodeSha256),
  unchecked: () => replay(storedHash),
  iterator: takeOneByOne,
  nextv: takeInBatches,
};

const take = ways[way];
if (take === undefined) throw new RangeError(`there is no way ${way}`);
await takeAll(take);
let seconds = 0;
let count = 0;
while (seconds < LEAST_SECONDS) {
  seconds += await secondsOf(() => takeAll(take));
  count += events;
}
console.log(JSON.stringify({ eventsPerSecond: count / seconds }));

async function takeAll(takeEvents: () => Promise<number>): Promise<void> {
  const found = await takeEvents();
  if (found !== events) throw new RangeError(`${way} gave ${found} events, expected ${events}`);
}

/** As an open without a snapshot does: pages of the log, each folded into every view. */
async function replay(hash: Sha256): Promise<number> {
  const database = await openLevel(location, false);
  const source = {
    database,
    hash,
    failure: (cause: unknown) => readFailure(cause, false),
    opened: <Rows>(rows: Rows) => rows,
  };
  const viewSet = createViews();
  let found = 0;
  for await (const page of eventPages(source, { first: 1, last: events })) {
    viewSet.fold(page);
    found += page.length;
  }
  await database.close();
  return found;
}

/** As the documentation of `level` shows it: one after another. */
async function takeOneByOne(): Promise<number> {
  await using rows = await openRows();
  let found = 0;
  for await (const [key, value] of rows.iterator()) if (key.length > 0 && value.length > 0) found++;
  return found;
}

/** As it says that it can be faster: many with one call. */
async function takeInBatches(): Promise<number> {
  await using rows = await openRows();
  const iterator = rows.iterator();
  for (let found = 0; ; ) {
    const batch = await iterator.nextv(BATCH_ROWS);
    if (batch.length === 0) return found;
    found += batch.length;
  }
}

async function openRows() {
  const level = new Level<Uint8Array, Uint8Array>(location, { keyEncoding: 'view', valueEncoding: 'view' });
  await level.open();
  const range = { gte: Uint8Array.of(EVENT_PREFIX), lt: Uint8Array.of(EVENT_PREFIX + 1) };
  return { iterator: () => level.iterator(range), [Symbol.asyncDispose]: () => level.close() };
}
