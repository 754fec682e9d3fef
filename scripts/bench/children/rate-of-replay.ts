import { join } from 'node:path';
import { Level } from 'level';
import { createViews } from '../../../projections/views.js';
import { eventPages } from '../../../src/log/event-pages.js';
import { EVENT_PREFIX } from '../../../src/log/rows.js';
import { openLevel, readFailure } from '../../../src/log/leveldb/open-level.js';
import { decodeRecord } from '../../../src/log/record.js';
import type { StoredEvent } from '../../../src/model/events.js';
import { recordsOfRow } from '../inputs/written-rows.js';
import { rateOf, timeOf } from '../rounds.js';

/*
 * Folds the events of a store into new views, or only reads rows of a record each. Arguments: way, directory,
 * that of such rows, number of events. Prints events per second, by wall
 * and processor time, after one warm-up turn.
 */

const LEAST_SECONDS = 1;
const BATCH_ROWS = 1_000;

const [way, directory, rowDirectory, size] = process.argv.slice(2) as [string, string, string, string];
const events = Number(size);
const location = join(directory, 'log');

/** Each returns the number of events. */
const ways: Readonly<Record<string, () => Promise<number>>> = {
  checked: () => replay(checkedPages()),
  unchecked: () => replay(uncheckedPages()),
  iterator: takeOneByOne,
  nextv: takeInBatches,
};

const take = ways[way];
if (take === undefined) throw new RangeError(`there is no way ${way}`);
await takeAll(take);
let taken = { wall: 0, cpu: 0 };
let count = 0;
while (taken.wall < LEAST_SECONDS) {
  const { wall, cpu } = await timeOf(() => takeAll(take));
  taken = { wall: taken.wall + wall, cpu: taken.cpu + cpu };
  count += events;
}
console.log(JSON.stringify(rateOf(count, taken)));

async function takeAll(takeEvents: () => Promise<number>): Promise<void> {
  const found = await takeEvents();
  if (found !== events) throw new RangeError(`${way} gave ${found} events, expected ${events}`);
}

/** Like an open without a snapshot: pages of the log, each folded into every view. */
async function replay(pages: AsyncIterable<readonly StoredEvent[]>): Promise<number> {
  const viewSet = createViews();
  let found = 0;
  for await (const page of pages) {
    viewSet.fold(page);
    found += page.length;
  }
  return found;
}

async function* checkedPages(): AsyncGenerator<readonly StoredEvent[]> {
  const database = await openLevel(location, false);
  const failure = (cause: unknown) => readFailure(cause, false);
  yield* eventPages({ database, failure, opened: (rows) => rows }, { first: 1, last: events });
  await database.close();
}

/** Reads without checking the hash of each record. */
async function* uncheckedPages(): AsyncGenerator<readonly StoredEvent[]> {
  await using rows = await openRows(location);
  const iterator = rows.iterator();
  for (;;) {
    const batch = await iterator.nextv(BATCH_ROWS);
    if (batch.length === 0) return;
    yield batch.flatMap(([key, row]) => recordsOfRow(key, row).map((record) => decodeRecord(record)));
  }
}

/** First form in the documentation of `level`: one by one. */
async function takeOneByOne(): Promise<number> {
  await using rows = await openRows(rowDirectory);
  let found = 0;
  for await (const [key, value] of rows.iterator()) if (key.length > 0 && value.length > 0) found++;
  return found;
}

/** The form that it calls faster: many per call. */
async function takeInBatches(): Promise<number> {
  await using rows = await openRows(rowDirectory);
  const iterator = rows.iterator();
  for (let found = 0; ; ) {
    const batch = await iterator.nextv(BATCH_ROWS);
    if (batch.length === 0) return found;
    found += batch.length;
  }
}

async function openRows(path: string) {
  const level = new Level<Uint8Array, Uint8Array>(path, { keyEncoding: 'view', valueEncoding: 'view' });
  await level.open();
  const range = { gte: Uint8Array.of(EVENT_PREFIX), lt: Uint8Array.of(EVENT_PREFIX + 1) };
  return { iterator: () => level.iterator(range), [Symbol.asyncDispose]: () => level.close() };
}
