import { lstat } from 'node:fs/promises';
import { isStoreError, StoreError } from '../../errors.js';
import { MAX_KEY_FILE_BYTES } from '../../limits.js';
import { generatePrivateKey, type NoteSigner, parsePrivateKey } from '../../log/note-key.js';
import { decodeStrictUtf8 } from '../../log/strict-utf8.js';
import { createDurableFile, ioFailure, removeDurably, systemCode } from '../files/durable-file.js';
import { NotAFile, openRegularFile, readRegularFile } from '../files/regular-file.js';
import { memoryPathOf } from './signing-memory.js';

/** Permissions of anybody but the owner. */
const OTHERS = 0o077;

/** What `createKeyFile` of the library does, which says how. */
export async function createKeyFile(path: string, origin: string): Promise<string> {
  if (await isAnythingAt(memoryPathOf(path))) throw taken(memoryPathOf(path));
  const text = await generatePrivateKey(origin);
  const { verifierKey } = await parsePrivateKey(text);
  const bytes = new TextEncoder().encode(`${text}\n`);
  try {
    // A crash before its end leaves no key, or a whole one, which `readKeyText` gives the verifier
    // key of.
    if (await createDurableFile(path, bytes)) return verifierKey;
  } catch (error) {
    throw await withdrawn(path, bytes, { verifierKey, error });
  }
  throw taken(path);
}

/**
 * Removes the key `bytes` that a failure left at `path`: nobody knows its verifier key. Resolves
 * with the error to throw.
 */
async function withdrawn(
  path: string,
  bytes: Uint8Array,
  { verifierKey, error }: { readonly verifierKey: string; readonly error: unknown },
): Promise<unknown> {
  try {
    const found = await readRegularFile(path, { limitBytes: MAX_KEY_FILE_BYTES });
    // Others may have made theirs meanwhile.
    if (found !== undefined && Buffer.compare(found, bytes) === 0) await removeDurably(path);
    return error;
  } catch (cause) {
    if (!isStoreError(error) || cause instanceof NotAFile) return error;
    const text = `${error.message}; the key could not be removed again and may be used: its verifier key is ${verifierKey}`;
    return new StoreError(error.code, text, { cause: error, data: { ...error.data, path, verifierKey } });
  }
}

async function isAnythingAt(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if (systemCode(error) === 'ENOENT') return false;
    throw ioFailure(`look at ${path}`, error);
  }
}

/**
 * Resolves with the key in the file `path`.
 * @throws {StoreError} FILE_NOT_FOUND; KEY_EXPOSED when others than its owner may read or write it; KEY_INVALID; IO_FAILED
 */
export async function readKeyFile(path: string): Promise<NoteSigner> {
  return parsePrivateKey(await readKeyText(path, 'private'));
}

/**
 * Resolves with the one line of a file that holds a key; of a private one, only when nobody but its owner has it.
 * @throws {StoreError} as above
 */
export async function readKeyText(path: string, kind: 'private' | 'any'): Promise<string> {
  try {
    await using file = await openRegularFile(path, { links: 'followed' });
    const stats = await file.stat();
    if (stats.size > MAX_KEY_FILE_BYTES) {
      throw new StoreError('KEY_INVALID', `${path} holds no key: it is ${stats.size} bytes`, { data: { path } });
    }
    // Windows has no such permissions.
    const isExposed = process.platform !== 'win32' && (stats.mode & OTHERS) !== 0;
    if (kind === 'private' && isExposed) throw exposed(path, stats.mode);
    const text = decodeStrictUtf8(await file.readFile())?.replace(/\n$/, '') ?? '';
    if (isExposed && text.startsWith('PRIVATE')) throw exposed(path, stats.mode);
    return text;
  } catch (error) {
    if (error instanceof NotAFile) {
      throw new StoreError('KEY_INVALID', `${path} holds no key: it is no file`, { cause: error, data: { path } });
    }
    if (systemCode(error) === 'ENOENT') {
      throw new StoreError('FILE_NOT_FOUND', `no key in ${path}: the file is not there`, {
        cause: error,
        data: { path },
      });
    }
    throw ioFailure(`read the key ${path}`, error);
  }
}

function taken(path: string): StoreError {
  return new StoreError('FILE_EXISTS', `cannot make a key: ${path} is there already`, { data: { path } });
}

function exposed(path: string, mode: number): StoreError {
  const found = `0${(mode & 0o777).toString(8)}`;
  return new StoreError(
    'KEY_EXPOSED',
    `others can read or write the private key ${path}: mode ${found}, expected 0600`,
    {
      data: { path, mode: found },
    },
  );
}
