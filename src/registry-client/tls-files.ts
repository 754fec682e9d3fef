import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { rootCertificates } from 'node:tls';
import { systemCode } from '../store/files/files.js';
import { StoreError } from '../errors.js';

/** What TLS to a host uses besides Node's own certificates. */
export interface TlsFiles {
  readonly ca?: string[];
  readonly cert?: string;
  readonly key?: string;
}

const FOLDERS = ['/etc/docker/certs.d', '/etc/containers/certs.d'];

/**
 * Reads docker's certificates of a host: `*.crt` are authorities, `*.cert` with `*.key` is that of
 * the client. The first folder that has the host counts.
 * @throws {StoreError} IO_FAILED
 */
export function tlsFilesOf(host: string, folders: readonly string[] = FOLDERS): TlsFiles {
  for (const folder of folders) {
    const path = join(folder, host);
    const names = namesOrNone(path);
    if (names.length === 0) continue;
    const read = (suffix: string): string[] =>
      names.filter((name) => name.endsWith(suffix)).map((name) => readFileSync(join(path, name), 'utf8'));
    const [authorities, [cert], [key]] = [read('.crt'), read('.cert'), read('.key')];
    return {
      ...(authorities.length === 0 ? {} : { ca: [...rootCertificates, ...authorities] }),
      ...(cert === undefined || key === undefined ? {} : { cert, key }),
    };
  }
  return {};
}

function namesOrNone(path: string): readonly string[] {
  try {
    return readdirSync(path).sort();
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(systemCode(error))) return [];
    throw new StoreError('IO_FAILED', `cannot read the certificates in ${path}`, { cause: error, data: { path } });
  }
}
