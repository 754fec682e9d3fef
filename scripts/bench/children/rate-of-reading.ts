import { Level } from 'level';
import { EVENT_PREFIX } from '../../../src/log/rows.js';
import { openLife } from '../inputs/life-log.js';
import { rateOf, timeOf } from '../rounds.js';

/*
 * Reads the events of a store in one way. Arguments: way, directory, that of rows of a record each, number of events. Prints
 * events per second, by wall and processor time, after a warm-up.
 */

/** Reads at least the first `limit` events; returns how many there were. */
interface Reader extends AsyncDisposable {
  read(limit: number): Promise<number>;
}

const WARM_UP_EVENTS = 100_000;
const LEAST_SECONDS = 1;
const BATCH_ROWS = 1_000;

const [way, directory, rowDirectory, size] = process.argv.slice(2) as [string, string, string, string];
const events = Number(size);
await using reader = await openReader();
for (let done = 0; done < WARM_UP_EVENTS; ) done += await readAll(Math.min(events, WARM_UP_EVENTS));
let taken = { wall: 0, cpu: 0 };
let count = 0;
while (taken.wall < LEAST_SECONDS) {
  const { wall, cpu } = await timeOf(() => readAll(events));
  taken = { wall: taken.wall + wall, cpu: taken.cpu + cpu };
  count += events;
}
console.log(JSON.stringify(rateOf(count, taken)));

async function readAll(limit: number): Promise<number> {
  const found = await reader.read(limit);
  if (found < limit) throw new RangeError(`${way} gave ${found} events, expected ${limit}`);
  return found;
}

async function openReader(): Promise<Reader> {
  switch (way) {
    case 'follow':
      return openStoreReader((store, limit) => take(store.log.follow({ from: 1 }), limit));
    case 'read':
      return openStoreReader((store, limit) => take(store.log.read({ to: limit }), limit));
    case 'iterator':
      return openLevelReader(takeOneByOne);
    case 'nextv':
      return openLevelReader(takeInBatches);
    default:
      throw new RangeError(`there is no way ${way}`);
  }
}

async function openStoreReader(
  read: (store: Awaited<ReturnType<typeof openLife>>, limit: number) => Promise<number>,
): Promise<Reader> {
  const store = await openLife(directory);
  return { read: (limit) => read(store, limit), [Symbol.asyncDispose]: () => store.close() };
}

type Rows = ReturnType<typeof rowsOf>;

async function openLevelReader(read: (rows: Rows) => Promise<number>): Promise<Reader> {
  const level = new Level<Uint8Array, Uint8Array>(rowDirectory, { keyEncoding: 'view', valueEncoding: 'view' });
  await level.open();
  return { read: () => read(rowsOf(level)), [Symbol.asyncDispose]: () => level.close() };
}

/** Of all events, however few are asked for. */
function rowsOf(level: Level<Uint8Array, Uint8Array>) {
  return level.iterator({ gte: Uint8Array.of(EVENT_PREFIX), lt: Uint8Array.of(EVENT_PREFIX + 1) });
}

/** Takes `limit` events: a follower would wait for more. */
async function take(items: AsyncIterable<unknown>, limit: number): Promise<number> {
  let found = 0;
  for await (const item of items) {
    if (item !== undefined) found++;
    if (found === limit) break;
  }
  return found;
}

/** First form in the documentation of `level`: one by one. */
async function takeOneByOne(rows: Rows): Promise<number> {
  let found = 0;
  for await (const [key, value] of rows) if (key.length > 0 && value.length > 0) found++;
  return found;
}

/** The form that it calls faster: many per call. */
async function takeInBatches(rows: Rows): Promise<number> {
  let found = 0;
  try {
    for (;;) {
      const batch = await rows.nextv(BATCH_ROWS);
      if (batch.length === 0) return found;
      found += batch.length;
    }
  } finally {
    await rows.close();
  }
}
