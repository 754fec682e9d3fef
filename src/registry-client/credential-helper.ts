import { spawn } from 'node:child_process';
import { CREDENTIAL_HELPER_MS, MAX_CREDENTIAL_FILE_BYTES } from '../limits.js';
import { systemCode } from '../store/files/files.js';

/** What a helper answered: a secret, or in a few words why not. */
interface HelperAnswer {
  readonly outcome: string;
  readonly secret?: { readonly username: string; readonly secret: string };
}

interface HelperOptions {
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds that it may take; default CREDENTIAL_HELPER_MS. */
  readonly helperMs?: number | undefined;
}

/** The text that docker's helpers print for a host that they do not know. */
const NOT_FOUND = /credentials not found/i;

/**
 * Asks the program `docker-credential-NAME` for the credentials of `server` (docker-credential-helpers:
 * `get`, the server on the standard input, JSON on the standard output). Never rejects.
 */
export async function askHelper(name: string, server: string, options: HelperOptions): Promise<HelperAnswer> {
  // A name is part of a program's, never a path.
  if (!/^[\w.-]+$/.test(name)) return { outcome: 'not the name of a helper' };
  try {
    const { code, text } = await runHelper(`docker-credential-${name}`, server, options);
    if (NOT_FOUND.test(text)) return { outcome: `nothing for ${server}` };
    if (code === null) return { outcome: 'took too long or was stopped' };
    if (code !== 0) return { outcome: `failed with exit code ${code}` };
    return secretOf(text);
  } catch (error) {
    return { outcome: systemCode(error) === 'ENOENT' ? 'not installed' : 'could not be run' };
  }
}

function runHelper(
  program: string,
  server: string,
  { env, signal, helperMs = CREDENTIAL_HELPER_MS }: HelperOptions,
): Promise<{ readonly code: number | null; readonly text: string }> {
  return new Promise((resolve, reject) => {
    const child = spawn(program, ['get'], {
      env: { ...env },
      stdio: ['pipe', 'pipe', 'ignore'],
      ...(signal === undefined ? {} : { signal }),
    });
    // Node's own limit would outlive a program that is not there.
    const limit = setTimeout(() => child.kill(), helperMs);
    let text = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      if (text.length > MAX_CREDENTIAL_FILE_BYTES) child.kill();
    });
    // A helper that does not read its input ends anyway.
    child.stdin.on('error', () => undefined).end(server);
    child.once('error', (error) => {
      clearTimeout(limit);
      reject(error);
    });
    child.once('close', (code) => {
      clearTimeout(limit);
      resolve({ code, text });
    });
  });
}

function secretOf(text: string): HelperAnswer {
  try {
    const { Username: username, Secret: secret } = JSON.parse(text) as { Username?: unknown; Secret?: unknown };
    if (typeof username === 'string' && typeof secret === 'string' && secret !== '') {
      return { outcome: 'found', secret: { username, secret } };
    }
    return { outcome: 'gave no secret' };
  } catch {
    // The error would quote what was printed, which may be secret.
    return { outcome: 'printed no JSON' };
  }
}
