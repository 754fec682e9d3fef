import { execFileSync } from 'node:child_process';
import { chmod, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { decodeViews, encodeViews, viewVersions } from '../../../projections/views-codec.js';
import { createViews, type ViewSet } from '../../../projections/views.js';
import { MAX_SNAPSHOTS } from '../../../src/limits.js';
import { type Tile, treeRoot } from '../../../src/log/merkle.js';
import type { LevelLog } from '../../../src/log/leveldb/level-log.js';
import { bytesToHex } from '../../../src/model/digest.js';
import { formatSnapshot, SnapshotFolder, type SnapshotHeader } from '../../../src/store/snapshots/snapshot-folder.js';
import { viewsAt } from '../../../src/store/snapshots/views-at.js';
import { plainViews } from '../../support/plain-views.js';
import { rejection } from '../../support/rejection.js';
import { requires, requiresPermissions } from '../../support/requires.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';
import { appendCreations, openTestLog } from '../../support/test-log.js';

/** The snapshots of a log of ten images, each created by its own event. */
interface World {
  readonly log: LevelLog;
  readonly snapshots: SnapshotFolder;
  readonly path: string;
  readonly notices: string[];
}

async function worldOf(t: ExecutionContext): Promise<World> {
  const directory = await temporaryDirectory(t);
  const log = await openTestLog(t, join(directory, 'log'));
  await appendCreations(log, 10);
  const notices: string[] = [];
  const snapshots = folder(directory, log, notices);
  return { log, snapshots, path: join(directory, 'snapshots'), notices };
}

function folder(directory: string, log: LevelLog, notices: string[], storeId = 'a'): SnapshotFolder {
  return new SnapshotFolder({ directory, storeId, log, onNotice: (notice) => void notices.push(notice) });
}

async function foldedTo(log: LevelLog, seq: number): Promise<ViewSet> {
  const viewSet = createViews();
  for await (const page of log.pages({ to: seq })) viewSet.fold(page);
  return viewSet;
}

async function writeAt({ log, snapshots }: World, ...seqs: number[]): Promise<void> {
  for (const seq of seqs) await snapshots.writeViews(seq, encodeViews((await foldedTo(log, seq)).views));
}

const nameOf = (seq: number): string => `${String(seq).padStart(16, '0')}.views`;

test('the nearest snapshot is the newest at or before the seq, and has its own views', async (t) => {
  const world = await worldOf(t);
  const { log, snapshots, path, notices } = world;
  t.is(await snapshots.nearest(10, decodeViews), undefined);
  t.is(snapshots.newest, 0);
  await writeAt(world, 7, 3);
  t.deepEqual((await readdir(path)).sort(), [nameOf(3), nameOf(7)]);
  t.is(snapshots.newest, 7);
  for (const [seq, expected] of [
    [2, undefined],
    [3, 3],
    [6, 3],
    [7, 7],
    [10, 7],
  ] as const) {
    t.is((await snapshots.nearest(seq, decodeViews))?.seq, expected);
    t.deepEqual(plainViews((await viewsAt(world, seq)).views), plainViews((await foldedTo(log, seq)).views));
  }
  t.deepEqual(notices, []);
});

test('a snapshot of an event that comes while the folder is read is no bad one', async (t) => {
  const world = await worldOf(t);
  await writeAt(world, 5);
  const { log, path, notices } = world;
  let { head } = log;
  const growing = {
    readTile: (tile: Tile) => log.readTile(tile),
    get head() {
      return head;
    },
  };
  head = { ...head, seq: 4 };
  const found = folder(dirname(path), growing as LevelLog, notices).nearest(5, decodeViews);
  head = log.head;
  t.is((await found)?.seq, 5);
  t.deepEqual(notices, []);
});

test('views that a caller got are its own', async (t) => {
  const world = await worldOf(t);
  await writeAt(world, 5);
  const first = await viewsAt(world, 7);
  first.fold([]);
  for (const id of first.views.images.ids()) first.views.images.remove(id);
  t.is(first.views.images.size, 0);
  t.is((await viewsAt(world, 7)).views.images.size, 7);
});

test('a snapshot that is cut or edited anywhere is skipped for an older one, reported once, and goes with the next', async (t) => {
  const world = await worldOf(t);
  const { snapshots, path, notices } = world;
  await writeAt(world, 2, 6);
  const bytes = await readFile(join(path, nameOf(6)));
  const changes = [bytes.subarray(0, 40), Buffer.alloc(0), Buffer.from(bytes.with(150, 0xee)), Buffer.from('imagelog')];
  for (const changed of changes) {
    await writeFile(join(path, nameOf(6)), changed);
    const fresh = folder(join(path, '..'), world.log, notices);
    t.is((await fresh.nearest(8, decodeViews))?.seq, 2);
    t.is((await fresh.nearest(8, decodeViews))?.seq, 2);
  }
  t.is(notices.length, changes.length);
  for (const notice of notices) t.true(notice.startsWith(`the snapshot ${nameOf(6)} is skipped: it`), notice);
  await snapshots.nearest(8, decodeViews);
  await writeAt(world, 9);
  t.deepEqual((await readdir(path)).sort(), [nameOf(2), nameOf(9)]);
});

test('a snapshot whose name, store, kind, versions, event or length of the log are not ours is skipped', async (t) => {
  const world = await worldOf(t);
  const { log, path, notices } = world;
  const { views } = await foldedTo(log, 5);
  const good: SnapshotHeader = {
    store: 'a',
    kind: 'views',
    versions: viewVersions,
    seq: 5,
    root: bytesToHex(await treeRoot(log, 5)),
  };
  const cases: readonly [Partial<SnapshotHeader>, string, number?][] = [
    [{ store: 'b' }, 'it is of another store'],
    [{ kind: 'projection' }, 'it holds projection, expected views'],
    [{ versions: { ...viewVersions, images: 99 } }, 'its views are of other versions of the projections'],
    [{ versions: {} }, 'its views are of other versions of the projections'],
    [{ root: 'ab'.repeat(32) }, 'the log up to event 5 is not the one it was made from'],
    [{ root: bytesToHex(await treeRoot(log, 4)) }, 'the log up to event 5 is not the one it was made from'],
    [{}, 'it is of event 5', 4],
    [{ seq: 11 }, 'it is of event 11, and the log ends at 10'],
    [{}, 'it is of event 11, and the log ends at 10', 11],
  ];
  await mkdir(path);
  for (const [change, why, named = 5] of cases) {
    await writeFile(
      join(path, nameOf(named)),
      Buffer.concat([...formatSnapshot({ ...good, ...change }, encodeViews(views))]),
    );
    notices.length = 0;
    const fresh = folder(join(path, '..'), log, notices);
    t.is(await fresh.nearest(10, decodeViews), undefined);
    t.deepEqual(notices, [`the snapshot ${nameOf(named)} is skipped: ${why}`]);
    t.deepEqual(plainViews((await viewsAt({ log, snapshots: fresh }, 5)).views), plainViews(views));
    await rm(join(path, nameOf(named)));
  }
});

test('views that cannot be decoded are skipped, though the checksum is right', async (t) => {
  const world = await worldOf(t);
  const { log, snapshots, path, notices } = world;
  await snapshots.writeViews(5, [Uint8Array.of(9, 9, 9)]);
  t.is(await snapshots.nearest(10, decodeViews), undefined);
  t.is(notices.length, 1);
  t.is((await viewsAt({ log, snapshots }, 10)).views.images.size, 10);
  await writeAt(world, 5);
  t.deepEqual(await readdir(path), [nameOf(5)]);
  t.is((await snapshots.nearest(10, decodeViews))?.seq, 5);
});

test('what else is in the folder is left alone', async (t) => {
  const world = await worldOf(t);
  const { snapshots, path, notices } = world;
  await mkdir(path);
  const junk = ['notes.txt', '5.views', `${nameOf(5)}.bak`, '9999999999999999.views', 'abcdefghijklmnop.views'];
  for (const name of junk) await writeFile(join(path, name), 'junk');
  await mkdir(join(path, 'folder'));
  await writeAt(world, 4);
  t.is((await snapshots.nearest(10, decodeViews))?.seq, 4);
  t.deepEqual((await readdir(path)).sort(), [...junk, 'folder', nameOf(4)].sort());
  t.deepEqual(notices, []);
});

test('a folder in the place of a snapshot is skipped', async (t) => {
  const world = await worldOf(t);
  await writeAt(world, 4);
  await mkdir(join(world.path, nameOf(5)));
  t.is((await world.snapshots.nearest(10, decodeViews))?.seq, 4);
  t.deepEqual(world.notices, [`the snapshot ${nameOf(5)} is skipped: it is not a file`]);
});

requires('mkfifo')('a pipe in the place of a snapshot is skipped, and not waited for', async (t) => {
  const world = await worldOf(t);
  await writeAt(world, 4);
  execFileSync('mkfifo', [join(world.path, nameOf(5))]);
  t.is((await world.snapshots.nearest(10, decodeViews))?.seq, 4);
  t.deepEqual(world.notices, [`the snapshot ${nameOf(5)} is skipped: it is not a file`]);
  await writeAt(world, 6);
  t.deepEqual((await readdir(world.path)).sort(), [nameOf(4), nameOf(6)]);
});

test('at most MAX_SNAPSHOTS are kept, the newest among them', async (t) => {
  const world = await worldOf(t);
  const { log, snapshots, path } = world;
  await appendCreations(log, 3 * MAX_SNAPSHOTS);
  for (let seq = 1; seq <= 3 * MAX_SNAPSHOTS; seq += 2) await writeAt(world, seq);
  const names = await readdir(path);
  t.is(names.length, MAX_SNAPSHOTS);
  t.true(names.includes(nameOf(3 * MAX_SNAPSHOTS - 1)));
  t.is((await snapshots.nearest(log.head.seq, decodeViews))?.seq, 3 * MAX_SNAPSHOTS - 1);
});

test('what a crash left of a snapshot is removed, and a missing folder is nothing to tidy', async (t) => {
  const world = await worldOf(t);
  const { snapshots, path, notices } = world;
  await snapshots.tidy();
  await writeAt(world, 5);
  await rename(join(path, nameOf(5)), join(path, '.tmp-0123'));
  t.is(await snapshots.nearest(10, decodeViews), undefined);
  await snapshots.tidy();
  t.deepEqual(await readdir(path), []);
  t.deepEqual(notices, []);
});

requiresPermissions()(
  'a folder that may not be read or written to is reported, and nothing is taken from it',
  async (t) => {
    const world = await worldOf(t);
    const { snapshots, path, notices } = world;
    await writeAt(world, 5);
    await chmod(path, 0o000);
    t.is(await snapshots.nearest(10, decodeViews), undefined);
    t.is(await snapshots.readProjectionState('teams'), undefined);
    await chmod(path, 0o500);
    await rejection(t, 'STORE_NOT_WRITABLE', snapshots.writeViews(6, []));
    await chmod(path, 0o700);
    t.is(notices.length, 2);
  },
);

test('a snapshot of an event that is not there is not written', async (t) => {
  const { snapshots } = await worldOf(t);
  await rejection(t, 'INTERNAL', snapshots.writeViews(11, []));
});
