import { join } from 'node:path';
import { isStoreError } from '../../errors.js';
import { readRegularFile } from '../files/regular-file.js';
import { FORMAT_VERSION, formatSidecar, readSidecar, type Sidecar, SIDECAR_FILE } from '../open/sidecar.js';
import type { SourceIdentity } from './verify-source.js';
import type { Report } from './violation.js';

/**
 * Resolves with which store a directory, or a backup, is of; undefined when its sidecar is missing or damaged, which is reported.
 * @throws {StoreError} STORE_FORMAT_UNSUPPORTED when a newer version wrote it, STORE_NOT_WRITABLE, IO_FAILED
 */
export async function readIdentity(directory: string, report: Report): Promise<SourceIdentity | undefined> {
  const place = SIDECAR_FILE;
  try {
    const sidecar = await readSidecar(directory);
    if (sidecar === undefined) {
      report({ code: 'SIDECAR_MISSING', place, message: `${place} is missing: which store this is nobody can tell` });
      return undefined;
    }
    if (!(await isAsWritten(directory, sidecar))) {
      report({ code: 'SIDECAR_DAMAGED', place, message: `${place} is not written as this version writes it` });
    }
    return sidecar;
  } catch (error) {
    if (!isStoreError(error, 'SIDECAR_INVALID')) throw error;
    report({ code: 'SIDECAR_DAMAGED', place, message: error.message });
    return undefined;
  }
}

async function isAsWritten(directory: string, sidecar: Sidecar): Promise<boolean> {
  const bytes = await readRegularFile(join(directory, SIDECAR_FILE));
  return sidecar.version === FORMAT_VERSION && new TextDecoder().decode(bytes) === formatSidecar(sidecar);
}
