import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { temporaryDirectory } from './temporary-directory.js';

/** A key and its certificate, PEM. */
interface Issued {
  readonly key: Buffer;
  readonly cert: Buffer;
}

/** A certificate authority of a test. */
interface Authority {
  /** Has `ca.pem`, and `NAME.key` and `NAME.pem` of each certificate. */
  readonly directory: string;
  readonly ca: Buffer;
  /** Signs a certificate of `subject`, such as `/CN=alice`; `names` as `IP:127.0.0.1,DNS:localhost`. */
  issue(name: string, subject: string, names?: string): Issued;
}

/** Makes a certificate authority by openssl. */
export async function authority(t: ExecutionContext): Promise<Authority> {
  const directory = await temporaryDirectory(t);
  const openssl = (...args: readonly string[]): void => {
    execFileSync('openssl', args, { cwd: directory, stdio: 'pipe' });
  };
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes'];
  openssl('req', '-x509', ...key, '-keyout', 'ca.key', '-out', 'ca.pem', '-subj', '/CN=authority', '-days', '2');
  const read = (name: string): Buffer => readFileSync(join(directory, name));
  const issue = (name: string, subject: string, names?: string): Issued => {
    openssl('req', ...key, '-keyout', `${name}.key`, '-out', `${name}.csr`, '-subj', subject);
    writeFileSync(join(directory, `${name}.ext`), names === undefined ? '' : `subjectAltName=${names}\n`);
    const by = ['-CA', 'ca.pem', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '2'];
    openssl('x509', '-req', '-in', `${name}.csr`, ...by, '-extfile', `${name}.ext`, '-out', `${name}.pem`);
    return { key: read(`${name}.key`), cert: read(`${name}.pem`) };
  };
  return { directory, ca: read('ca.pem'), issue };
}
