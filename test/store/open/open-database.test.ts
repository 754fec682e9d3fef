import fs, { readdirSync, truncateSync } from 'node:fs';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { Database } from '../../../src/log/log.js';
import { openLevel } from '../../../src/log/leveldb/open-level.js';
import { openDatabase } from '../../../src/store/open/open-database.js';
import { openStore } from '../../../src/store/open/open-store.js';
import { imageConfig } from '../../support/image-configs.js';
import { rejection } from '../../support/rejection.js';
import { withCalls } from '../../support/replaced-calls.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';

const EVENTS = 20;

/** The log of a closed store, all of it in LevelDB's write-ahead log. */
async function closedLog(t: ExecutionContext): Promise<{ readonly directory: string; readonly location: string }> {
  const directory = join(await temporaryDirectory(t), 'store');
  const store = await openStore(directory);
  for (let at = 0; at < EVENTS; at++) await store.create(imageConfig(`${at}`));
  await store.close();
  return { directory, location: join(directory, 'log') };
}

/** Opens as LevelDB does that cannot read its write-ahead log, the first so many times: as if it were empty, and then it is gone. */
function blind(times: number): typeof openLevel {
  let left = times;
  return (location, createIfMissing): Promise<Database> => {
    const logs = readdirSync(location).filter((name) => name.endsWith('.log'));
    if (left-- > 0) for (const name of logs) truncateSync(join(location, name));
    return openLevel(location, createIfMissing);
  };
}

async function eventsIn(directory: string): Promise<number> {
  await using store = await openStore(directory, { create: false });
  let count = 0;
  for await (const event of store.log.read()) if (event.type === 'ImageCreated') count += 1;
  return count;
}

test('a write-ahead log that LevelDB fails to read, once, is put back, and nobody notices', async (t) => {
  const { directory, location } = await closedLog(t);
  const database = await openDatabase(location, false, blind(1));
  await database.close();
  t.is(await eventsIn(directory), EVENTS);
});

test('a write-ahead log that LevelDB cannot read is reported, and is there for the next opening', async (t) => {
  const { directory, location } = await closedLog(t);
  await rejection(t, 'IO_FAILED', openDatabase(location, false, blind(Number.POSITIVE_INFINITY)));
  t.is(await eventsIn(directory), EVENTS);
  t.is(await eventsIn(directory), EVENTS);
});

test('writes continue after a write-ahead log was put back', async (t) => {
  const { directory, location } = await closedLog(t);
  await (await openDatabase(location, false, blind(1))).close();
  {
    await using store = await openStore(directory, { create: false });
    await store.create(imageConfig('after'));
    t.deepEqual(await store.verify(), []);
  }
  t.is(await eventsIn(directory), EVENTS + 1);
});

/** Counts how often each file of the log at `location` is opened by Node; LevelDB opens them by itself. */
async function opened(location: string, run: () => Promise<unknown>): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  const { openSync } = fs;
  const { open } = fs.promises;
  const noting = <Rest extends unknown[], Result>(call: (path: fs.PathLike, ...rest: Rest) => Result) => {
    return (path: fs.PathLike, ...rest: Rest): Result => {
      const name = String(path).startsWith(`${location}/`) ? String(path).slice(location.length + 1) : undefined;
      if (name !== undefined) counts[name] = (counts[name] ?? 0) + 1;
      return call(path, ...rest);
    };
  };
  await withCalls({ sync: { openSync: noting(openSync) }, promises: { open: noting(open) } }, run);
  return counts;
}

test.serial('an open reads the MANIFEST and the write-ahead log once, and a reader syncs what it read', async (t) => {
  const { directory, location } = await closedLog(t);
  const names = readdirSync(location);
  const manifest = names.find((name) => name.startsWith('MANIFEST')) as string;
  const log = names.find((name) => name.endsWith('.log')) as string;
  const read = await opened(location, async () => (await openStore(directory, { readOnly: true })).close());
  t.like(read, { [manifest]: 1, [log]: 2 });
  const written = await opened(location, async () => (await openStore(directory, { create: false })).close());
  t.like(written, { [manifest]: 1, [log]: 1 });
});
