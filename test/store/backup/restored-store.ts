import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { restoreStore } from '../../../src/store/backup/restore.js';
import type { EventStore } from '../../../src/store/event-store.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';
import { openTestStore } from '../../support/test-store.js';
import { unpackedBackup } from '../../support/unpacked-backup.js';
import { footprint } from '../temporary-store.js';

/** Restores the backup in `source` to a new directory, and opens the store; it is closed and verified when the test ends. */
async function openRestored(t: ExecutionContext, source: string): Promise<EventStore> {
  const directory = join(await temporaryDirectory(t), 'restored');
  await restoreStore(directory, source);
  return openTestStore(t, { directory, create: false });
}

/** Asserts that the backup in `source` is all of `store`: restored, it is the same, and its backup has the same in it. */
export async function isBackupOf(t: ExecutionContext, source: string, store: EventStore): Promise<void> {
  const again = await openRestored(t, source);
  t.deepEqual(await footprint(again), await footprint(store));
  t.deepEqual(await unpackedBackup(await newBackup(t, again)), await unpackedBackup(source));
}

/** Backs `store` up to a new directory, and returns its path. */
export async function newBackup(t: ExecutionContext, store: EventStore): Promise<string> {
  const target = join(await temporaryDirectory(t), 'backup');
  await store.backup(target);
  return target;
}
