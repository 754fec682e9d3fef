import { resolve } from 'node:path';
import type { VerifyOptions } from '../verify/verify-options.js';
import { verifySource } from '../verify/verify.js';
import type { Violation } from '../verify/violation.js';
import { type BackupSource, openBackupSource } from './backup-source.js';

/** A backup that was verified. */
export interface VerifiedBackup {
  readonly source: BackupSource;
  /** Everything that is wrong with it; empty when nothing is. */
  readonly violations: readonly Violation[];
}

/**
 * Resolves with the backup in `directory` and what is wrong with it. `onOpen` is called before it is read, `onBytes` with each number
 * of bytes that was read.
 * @throws {StoreError} BACKUP_NOT_FOUND, STORE_FORMAT_UNSUPPORTED, IO_FAILED; KEY_INVALID; CHECKPOINT_INVALID, CHECKPOINT_FOREIGN and
 *   SIGNATURE_INVALID for a checkpoint in the options; ABORTED
 */
export async function verifyBackup(
  directory: string,
  options: VerifyOptions,
  reading: {
    readonly onOpen?: (source: BackupSource) => Promise<void>;
    readonly onBytes?: (bytes: number) => void;
  } = {},
): Promise<VerifiedBackup> {
  const violations: Violation[] = [];
  const source = await openBackupSource(resolve(directory), (violation) => violations.push(violation), reading.onBytes);
  if (source.isUnfinished) options.onNotice?.(unfinished(source));
  await reading.onOpen?.(source);
  const found = await verifySource(source, options);
  return { source, violations: violations.concat(found) };
}

function unfinished({ reader: { directory }, size }: BackupSource): string {
  const state = `what is whole is its state at ${size} events, and other files are ignored`;
  return `a backup to ${directory} was interrupted, or is still running: ${state}; run the backup again to tidy up`;
}
