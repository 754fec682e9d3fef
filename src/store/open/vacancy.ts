import { join } from 'node:path';
import { StoreError } from '../../errors.js';
import { isTemporaryName, namesIn } from '../files/files.js';
import { RESERVE_FILE } from '../files/reserve.js';
import { SNAPSHOT_FOLDER } from '../snapshots/snapshot-folder.js';
import { CHECKPOINT_FILE } from './checkpoint-keeper.js';
import { OWNER_FILE } from './lock.js';
import { SIDECAR_FILE } from './sidecar.js';
import { WHOLE_TABLES_FILE } from './whole-tables.js';

/** Names that an empty directory may have: of the file system, of a desktop, of a place kept in git. */
const NOBODYS: ReadonlySet<string> = new Set([
  'lost+found',
  '.snapshot',
  '.DS_Store',
  'System Volume Information',
  '$RECYCLE.BIN',
  '.gitkeep',
  '.gitignore',
]);

/** What a crash leaves of a store that had no sidecar yet. */
const BEGUN: ReadonlySet<string> = new Set(['log', OWNER_FILE, RESERVE_FILE]);

/** What is beside an empty log of a store that lost its sidecar: it is made a store again. */
const BESIDE_A_LOG: ReadonlySet<string> = new Set(['blobs', SNAPSHOT_FOLDER, CHECKPOINT_FILE, WHOLE_TABLES_FILE]);

/** Files of a database, LevelDB's debug logs included. */
const DATABASE_FILE = /^(?:CURRENT|LOCK|LOG|LOG\.old|MANIFEST-\d+|\d+\.(?:log|ldb|sst|dbtmp))$/;

/** Names that an error shows; its data has the number of all. */
const SHOWN_NAMES = 3;

/**
 * Refuses to make a store among other files: they may be removed with it one day, or be taken for
 * its own. What a crash left of a new store is no other file.
 * @throws {StoreError} STORE_NOT_EMPTY
 */
export async function refuseOtherFiles(directory: string): Promise<void> {
  const names = (await namesIn(directory)) ?? [];
  // Another process made a store meanwhile; its lock decides.
  if (names.includes(SIDECAR_FILE)) return;
  const inLog = (await namesIn(join(directory, 'log'), ['ENOENT', 'ENOTDIR'])) ?? [];
  const hasLog = inLog.length > 0;
  const others = [
    ...othersIn(names).filter((name) => !BEGUN.has(name) && !(hasLog && BESIDE_A_LOG.has(name))),
    ...othersIn(inLog)
      .filter((name) => !DATABASE_FILE.test(name))
      .map((name) => `log/${name}`),
  ];
  if (others.length > 0) throw storeNotEmpty(`make a store in ${directory}`, directory, others);
}

/** Returns the names, sorted, that make a directory one that is not empty. */
function othersIn(names: readonly string[]): string[] {
  return names.filter((name) => !NOBODYS.has(name) && !isTemporaryName(name)).sort();
}

/** Returns the error for a directory that has `names` and no store. */
export function storeNotEmpty(action: string, directory: string, names: readonly string[]): StoreError {
  const shown = names.slice(0, SHOWN_NAMES);
  const more = names.length - shown.length;
  const list = more > 0 ? `${shown.join(', ')} and ${more} more` : shown.join(', ');
  return new StoreError('STORE_NOT_EMPTY', `cannot ${action}: it is not empty and no store; it has ${list}`, {
    data: { directory, names: shown, count: names.length },
  });
}
