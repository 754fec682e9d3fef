import { spawn } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { CREDENTIAL_HELPER_MS, MAX_CREDENTIAL_FILE_BYTES } from '../limits.js';
import { systemCode } from '../store/files/files.js';

/** What a registry is told of who asks. Never printed. */
export type Credentials =
  | { readonly type: 'password'; readonly username: string; readonly password: string }
  /** A refresh token: exchanged for an access token (docker's `identitytoken`). */
  | { readonly type: 'identity'; readonly token: string }
  /** An access token, sent as it is (docker's `registrytoken`). */
  | { readonly type: 'access'; readonly token: string };

/** The outcome of a search: what was found, and each place that was searched. */
export interface FoundCredentials {
  readonly credentials: Credentials | undefined;
  /** Places in order, each with what was found there; nothing in them is secret. */
  readonly places: readonly string[];
}

/** Finds credentials of a repository. */
export type FindCredentials = (host: string, path: string, signal?: AbortSignal) => Promise<FoundCredentials>;

type Environment = Readonly<Record<string, string | undefined>>;

/** Docker's own registry has this key in its files, and helpers know it by it. */
const DOCKER_HUB = 'docker.io';
const DOCKER_HUB_KEY = 'https://index.docker.io/v1/';
/** Docker's user name of an identity token that a helper gives. */
const IDENTITY_USER = '<token>';

/** The parts of docker's config.json and podman's auth.json that matter here. */
interface CredentialFile {
  readonly auths: Readonly<Record<string, unknown>>;
  readonly credHelpers: Readonly<Record<string, unknown>>;
  readonly credsStore: unknown;
}

/**
 * Returns a search through the files that docker and podman write, and the helpers they name:
 * `$REGISTRY_AUTH_FILE` alone if set; else `$DOCKER_CONFIG/config.json` or `~/.docker/config.json`,
 * then podman's. A file or helper that fails counts as one without credentials, and is named.
 */
export function credentialFinder(env: Environment): FindCredentials {
  return async (host, path, signal) => {
    const places: string[] = [];
    for (const file of credentialFiles(env)) {
      const content = await readCredentialFile(file);
      if (typeof content === 'string') {
        places.push(`${file} (${content})`);
        continue;
      }
      const found = await inFile(content, { host, path, env, signal });
      places.push(`${file} (${found.place})`);
      if (found.credentials !== undefined) return { credentials: found.credentials, places };
    }
    return { credentials: undefined, places };
  };
}

function credentialFiles(env: Environment): readonly string[] {
  const named = env['REGISTRY_AUTH_FILE'];
  if (named) return [named];
  const home = env['HOME'] || homedir();
  const runtime = env['XDG_RUNTIME_DIR'];
  return [
    join(env['DOCKER_CONFIG'] || join(home, '.docker'), 'config.json'),
    ...(runtime ? [join(runtime, 'containers', 'auth.json')] : []),
    join(env['XDG_CONFIG_HOME'] || join(home, '.config'), 'containers', 'auth.json'),
  ];
}

/** Returns the file, or a short reason why it cannot be used. */
async function readCredentialFile(path: string): Promise<CredentialFile | string> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    return systemCode(error) === 'ENOENT' ? 'not there' : `cannot be read: ${systemCode(error)}`;
  }
  if (text.length > MAX_CREDENTIAL_FILE_BYTES) return 'too large';
  try {
    const { auths, credHelpers, credsStore } = recordOf(JSON.parse(text));
    return { auths: recordOf(auths), credHelpers: recordOf(credHelpers), credsStore };
  } catch {
    // The error would quote the file, which has passwords.
    return 'not JSON';
  }
}

interface Search {
  readonly host: string;
  readonly path: string;
  readonly env: Environment;
  readonly signal: AbortSignal | undefined;
}

async function inFile(
  { auths, credHelpers, credsStore }: CredentialFile,
  search: Search,
): Promise<{ readonly place: string; readonly credentials?: Credentials }> {
  const { host, path } = search;
  const keys = keysOf(host);
  const helper = keys.map((key) => credHelpers[key]).find((name) => typeof name === 'string') ?? credsStore;
  let place = `nothing for ${host}`;
  if (typeof helper === 'string' && helper !== '') {
    const answer = await askHelper(helper, host === DOCKER_HUB ? DOCKER_HUB_KEY : host, search);
    place = `docker-credential-${helper}: ${answer.outcome}`;
    if (answer.secret !== undefined) return { place, credentials: fromHelper(answer.secret) };
  }
  for (const key of [...namespaces(host, path), ...keys]) {
    const credentials = fromEntry(recordOf(auths[key]));
    if (credentials !== undefined) return { place: `found ${key}`, credentials };
  }
  return { place };
}

/** The keys that docker's versions wrote for a host. */
function keysOf(host: string): readonly string[] {
  const plain = [host, `https://${host}`, `http://${host}`, `https://${host}/v1/`, `https://${host}/v2/`];
  return host === DOCKER_HUB ? [...plain, DOCKER_HUB_KEY, 'index.docker.io'] : plain;
}

/** Podman's keys of parts of a host, the longest first (containers-auth.json). */
function namespaces(host: string, path: string): readonly string[] {
  const parts = path.split('/');
  return parts.map((_, at) => `${host}/${parts.slice(0, parts.length - at).join('/')}`);
}

function fromHelper({ username, secret }: { readonly username: string; readonly secret: string }): Credentials {
  if (username === IDENTITY_USER) return { type: 'identity', token: secret };
  return { type: 'password', username, password: secret };
}

function fromEntry(entry: Readonly<Record<string, unknown>>): Credentials | undefined {
  const { auth, username, password, identitytoken, registrytoken } = entry;
  if (isText(registrytoken)) return { type: 'access', token: registrytoken };
  if (isText(identitytoken)) return { type: 'identity', token: identitytoken };
  if (isText(auth)) {
    const text = Buffer.from(auth, 'base64').toString('utf8');
    const colon = text.indexOf(':');
    // Docker pads short passwords with NUL.
    if (colon > 0)
      return { type: 'password', username: text.slice(0, colon), password: text.slice(colon + 1).replace(/\0+$/, '') };
  }
  if (isText(username) && isText(password)) return { type: 'password', username, password };
  return undefined;
}

function isText(value: unknown): value is string {
  return typeof value === 'string' && value !== '';
}

/** Returns `value` if it is an object, else an empty one. */
export function recordOf(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? { ...value } : {};
}

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
