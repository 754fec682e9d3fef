import { mkdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { eventToJSON } from '../../src/log/event-json.js';
import { encodeRecord } from '../../src/log/record.js';
import { bytesToHex } from '../../src/model/digest.js';
import type { StoredEvent } from '../../src/model/events.js';
import { restoreStore } from '../../src/store/backup/restore.js';
import { formatSidecar, NEWEST_VERSION, readSidecar } from '../../src/store/open/sidecar.js';
import type { EventStore } from '../../src/store/event-store.js';
import { openStore } from '../../src/store/open/open-store.js';
import { verifyStore } from '../../src/store/verify-store.js';
import { idNamed, imageConfig } from '../support/image-configs.js';
import { rejection } from '../support/rejection.js';
import { storeError } from '../support/store-error.js';
import { pastStateOf } from '../support/store-state.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { eventsOf, openTestStore } from '../support/test-store.js';
import { archivePath } from './fixture-archives.js';
import { isBackupOf, newBackup } from './backup/restored-store.js';

/* Events that say from where and how they came, through all that keeps and reads them. */

const ROUTE = {
  via: 'registry',
  address: '2001:db8::7',
  agent: 'docker/27.5 go/1.23',
  traceparent: '00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01',
};
const NONE = { via: undefined, address: undefined, agent: undefined, traceparent: undefined };
const id = idNamed('a');

/** Writes events with routes and without, alone and in one group. */
async function writeMixed(store: EventStore): Promise<void> {
  await store.load(archivePath('docker25-all.tar'), ROUTE);
  await Promise.all([
    store.create(imageConfig('a'), { via: 'mirror', actor: 'sync' }),
    store.create(imageConfig('b')),
    store.create(imageConfig('c'), { ...ROUTE, reason: 'c' }),
  ]);
  await store.tag({ source: id, target: 'x:1' }, { address: '192.0.2.1' });
  await store.tag({ source: id, target: 'x:2' });
  await store.untag('x:1', { traceparent: 'nonsense' });
  await store.delete(idNamed('b'), ROUTE);
  await store.erase(idNamed('b'), 'gone', ROUTE);
}

/** Events as JSON and as records, which tell absent fields from no others. */
function whole(events: readonly StoredEvent[]): unknown[] {
  return events.map((event) => [JSON.stringify(sorted(eventToJSON(event))), bytesToHex(encodeRecord(event))]);
}

function sorted(json: object): object {
  return Object.fromEntries(Object.entries(json).sort(([one], [other]) => (one < other ? -1 : 1)));
}

const versionOf = async (directory: string): Promise<number | undefined> => (await readSidecar(directory))?.version;

test('a replay, a rebuild and a snapshot give the events that live subscribers were given', async (t) => {
  const directory = join(await temporaryDirectory(t), 'store');
  const store = await openTestStore(t, { directory, snapshotEvery: 5 });
  const live: StoredEvent[] = [];
  store.log.events$.subscribe((event) => live.push(event));
  await writeMixed(store);
  const told = whole(live);
  t.deepEqual(whole(await eventsOf(store)), told);
  const routes = live.map(({ via, address, agent, traceparent }) => ({ via, address, agent, traceparent }));
  const first = live.findIndex(({ actor }) => actor === 'sync');
  t.true(first > 10);
  for (const route of routes.slice(0, first)) t.deepEqual(route, ROUTE);
  t.deepEqual(routes.slice(first, -2), [
    { ...NONE, via: 'mirror' },
    NONE,
    ROUTE,
    { ...NONE, address: '192.0.2.1' },
    NONE,
    { ...NONE, traceparent: 'nonsense' },
  ]);
  t.deepEqual(routes.slice(-2), [ROUTE, ROUTE]);
  t.deepEqual(await store.verify(), []);
  const past = pastStateOf(await store.at(live.length - 3));
  await store.rebuild();
  t.deepEqual(whole(await eventsOf(store)), told);
  await store.close();
  t.deepEqual(await verifyStore(directory), []);
  for (const hasSnapshots of [true, false]) {
    if (!hasSnapshots) await rm(join(directory, 'snapshots'), { recursive: true });
    await using again = await openStore(directory, { readOnly: true });
    t.deepEqual(whole(await eventsOf(again)), told);
    t.deepEqual(pastStateOf(await again.at(live.length - 3)), past);
  }
});

test('events without a route keep their bytes and fields, beside others in one group', async (t) => {
  const store = await openTestStore(t);
  await Promise.all([store.create(imageConfig('a')), store.create(imageConfig('b'), { via: 'http' })]);
  const [plain, routed] = (await eventsOf(store)) as [StoredEvent, StoredEvent];
  // An array of 16 values and one of 17: the format stands behind three bytes.
  t.deepEqual([encodeRecord(plain)[3], encodeRecord(routed)[3]], [1, 2]);
  for (const field of ['via', 'address', 'agent', 'traceparent']) {
    t.false(field in plain);
    t.false(field in eventToJSON(plain));
  }
  t.like(routed, { ...NONE, via: 'http' });
});

test('a store has version 3 until the first event with a route, and then version 4, with a notice', async (t) => {
  const directory = join(await temporaryDirectory(t), 'store');
  const notices: string[] = [];
  const onNotice = (notice: string): void => void notices.push(notice);
  const store = await openTestStore(t, { directory, onNotice });
  await store.create(imageConfig('a'));
  t.is(store.stats().formatVersion, 3);
  await store.create(imageConfig('a'), ROUTE);
  t.is(await versionOf(directory), 3, 'a command without events has no route to record');
  await rejection(t, 'IMAGE_NOT_FOUND', store.delete(idNamed('never'), ROUTE));
  t.is(await versionOf(directory), 3);
  const early = await newBackup(t, store);
  t.is(await versionOf(early), 2);
  await store.create(imageConfig('b'), ROUTE);
  t.is(await versionOf(directory), NEWEST_VERSION);
  t.is(store.stats().formatVersion, NEWEST_VERSION);
  await store.create(imageConfig('c'), ROUTE);
  t.deepEqual(notices, [`the store ${directory} has format 4 from now on: earlier versions no longer open it`]);
  // The next run of the backup has such records, and the version that says so.
  await store.backup(early);
  t.is(await versionOf(early), NEWEST_VERSION);
  await isBackupOf(t, early, store);
});

test('a version that cannot be raised fails the write, changes nothing, and keeps no other write out', async (t) => {
  const directory = join(await temporaryDirectory(t), 'store');
  const store = await openTestStore(t, { directory });
  await store.create(imageConfig('a'));
  const [path, aside] = [join(directory, 'imagelog.json'), join(directory, '..', 'aside')];
  await rename(path, aside);
  await mkdir(path);
  await writeFile(join(path, 'file'), '');
  const events$: StoredEvent[] = [];
  store.log.events$.subscribe((event) => events$.push(event));
  const outcomes = await Promise.allSettled([
    store.create(imageConfig('b'), ROUTE),
    store.create(imageConfig('c'), ROUTE),
  ]);
  t.deepEqual(
    outcomes.map(({ status }) => status),
    ['rejected', 'rejected'],
  );
  await rejection(t, 'IO_FAILED', store.create(imageConfig('b'), ROUTE));
  t.is(store.log.head.seq, 1);
  await store.create(imageConfig('d'));
  t.is(events$.length, 1);
  await rm(path, { recursive: true });
  await rename(aside, path);
  await store.create(imageConfig('b'), ROUTE);
  t.is(await versionOf(directory), NEWEST_VERSION);
  t.deepEqual(await store.verify(), []);
});

test('backup and restore keep routes and the version, and a store without any has the version of before', async (t) => {
  const root = await temporaryDirectory(t);
  const store = await openTestStore(t);
  await store.create(imageConfig('plain'));
  await restoreStore(join(root, 'first'), await newBackup(t, store));
  t.is(await versionOf(join(root, 'first')), 3);
  await writeMixed(store);
  const backup = await newBackup(t, store);
  t.is(await versionOf(backup), NEWEST_VERSION);
  t.deepEqual(await verifyStore(backup), []);
  await isBackupOf(t, backup, store);
  const second = join(root, 'second');
  await restoreStore(second, backup);
  t.is(await versionOf(second), NEWEST_VERSION);
  const restored = await openTestStore(t, { directory: second });
  t.deepEqual(await eventsOf(restored), await eventsOf(store));
});

test('a sidecar that came from a backup does not say whether events have routes: it becomes version 4', async (t) => {
  const directory = join(await temporaryDirectory(t), 'store');
  await (await openStore(directory)).close();
  const sidecar = await readSidecar(directory);
  if (sidecar === undefined) throw new Error('no sidecar');
  await writeFile(join(directory, 'imagelog.json'), formatSidecar({ ...sidecar, version: 2 }));
  await (await openStore(directory)).close();
  t.is(await versionOf(directory), NEWEST_VERSION);
});

test('an event is of one way, in reads, in history and with a follower', async (t) => {
  const store = await openTestStore(t);
  await writeMixed(store);
  const seqsBy = async (via: string | string[]): Promise<number[]> => {
    const seqs: number[] = [];
    for await (const { seq } of store.log.read({ filter: { via } })) seqs.push(seq);
    return seqs;
  };
  const events = await eventsOf(store);
  const seqs = (...ways: string[]): number[] =>
    events.filter(({ via = '' }) => ways.includes(via)).map(({ seq }) => seq);
  t.deepEqual(await seqsBy('registry'), seqs('registry'));
  t.deepEqual(await seqsBy(['mirror', 'registry']), seqs('mirror', 'registry'));
  t.deepEqual(await seqsBy('Registry'), []);
  t.deepEqual(store.log.explain({ filter: { via: 'registry' } }), { by: 'scan', events: events.length });
  storeError(t, 'FILTER_INVALID', () => store.log.read({ filter: { via: [] } }));
  const consumer = store.consumer('c@1', { filter: { via: 'mirror' } });
  for await (const event of consumer) {
    t.is(event.via, 'mirror');
    await consumer.ack(event);
    break;
  }
  await consumer.close();
  t.deepEqual(
    (await store.consumers()).map(({ filter }) => filter),
    [{ via: 'mirror' }],
  );
});
