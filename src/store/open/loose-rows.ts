import { readWriteBatch } from '../../log/leveldb/log-files.js';
import { BlockCache, tableFaults, TableReader } from '../../log/leveldb/table.js';
import { systemCode } from '../files/files.js';
import { databaseFiles, openDatabaseFile, readLogs } from './database-files.js';

/** A row that one of the files of a database has; others may have older and newer ones of its key. */
interface LooseRow {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

const TABLE_FILE = /^\d+\.(?:ldb|sst)$/;
const NO_KEY = new Uint8Array();
/** No block is read twice. */
const NO_CACHE = 0;

/**
 * Yields what can be read of the files of the database at `location` without a MANIFEST, like
 * LevelDB's repair: rows of all tables and write-ahead logs, a page for each block or log, past any
 * damage. Changes nothing.
 * @throws {StoreError} IO_FAILED and system errors when a file cannot be read
 */
export function* looseRows(location: string): Generator<readonly LooseRow[]> {
  const files = filesIn(location);
  for (const [name, { isFile }] of files) if (isFile && TABLE_FILE.test(name)) yield* rowsOfTable(location, name);
  const regular = new Map([...files].filter(([, { isFile }]) => isFile));
  for (const { records } of readLogs(location, regular)) {
    const rows: LooseRow[] = [];
    for (const { bytes } of records) {
      readWriteBatch(bytes, ({ key, value }) => {
        if (value !== undefined) rows.push({ key, value });
      });
    }
    yield rows;
  }
}

/**
 * Whether a block of a table does not match its checksum. `looseRows` yields what it can decode of
 * it, and LevelDB may still not find it: by a key of the index, or for a kind it does not know.
 */
export function hasDamagedTable(location: string): boolean {
  for (const [name, { isFile }] of filesIn(location)) {
    if (!isFile || !TABLE_FILE.test(name)) continue;
    const file = openDatabaseFile(location, name);
    try {
      if (tableFaults(file.read(0, file.sizeBytes)).length > 0) return true;
    } finally {
      file.close();
    }
  }
  return false;
}

function filesIn(location: string): ReturnType<typeof databaseFiles> {
  try {
    return databaseFiles(location);
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(systemCode(error))) return new Map();
    throw error;
  }
}

function* rowsOfTable(location: string, name: string): Generator<readonly LooseRow[]> {
  const file = openDatabaseFile(location, name);
  try {
    const table = new TableReader(file, { smallest: NO_KEY, largest: NO_KEY }, new BlockCache(NO_CACHE));
    for (const { bytes, keys, areDeleted, valueStarts, valueEnds } of table.looseBlocks()) {
      const rows = keys.map((key, at) => ({ key, value: bytes.subarray(valueStarts[at], valueEnds[at]) }));
      yield rows.filter((_, at) => areDeleted[at] !== true);
    }
  } finally {
    file.close();
  }
}
