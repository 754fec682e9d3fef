import { lstat, readdir, rm } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import { isStoreError, StoreError } from '../errors.js';
import { MAX_KEY_FILE_BYTES, MAX_NOTE_BYTES } from '../limits.js';
import {
  checkOriginOf,
  type Checkpoint,
  formatCheckpoint,
  parseCheckpoint,
  signCheckpoint,
} from '../log/checkpoint.js';
import {
  createDurableFile,
  inSystem,
  ioFailure,
  isOwnDirectory,
  makeDurableDirectory,
  NotAFile,
  openRegularFile,
  readRegularFile,
  removeDurably,
  syncDirectory,
  systemCode,
  unless,
} from './files/files.js';
import { generatePrivateKey, type NoteSigner, parsePrivateKey } from '../log/note.js';
import { decodeStrictUtf8 } from '../model/record-fields.js';
import type { TreeHead } from '../log/merkle.js';
import { equalBytes } from '../model/bytes.js';

/** The last checkpoint a key signed, with its number in the memory. */
interface Remembered {
  readonly number: number;
  readonly text: string;
  readonly checkpoint: Checkpoint;
}

/** Returns the path of the signing memory of the private key at `keyPath`. */
function memoryPathOf(keyPath: string): string {
  return `${keyPath}.signed`;
}

/**
 * The checkpoints a private key signed, kept in the folder `FILE.signed` beside it: one file each,
 * the last two. Safe for concurrent processes without a lock that a killed one would leave behind:
 * only one of them can create number n+1, and the loser of that race reads the memory again.
 */
export class SigningMemory {
  readonly #directory: string;

  constructor(keyPath: string) {
    this.#directory = memoryPathOf(keyPath);
  }

  /**
   * Resolves with the newest checkpoint the key signed or was about to sign; undefined before the
   * first.
   * @throws {StoreError} CHECKPOINT_INVALID when its file is damaged
   */
  async last(): Promise<Remembered | undefined> {
    for (;;) {
      const number = (await this.#numbers()).reduce((most, each) => Math.max(most, each), 0);
      if (number === 0) return undefined;
      const text = await this.#read(number);
      if (text !== undefined) return { number, text, checkpoint: this.#parse(number, text) };
      // Race: others signed meanwhile and removed it as too old.
    }
  }

  /**
   * Records `checkpoint` as the successor of `last`, durable on return. Resolves with false if
   * another was recorded since.
   */
  async advance(last: Remembered | undefined, checkpoint: Checkpoint): Promise<boolean> {
    const number = (last?.number ?? 0) + 1;
    await makeDurableDirectory(dirname(this.#directory), basename(this.#directory));
    const bytes = new TextEncoder().encode(formatCheckpoint(checkpoint));
    if (!(await createDurableFile(this.#path(number), bytes))) return false;
    // The number is also free if others used and removed it meanwhile. But then newer ones exist,
    // and `last` was removed before it: the oldest is removed first, once two newer ones exist.
    const numbers = await this.#numbers();
    const isLastThere = last === undefined || (await this.#read(last.number)) === last.text;
    if (!isLastThere || numbers.some((each) => each > number)) {
      await this.#forget(number);
      return false;
    }
    // A crash here leaves old files, which the next call removes.
    const old = numbers.filter((each) => each < number - 1).sort((a, b) => a - b);
    for (const each of old) await this.#forget(each);
    return true;
  }

  /** Makes the result of `last` durable. */
  sync(): Promise<void> {
    return inSystem(`sync ${this.#directory}`, () => syncDirectory(this.#directory));
  }

  #path(number: number): string {
    return join(this.#directory, `${number}`);
  }

  async #numbers(): Promise<number[]> {
    if (!(await isOwnDirectory(this.#directory))) return [];
    const names = await inSystem(`read ${this.#directory}`, () => readdir(this.#directory));
    return names.filter((name) => /^[1-9]\d{0,14}$/.test(name)).map(Number);
  }

  async #read(number: number): Promise<string | undefined> {
    const bytes = await readRegularFile(this.#path(number), { limitBytes: MAX_NOTE_BYTES });
    return bytes && new TextDecoder().decode(bytes);
  }

  #parse(number: number, text: string): Checkpoint {
    try {
      return parseCheckpoint(text);
    } catch (cause) {
      const path = this.#path(number);
      const message = `cannot tell what the key signed last: ${path} is not a checkpoint. Nothing is signed; make a new key`;
      throw new StoreError('CHECKPOINT_INVALID', message, { cause, data: { path } });
    }
  }

  #forget(number: number): Promise<void> {
    return inSystem(`remove ${this.#path(number)}`, () => rm(this.#path(number), { force: true }));
  }
}

/** Permission bits of everyone but the owner. */
const OTHERS = 0o077;

/** A path that names no log: names are like URLs without a scheme. */
const PATH = /^(?:\.{0,2}|~)[/\\]|^[A-Za-z]:[/\\]/;

/** Implements `createKeyFile` of the library; see there. */
export async function createKeyFile(path: string, origin: string): Promise<string> {
  if (PATH.test(origin)) {
    const text = `${JSON.stringify(origin)} cannot name a log or a key: it is a path, which comes first, then the name`;
    throw new StoreError('ORIGIN_INVALID', text, { data: { path, origin } });
  }
  const memory = memoryPathOf(path);
  if ((await unless(['ENOENT'], `inspect ${memory}`, () => lstat(memory))) !== undefined) throw taken(memory);
  const folder = dirname(path);
  if ((await unless(['ENOENT'], `inspect ${folder}`, () => lstat(folder))) === undefined) {
    throw new StoreError('FILE_NOT_FOUND', `cannot write ${path}: its directory is not there`, { data: { path } });
  }
  const text = await generatePrivateKey(origin);
  const { verifierKey } = await parsePrivateKey(text);
  const bytes = new TextEncoder().encode(`${text}\n`);
  try {
    // A crash before the end leaves no key or a whole one, whose verifier key `readKeyText` gives.
    if (await createDurableFile(path, bytes)) return verifierKey;
  } catch (error) {
    throw await withdrawn(path, bytes, verifierKey, error);
  }
  throw taken(path);
}

/**
 * Removes the key `bytes` a failure left at `path`, as its verifier key was never returned.
 * Resolves with the error to throw.
 */
async function withdrawn(path: string, bytes: Uint8Array, verifierKey: string, error: unknown): Promise<unknown> {
  try {
    const found = await readRegularFile(path, { limitBytes: MAX_KEY_FILE_BYTES });
    // Another process may have created its own meanwhile.
    if (found !== undefined && equalBytes(found, bytes)) await removeDurably(path);
    return error;
  } catch (cause) {
    if (!isStoreError(error) || cause instanceof NotAFile) return error;
    const text = `${error.message}; the key could not be removed again and may be used: its verifier key is ${verifierKey}`;
    return new StoreError(error.code, text, { cause: error, data: { ...error.data, path, verifierKey } });
  }
}

/**
 * Resolves with the key in the file `path`.
 * @throws {StoreError} FILE_NOT_FOUND; KEY_EXPOSED when others than its owner may read or write it;
 *   KEY_INVALID
 */
export async function readKeyFile(path: string): Promise<NoteSigner> {
  return parsePrivateKey(await readKeyText(path, 'private'));
}

/**
 * Resolves with the one-line key in a file; refuses a private key that others can access.
 * @throws {StoreError} as `readKeyFile`
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
      throw new StoreError('KEY_INVALID', `${path} holds no key: it is not a file`, { cause: error, data: { path } });
    }
    if (systemCode(error) === 'ENOENT') {
      const message = `no key in ${path}: the file is not there`;
      throw new StoreError('FILE_NOT_FOUND', message, { cause: error, data: { path } });
    }
    throw ioFailure(`read the key ${path}`, error);
  }
}

function taken(path: string): StoreError {
  return new StoreError('FILE_EXISTS', `cannot make a key: ${path} is there already`, { data: { path } });
}

function exposed(path: string, mode: number): StoreError {
  const found = `0${(mode & 0o777).toString(8)}`;
  const message = `others can read or write the private key ${path}: mode ${found}, expected 0600`;
  return new StoreError('KEY_EXPOSED', message, { data: { path, mode: found } });
}

/**
 * Whether the log of a checkpoint begins with an earlier tree; false also if that is larger than
 * the log.
 * @throws what reading the log throws
 */
export type BeginsWith = (earlier: TreeHead) => Promise<boolean>;

/**
 * Signs the checkpoints of one log.
 *
 * Implementers: never sign two checkpoints of which neither log begins with the other (C2SP
 * tlog-checkpoint, Signatures), even across crashes and concurrent users of the key. Record each
 * checkpoint durably before returning its signature.
 */
export interface CheckpointSigner {
  /** Name of the key, and of the only log it signs for. */
  readonly origin: string;
  /** Verifies the signatures; in the key format of Go's sumdb/note. */
  readonly verifierKey: string;
  /**
   * Checks that the log begins with everything signed so far.
   * @throws {StoreError} CHECKPOINT_FORKED when it does not
   */
  check(beginsWith: BeginsWith): Promise<void>;
  /**
   * Resolves with the signed text of `checkpoint`, a tree of the log that `beginsWith` reads.
   * @throws {StoreError} CHECKPOINT_FORKED, CHECKPOINT_FOREIGN
   */
  sign(checkpoint: Checkpoint, beginsWith: BeginsWith): Promise<string>;
}

/** Implements `readSigner` of the library; see there. */
export async function readSigner(path: string): Promise<CheckpointSigner> {
  return new KeyFileSigner(await readKeyFile(path), new SigningMemory(path));
}

/**
 * Checks that a key of this name may sign for the log `origin`.
 * @throws {StoreError} KEY_FOREIGN
 */
export function checkKeyName(name: string, origin: string): void {
  if (name === origin) return;
  const message = `the key is of the log ${JSON.stringify(name)}, this one is ${JSON.stringify(origin)}`;
  throw new StoreError('KEY_FOREIGN', message, { data: { name, origin } });
}

class KeyFileSigner implements CheckpointSigner {
  readonly #key: NoteSigner;
  readonly #memory: SigningMemory;

  constructor(key: NoteSigner, memory: SigningMemory) {
    this.#key = key;
    this.#memory = memory;
  }

  get origin(): string {
    return this.#key.name;
  }

  get verifierKey(): string {
    return this.#key.verifierKey;
  }

  async check(beginsWith: BeginsWith): Promise<void> {
    await this.#lastIn(beginsWith);
  }

  async sign(checkpoint: Checkpoint, beginsWith: BeginsWith): Promise<string> {
    checkOriginOf(checkpoint, this.origin);
    for (;;) {
      const last = await this.#lastIn(beginsWith);
      // A tree already signed, or a prefix of one, need not be recorded again.
      const isRemembered = last !== undefined && last.checkpoint.size >= checkpoint.size;
      // Its writer may have failed or still be running: its name may not be durable yet.
      if (isRemembered) await this.#memory.sync();
      if (isRemembered || (await this.#memory.advance(last, checkpoint))) break;
    }
    // A crash before this leaves a record of a signature nobody has; after it, a recorded one.
    return signCheckpoint(checkpoint, this.#key);
  }

  /** Resolves with what the key signed last, with which the log must begin. */
  async #lastIn(beginsWith: BeginsWith): Promise<Remembered | undefined> {
    const last = await this.#memory.last();
    if (last === undefined) return undefined;
    const { origin } = this;
    checkOriginOf(last.checkpoint, origin);
    if (await beginsWith(last.checkpoint)) return last;
    const { size } = last.checkpoint;
    const message = `the key of ${origin} signed a log of ${size} events that this one does not begin with`;
    throw new StoreError('CHECKPOINT_FORKED', message, { data: { origin, size } });
  }
}
