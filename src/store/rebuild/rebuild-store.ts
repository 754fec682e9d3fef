import { join, resolve } from 'node:path';
import {
  mustBeCount,
  mustBeFunction,
  mustBeOptions,
  mustBeSignal,
  mustBeString,
  mustBeText,
} from '../argument-types.js';
import { removeDurably } from '../files/files.js';
import { checkLockTimeout, claimDirectory, whenUnlocked, withOwner } from '../open/lock.js';
import { missingStore, openStore } from '../open/open-store.js';
import { readSidecar } from '../open/sidecar.js';
import { refuseBackup } from '../open/vacancy.js';
import { SNAPSHOT_FOLDER } from '../snapshots/snapshot-folder.js';
import { logFolders, takeUpRebuild } from '../files/log-folders.js';
import { type RebuildOptions, rebuildOptionNames, type RebuildResult } from './rebuild.js';
import { rebuildLog, type RebuiltLog } from './rebuild-log.js';

/** Implements the library's `rebuildStore`. */
export async function rebuildStore(directory: string, options: RebuildOptions = {}): Promise<RebuildResult> {
  mustBeString('directory', directory);
  mustBeText('directory', directory);
  mustBeOptions(options, rebuildOptionNames);
  mustBeSignal('signal', options.signal);
  checkLockTimeout(options.lockTimeoutMs);
  if (options.acceptLoss !== undefined) mustBeCount('acceptLoss', options.acceptLoss);
  for (const name of ['onProgress', 'onNotice'] as const) {
    if (options[name] !== undefined) mustBeFunction(name, options[name]);
  }
  const path = resolve(directory);
  return reopened(path, await whenUnlocked(() => rebuildClosed(path, options), options), options);
}

async function rebuildClosed(path: string, options: RebuildOptions): Promise<RebuiltLog> {
  const sidecar = await readSidecar(path);
  if (sidecar === undefined) throw await missingStore(path);
  await refuseBackup(path);
  const release = await claimDirectory(path);
  try {
    const folders = logFolders(path);
    await takeUpRebuild(folders);
    const rebuilt = await rebuildLog(folders, sidecar, options);
    await removeDurably(join(path, SNAPSHOT_FOLDER));
    return rebuilt;
  } catch (error) {
    throw await withOwner(path, error);
  } finally {
    release();
  }
}

/** Opens the store normally, which checks it again; writes its snapshot and checkpoint. */
async function reopened(
  path: string,
  { damagedLog, ...rebuilt }: RebuiltLog,
  { signer, onNotice, signal, onProgress, lockTimeoutMs }: RebuildOptions,
): Promise<RebuildResult> {
  const store = await openStore(path, { create: false, signer, onNotice, signal, lockTimeoutMs });
  try {
    const { seq, root } = store.log.head;
    await store.snapshot();
    await store.checkpoint();
    onProgress?.({ what: 'views', done: seq, total: seq });
    const what = damagedLog === undefined ? 'kept' : 'salvaged';
    return { events: seq, root, log: what, damagedLog, ...rebuilt, replacedViews: [] };
  } finally {
    await store.close();
  }
}
