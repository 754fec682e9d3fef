import { readdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { LevelLog } from '../../../src/log/leveldb/level-log.js';
import { SnapshotFolder } from '../../../src/store/snapshots/snapshot-folder.js';
import { rejection } from '../../support/rejection.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';
import { appendCreations, openTestLog } from '../../support/test-log.js';
import { bytesOf } from '../../support/text-bytes.js';

interface Folder {
  readonly snapshots: SnapshotFolder;
  readonly log: LevelLog;
  readonly directory: string;
  readonly notices: string[];
}

/** The snapshots of a log of five events. */
async function folderOf(t: ExecutionContext): Promise<Folder> {
  const directory = await temporaryDirectory(t);
  const log = await openTestLog(t, join(directory, 'log'));
  await appendCreations(log, 5);
  const notices: string[] = [];
  const onNotice = (notice: string): void => void notices.push(notice);
  return { snapshots: new SnapshotFolder({ directory, storeId: 'a', log, onNotice }), log, directory, notices };
}

const path = (directory: string, name: string): string => join(directory, 'snapshots', `${name}.projection`);

test('the view of a caller is given back as it was written, and replaced as a whole', async (t) => {
  const { snapshots, directory, notices } = await folderOf(t);
  t.is(await snapshots.readProjectionState('teams'), undefined);
  await snapshots.writeProjectionState('teams', 1, 3, bytesOf('the first'));
  t.deepEqual(await snapshots.readProjectionState('teams'), { version: 1, seq: 3, bytes: bytesOf('the first') });
  await snapshots.writeProjectionState('teams', 2, 5, bytesOf(''));
  await snapshots.writeProjectionState('__proto__', 7, 1, bytesOf('other'));
  t.deepEqual(await snapshots.readProjectionState('teams'), { version: 2, seq: 5, bytes: bytesOf('') });
  t.deepEqual(await snapshots.readProjectionState('__proto__'), { version: 7, seq: 1, bytes: bytesOf('other') });
  t.deepEqual((await readdir(join(directory, 'snapshots'))).sort(), ['__proto__.projection', 'teams.projection']);
  t.deepEqual(notices, []);
});

test('a view of another projection, another store or another log is skipped, and reported', async (t) => {
  const { snapshots, log, directory, notices } = await folderOf(t);
  await snapshots.writeProjectionState('teams', 1, 5, bytesOf('view'));
  const bytes = await readFile(path(directory, 'teams'));
  await rename(path(directory, 'teams'), path(directory, 'other'));
  t.is(await snapshots.readProjectionState('other'), undefined);

  await writeFile(path(directory, 'teams'), bytes);
  const onNotice = (notice: string): void => void notices.push(notice);
  const ofOtherStore = new SnapshotFolder({ directory, storeId: 'b', log, onNotice });
  t.is(await ofOtherStore.readProjectionState('teams'), undefined);

  const shorter = await openTestLog(t, join(directory, 'shorter'));
  await appendCreations(shorter, 4);
  const ofShorterLog = new SnapshotFolder({ directory, storeId: 'a', log: shorter, onNotice });
  t.is(await ofShorterLog.readProjectionState('teams'), undefined);
  t.deepEqual(notices, [
    'the snapshot other.projection is skipped: it is of another projection',
    'the snapshot teams.projection is skipped: it is of another store',
    'the snapshot teams.projection is skipped: it is of event 5, and the log ends at 4',
  ]);
});

test('a view of an event that is not there is not written', async (t) => {
  const { snapshots, directory } = await folderOf(t);
  await rejection(t, 'INTERNAL', snapshots.writeProjectionState('teams', 1, 6, bytesOf('view')));
  t.deepEqual(await readdir(directory), ['log']);
});
