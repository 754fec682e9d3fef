import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { StoreError } from '../../errors.js';
import { MAX_TABLE_BYTES_AT_OPEN } from '../../limits.js';
import { ioFailure, systemCode } from '../files/durable-file.js';
import { type DatabaseReport, inspectDatabase } from './inspect-database.js';
import type { TableLook } from './inspect-tables.js';
import type { WholeTables } from './whole-tables.js';

/** Looks until one of them found the directory the same before and after. */
const MAX_LOOKS = 10;

/** What an open for writing reads of the tables: the newest, unless they were found whole lately. */
export function newestTables(wholeTables?: WholeTables): TableLook {
  return { maxTableBytes: MAX_TABLE_BYTES_AT_OPEN, wholeTables };
}

/**
 * Resolves with whether the database at `location` ends in a write that did not finish, after a look that its files are whole, with
 * those tables that `look` names. Nothing is changed.
 * @throws {StoreError} LOG_CORRUPT with each fault of a file and the events that it costs; STORE_NOT_WRITABLE, IO_FAILED
 */
export async function checkDatabase(location: string, look: TableLook): Promise<{ readonly isTorn: boolean }> {
  const { faults, isTorn } = await lookAtDatabase(location, look);
  if (faults.length === 0) return { isTorn };
  const said = faults.map(({ message }) => message).join('; ');
  throw new StoreError('LOG_CORRUPT', `the log ${location} is damaged, and left as it is: ${said}`, {
    data: { location, faults },
  });
}

/**
 * Resolves with what the files of the database at `location` look like; nothing is changed. Files that another process changes while
 * they are looked at are in use, not damaged: LevelDB's lock then says so.
 * @throws {StoreError} STORE_NOT_WRITABLE, IO_FAILED
 */
export async function lookAtDatabase(location: string, look = newestTables()): Promise<DatabaseReport> {
  const first = await inspectDatabase(location, look).catch(() => undefined);
  // Most are whole. Only one that is not may have been changed meanwhile.
  if (first?.faults.length === 0 && !first.isTorn) return first;
  for (let looks = 0; looks < MAX_LOOKS; looks++) {
    const before = await fingerprint(location);
    const report = await inspectDatabase(location, look).catch((error: unknown) => error);
    if ((await fingerprint(location)) !== before) continue;
    if (report instanceof Error) throw ioFailure(`look at the log ${location}`, report);
    return report as DatabaseReport;
  }
  return { faults: [], isTorn: false, lastEvent: 0 };
}

async function fingerprint(location: string): Promise<string> {
  try {
    const names = (await readdir(location)).sort();
    const files = names.map(async (name) => {
      const { ino, size, mtimeNs } = await stat(join(location, name), { bigint: true });
      return [name, ino, size, mtimeNs].join(' ');
    });
    return (await Promise.all(files)).join('\n');
  } catch (error) {
    return systemCode(error);
  }
}
