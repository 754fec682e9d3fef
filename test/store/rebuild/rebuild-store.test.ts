import { appendFile, cp, mkdir, readdir, readFile, rename, rm, stat, truncate, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { CONTENT_PREFIX, contentKey, eventKey, SUBJECT_PREFIX, treeKey } from '../../../src/log/rows.js';
import { parseEventRow } from '../../../src/log/event-rows.js';
import { LevelLog } from '../../../src/log/leveldb/level-log.js';
import { parseRecordFile } from '../../../src/log/leveldb/log-files.js';
import { encodeRecord } from '../../../src/log/record.js';
import { entriesOf, eventsFrom } from '../../support/stored-event.js';
import { bytesToHex, type ImageId } from '../../../src/model/digest.js';
import type { EventStore } from '../../../src/store/event-store.js';
import { openStore } from '../../../src/store/open/open-store.js';
import type { RebuildProgress } from '../../../src/store/rebuild/rebuild.js';
import { rebuildStore } from '../../../src/store/rebuild/rebuild-store.js';
import { verifyStore } from '../../../src/store/verify-store.js';
import { rowOf } from '../../support/event-rows.js';
import { imageConfig } from '../../support/image-configs.js';
import { rejection } from '../../support/rejection.js';
import { stateOf } from '../../support/store-state.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';
import { tamper } from '../../support/test-log.js';

/** A closed store of some 580 events with tags, a deletion and a consumer, and what it answers. */
interface Closed {
  readonly directory: string;
  readonly log: string;
  readonly answers: unknown;
}

async function answersOf(store: EventStore): Promise<unknown> {
  const events: unknown[] = [];
  for await (const event of store.log.read()) events.push(event);
  const { seq, time, root } = store.log.head;
  const history: number[] = [];
  for await (const event of store.history('docker.io/shop/app:1')) history.push(event.seq);
  return [seq, time, bytesToHex(root), events.length, history, JSON.stringify(stateOf(store)), await store.consumers()];
}

async function closedStore(t: ExecutionContext): Promise<Closed> {
  const directory = join(await temporaryDirectory(t), 'store');
  const store = await openStore(directory, { actor: 'tester' });
  const ids = await Promise.all(Array.from({ length: 290 }, (_, at) => store.create(imageConfig(`image ${at}`))));
  await Promise.all(ids.map((id, at) => store.setMetadata(id, 'key', Uint8Array.of(at & 0xff))));
  await store.tag({ source: ids[3] as ImageId, target: 'shop/app:1' });
  await store.tag({ source: ids[4] as ImageId, target: 'shop/app:1' });
  await store.delete(ids[7] as ImageId);
  const consumer = store.consumer('reader', { from: 1 });
  for await (const event of consumer) {
    await consumer.ack(event);
    if (event.seq === 5) break;
  }
  await store.close();
  return { directory, log: join(directory, 'log'), answers: await answersAgain(directory) };
}

async function answersAgain(directory: string): Promise<unknown> {
  const store = await openStore(directory, { create: false });
  const answers = await answersOf(store);
  await store.close();
  return answers;
}

async function filesOf(log: string, pattern: RegExp): Promise<string[]> {
  return (await readdir(log)).filter((name) => pattern.test(name)).map((name) => join(log, name));
}

/** Has every row in a table, and the write-ahead log empty. */
async function intoTables(log: string): Promise<void> {
  await tamper(log, async (database) => {
    await (database as unknown as { compactRange(start: Uint8Array, end: Uint8Array): Promise<void> }).compactRange(
      Uint8Array.of(0),
      Uint8Array.of(0xff),
    );
  });
}

const derived = test.macro({
  async exec(t, damage: (store: Closed) => Promise<void>) {
    const store = await closedStore(t);
    await damage(store);
    const result = await rebuildStore(store.directory);
    t.is(result.log, 'kept');
    t.deepEqual(result.lostContent, []);
    t.deepEqual(await answersAgain(store.directory), store.answers);
    t.deepEqual(await verifyStore(store.directory), []);
    t.deepEqual(
      (await readdir(store.directory)).filter((name) => name.startsWith('log')),
      ['log'],
    );
  },
  title: (given) => `a rebuild replaces what is derived from the events: ${given}`,
});

test('nothing is damaged', derived, async () => undefined);
test('a flipped bit in a row of the tree', derived, ({ log }) =>
  tamper(log, async (database) => {
    const hash = Uint8Array.from((await database.get(treeKey(1, 0))) ?? []);
    await database.put(treeKey(1, 0), hash.with(0, (hash[0] as number) ^ 1));
  }),
);
test('a row of the tree that is cut short', derived, ({ log }) =>
  tamper(log, (database) => database.put(treeKey(1, 1), new Uint8Array(3))),
);
test('rows of the subject index that are wrong', derived, ({ log }) =>
  tamper(log, async (database) => {
    for (const key of await database.keys({ gte: Uint8Array.of(SUBJECT_PREFIX), limit: 40 }).all()) {
      await database.put(key, Uint8Array.of(0xff));
    }
  }),
);
test('malformed snapshots', derived, async ({ directory }) => {
  for (const path of await filesOf(join(directory, 'snapshots'), /views$/)) await writeFile(path, 'none');
});
test('no snapshots, and no checkpoint', derived, async ({ directory }) => {
  await rm(join(directory, 'snapshots'), { recursive: true });
  await rm(join(directory, 'checkpoint'));
});

const salvaged = test.macro({
  async exec(t, damage: (log: string) => Promise<void>) {
    const store = await closedStore(t);
    await intoTables(store.log);
    await damage(store.log);
    const result = await rebuildStore(store.directory);
    t.is(result.log, 'salvaged');
    t.deepEqual(result.lostContent, []);
    t.is(result.damagedLog, join(store.directory, 'log.damaged-1'));
    t.true((await filesOf(join(store.directory, 'log.damaged-1'), /ldb$/)).length > 0);
    t.deepEqual(await answersAgain(store.directory), store.answers);
    t.deepEqual((await readdir(store.directory)).filter((name) => name.startsWith('log')).sort(), [
      'log',
      'log.damaged-1',
    ]);
    await rm(join(store.directory, 'log.damaged-1'), { recursive: true });
    t.deepEqual(await verifyStore(store.directory), []);
  },
  title: (given) => `a rebuild reads the events without LevelDB's own files: ${given}`,
});

test('CURRENT is gone', salvaged, (log) => rm(join(log, 'CURRENT')));
test('CURRENT names nothing', salvaged, (log) => writeFile(join(log, 'CURRENT'), 'MANIFEST-999999\n'));
test('CURRENT is empty', salvaged, (log) => writeFile(join(log, 'CURRENT'), ''));
test('the MANIFEST is gone', salvaged, async (log) => {
  for (const path of await filesOf(log, /^MANIFEST/)) await rm(path);
});
test('the MANIFEST lost its last 20 bytes', salvaged, async (log) => {
  for (const path of await filesOf(log, /^MANIFEST/)) await truncate(path, (await stat(path)).size - 20);
});
test('the MANIFEST is empty', salvaged, async (log) => {
  for (const path of await filesOf(log, /^MANIFEST/)) await truncate(path, 0);
});
test('the MANIFEST has a flipped bit in its middle', salvaged, async (log) => {
  for (const path of await filesOf(log, /^MANIFEST/)) {
    const bytes = await readFile(path);
    const at = bytes.length >> 1;
    await writeFile(path, bytes.with(at, (bytes[at] as number) ^ 1));
  }
});

test('a rebuild that cannot have all events names those that are lost, and changes nothing', async (t) => {
  const { directory, log } = await closedStore(t);
  await tamper(log, async (database) => {
    for (const seq of [40, 41, 42, 100]) await database.del(eventKey(seq));
    const row = Uint8Array.from((await database.get(eventKey(300))) ?? []);
    await database.put(eventKey(300), row.with(40, (row[40] as number) ^ 1));
  });
  const before = await readdir(directory);
  const error = await rejection(t, 'LOG_CORRUPT', rebuildStore(directory));
  t.regex(error.message, /events 40 to 42, 100, 300 can no longer be read; restore a backup/);
  t.is(error.data['remedy'], 'restore');
  t.deepEqual(await readdir(directory), before);
});

test('a log that lost its end says which events those were', async (t) => {
  const { directory, log } = await closedStore(t);
  await tamper(log, async (database) => {
    for (let seq = 570; seq <= 700; seq++) await database.del(eventKey(seq));
  });
  const error = await rejection(t, 'LOG_CORRUPT', rebuildStore(directory));
  t.regex(error.message, /events 570 to \d+ can no longer be read/);
});

// Each of them is in the last block of the write-ahead log, and after the checkpoint: LevelDB that opens it says nothing, and has only those before.
for (const [what, at] of [
  ['a record', 20],
  ['the length of a fragment', 4],
] as const) {
  test(`events behind damage in the write-ahead log are not forgotten: ${what}`, async (t) => {
    const place = await temporaryDirectory(t);
    const store = await openStore(join(place, 'open'), { actor: 'tester' });
    t.teardown(() => store.close());
    for (let image = 0; image < 12; image++) await store.create(imageConfig(`image ${image}`));
    // As a crash leaves it.
    const directory = join(place, 'crashed');
    await cp(join(place, 'open'), directory, { recursive: true });
    const [path = ''] = await filesOf(join(directory, 'log'), /\.log$/);
    const bytes = await readFile(path);
    const { offset } = parseRecordFile(bytes).records[5] ?? { offset: 0 };
    bytes[offset + at] = (bytes[offset + at] as number) ^ 1;
    await writeFile(path, bytes);
    const error = await rejection(t, 'LOG_CORRUPT', rebuildStore(directory));
    t.regex(error.message, /(?:event 6|events [67] to 12) can no longer be read; restore a backup/);
    t.true((await readFile(path)).equals(bytes));
  });
}

test('events that were changed with their hashes are not those of the checkpoint', async (t) => {
  const { directory, log } = await closedStore(t);
  await tamper(log, async (database) => {
    const event = parseEventRow((await database.get(eventKey(50))) as Uint8Array, 50);
    await database.put(eventKey(50), rowOf(encodeRecord({ ...event, actor: 'nobody' })));
  });
  const error = await rejection(t, 'LOG_CORRUPT', rebuildStore(directory));
  t.regex(error.message, /not those of its checkpoint/);
});

test('content that is lost is named, and the events stay', async (t) => {
  const { directory, log } = await closedStore(t);
  const [lost] = await new Promise<Uint8Array[]>((resolve, reject) => {
    tamper(log, async (database) => {
      const keys = await database.keys({ gte: Uint8Array.of(CONTENT_PREFIX), limit: 1 }).all();
      await database.del(keys[0] as Uint8Array);
      resolve(keys);
    }).catch(reject);
  });
  await intoTables(log);
  await rm(join(log, 'CURRENT'));
  const { lostContent, log: what } = await rebuildStore(directory);
  t.is(what, 'salvaged');
  t.deepEqual(
    lostContent.map((digest) => bytesToHex(contentKey(digest))),
    [bytesToHex(lost as Uint8Array)],
  );
});

test('what was erased does not come back with the old files of LevelDB', async (t) => {
  const { directory, log } = await closedStore(t);
  const store = await openStore(directory, {});
  const gone = [...store.map().keys()][5] as ImageId;
  const config = store.get(gone).rawJSON();
  await store.delete(gone);
  await store.close();
  const erasing = await LevelLog.open(log, { createIfMissing: false });
  const { seq } = erasing.head;
  const erased = eventsFrom(seq + 1, [{ type: 'ContentErased', digest: gone, size: config.length }], Date.now());
  await erasing.append({ expectedHead: seq, entries: entriesOf(erased), content: new Map([[gone, undefined]]) });
  await erasing.close();
  await tamper(log, (database) => database.put(contentKey(gone), config));
  await intoTables(log);
  await rm(join(log, 'CURRENT'));
  t.deepEqual((await rebuildStore(directory)).lostContent, []);
  await tamper(log, async (database) => {
    t.false(await database.has(contentKey(gone)));
  });
});

// Every state that a crash between two renames can leave.
test('a rebuild that was cut short is finished, or begun again', async (t) => {
  const { directory, log, answers } = await closedStore(t);
  const path = (name: string): string => join(directory, name);
  await cp(log, path('log.rebuilding/log'), { recursive: true });
  await rebuildStore(directory);
  t.deepEqual(await answersAgain(directory), answers);
  await cp(log, path('log.rebuilt'), { recursive: true });
  await appendFile(join(path('log.rebuilt'), 'CURRENT'), 'of an older time');
  await rebuildStore(directory);
  t.deepEqual(await answersAgain(directory), answers);
  await rename(log, path('log.rebuilt'));
  const error = await rejection(t, 'LOG_CORRUPT', openStore(directory));
  t.regex(error.message, /a rebuild was cut short/);
  t.is(error.data['remedy'], 'rebuild');
  t.false((await readdir(directory)).includes('log'));
  await mkdir(log);
  await writeFile(join(log, 'LOCK'), '');
  await rebuildStore(directory);
  t.deepEqual(await answersAgain(directory), answers);
});

test('a checkpoint that is not a file is not waited for', async (t) => {
  const { directory } = await closedStore(t);
  await rm(join(directory, 'checkpoint'));
  await mkdir(join(directory, 'checkpoint'));
  const error = await rejection(t, 'CHECKPOINT_INVALID', rebuildStore(directory));
  t.regex(error.message, /it is not a file/);
});

test('what stands in the place of CURRENT and is not a file keeps no event from a rebuild', async (t) => {
  const { directory, answers, log } = await closedStore(t);
  await rm(join(log, 'CURRENT'));
  await mkdir(join(log, 'CURRENT'));
  await rebuildStore(directory);
  t.deepEqual(await answersAgain(directory), answers);
});

test('an open store is not rebuilt from outside, and what is not a store is not made one', async (t) => {
  const { directory } = await closedStore(t);
  const store = await openStore(directory);
  await rejection(t, 'STORE_LOCKED', rebuildStore(directory));
  await store.close();
  await rejection(t, 'STORE_NOT_FOUND', rebuildStore(join(directory, 'nothing')));
  await t.throwsAsync(rebuildStore(1 as never), { instanceOf: TypeError });
  await t.throwsAsync(rebuildStore(directory, { onProgress: 1 as never }), { instanceOf: TypeError });
});

test('a rebuild reports progress, and changes nothing when aborted', async (t) => {
  const { directory, answers, log } = await closedStore(t);
  await rm(join(log, 'CURRENT'));
  const controller = new AbortController();
  const stop = (): void => controller.abort(new Error('enough'));
  await rejection(t, 'ABORTED', rebuildStore(directory, { signal: controller.signal, onProgress: stop }));
  t.deepEqual(
    (await readdir(directory)).filter((name) => name.startsWith('log')),
    ['log'],
  );
  const seen: RebuildProgress[] = [];
  await rebuildStore(directory, { onProgress: (progress) => seen.push(progress) });
  t.deepEqual([...new Set(seen.map(({ what }) => what))].sort(), ['copy', 'log', 'views']);
  t.deepEqual(await answersAgain(directory), answers);
});
