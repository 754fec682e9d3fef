import {
  closeSync,
  constants,
  existsSync,
  fstatSync,
  lstatSync,
  mkdirSync,
  openSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  type Stats,
  statSync,
  writeFileSync,
} from 'node:fs';
import { createRequire } from 'node:module';
import { basename, dirname, isAbsolute, join } from 'node:path';
import { Script } from 'node:vm';
import { crc32 } from 'node:zlib';

/*
 * Files of compiled code. Anyone who can write to one runs code as this user, and V8 checks little of
 * what it is given: only files that nobody else can change are read, and only whole ones.
 */

/** Compiled code, and the commands whose functions it has. */
interface KeptCode {
  readonly commands: readonly string[];
  readonly code: Buffer;
}

/** Not `imagelog`: where one folder is for data and caches, that is the store of commands without `--store`. */
const FOLDER = 'imagelog-code';
const FOLDER_MODE = 0o700;
const FILE_MODE = 0o600;
const OTHERS_MAY_WRITE = 0o022;
const STICKY = 0o1000;
const SUFFIX = '.code';
/** The length of the names of commands, and a checksum of all that is before it: the end of a file. */
const LENGTH_BYTES = 4;
const CHECKSUM_BYTES = 4;
/** Files of other scripts, and of other versions of them and of Node, that stay beside a new one. */
const MAX_OTHER_FILES = 15;

/**
 * Returns the folder for compiled code, `imagelog-code` in the user's cache folder (XDG Base Directory
 * Specification), made if it is missing. Undefined where somebody but `user` and root could change
 * what is in it, where it cannot be made, and with $NODE_DISABLE_COMPILE_CACHE, as for Node.
 */
export function codeFolder(env: NodeJS.ProcessEnv, user: number | undefined): string | undefined {
  const cache = env['XDG_CACHE_HOME'] || (env['HOME'] && join(env['HOME'], '.cache'));
  if (env['NODE_DISABLE_COMPILE_CACHE'] || !cache || !isAbsolute(cache) || user === undefined) return undefined;
  const folder = join(cache, FOLDER);
  try {
    // Nothing is made where it would not be used, as by root in the home of somebody else.
    const missing: string[] = [];
    for (let at = folder; !existsSync(at); at = dirname(at)) missing.unshift(at);
    if (!areHeld(realpathSync(dirname(missing[0] ?? folder)), user)) return undefined;
    // One by one: Node's recursive form can wait forever for a file system that refuses the first.
    for (const each of missing) mkdirSync(each, { mode: FOLDER_MODE });
    const real = realpathSync(folder);
    return isSafe(real, user) ? real : undefined;
  } catch {
    // As on a read-only file system: the command works without.
    return undefined;
  }
}

/** Whether only `user` and root may change what is in the folder; its path has no links. */
function isSafe(folder: string, user: number): boolean {
  const stats = lstatSync(folder);
  return stats.isDirectory() && isOwn(stats, user) && areHeld(dirname(folder), user);
}

/** Whether `isHeld` is true of the folder and of each above it. */
function areHeld(folder: string, user: number): boolean {
  for (let at = folder; isHeld(lstatSync(at), user); at = dirname(at)) if (dirname(at) === at) return true;
  return false;
}

function isOwn({ uid, mode }: Stats, user: number): boolean {
  return uid === user && (mode & OTHERS_MAY_WRITE) === 0;
}

/** Whether others can neither rename nor replace what `user` has in the folder. */
function isHeld({ uid, mode }: Stats, user: number): boolean {
  return (uid === user || uid === 0) && ((mode & OTHERS_MAY_WRITE) === 0 || (mode & STICKY) !== 0);
}

/** Returns what `writeCode` wrote under this name; undefined when it is missing, torn, or not of `user`. */
export function readCode(folder: string, name: string, user: number): KeptCode | undefined {
  try {
    const file = openSync(
      join(folder, name + SUFFIX),
      constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK,
    );
    try {
      const stats = fstatSync(file);
      return stats.isFile() && isOwn(stats, user) ? parseCode(readFileSync(file)) : undefined;
    } finally {
      closeSync(file);
    }
  } catch {
    return undefined;
  }
}

function parseCode(bytes: Buffer): KeptCode | undefined {
  const end = bytes.length - CHECKSUM_BYTES;
  if (end < LENGTH_BYTES || crc32(bytes.subarray(0, end)) !== bytes.readUInt32LE(end)) return undefined;
  const namesEnd = end - LENGTH_BYTES;
  const codeEnd = namesEnd - bytes.readUInt32LE(namesEnd);
  // The code is first, as V8 copies what is not aligned.
  return { commands: bytes.toString('utf8', codeEnd, namesEnd).split(' '), code: bytes.subarray(0, codeEnd) };
}

/** Writes compiled code, or nothing when that fails: the command has done its work. */
export function writeCode(folder: string, name: string, { commands, code }: KeptCode): void {
  const path = join(folder, name + SUFFIX);
  const temporary = `${path}.${process.pid}`;
  try {
    const names = Buffer.from(commands.join(' '));
    const bytes = Buffer.concat([code, names, Buffer.alloc(LENGTH_BYTES + CHECKSUM_BYTES)]);
    const end = bytes.length - CHECKSUM_BYTES;
    bytes.writeUInt32LE(names.length, end - LENGTH_BYTES);
    bytes.writeUInt32LE(crc32(bytes.subarray(0, end)), end);
    writeFileSync(temporary, bytes, { mode: FILE_MODE, flag: 'wx' });
    renameSync(temporary, path);
    removeOldFiles(folder);
  } catch {
    removeQuietly(temporary);
  }
}

function removeQuietly(path: string): void {
  try {
    rmSync(path, { force: true });
  } catch {
    // The next new file removes it.
  }
}

function removeOldFiles(folder: string): void {
  const files = readdirSync(folder)
    .filter((name) => name.includes(SUFFIX))
    .map((name) => ({ name, changedMs: lstatSync(join(folder, name)).mtimeMs }))
    .sort((a, b) => b.changedMs - a.changedMs);
  for (const { name } of files.slice(1 + MAX_OTHER_FILES)) removeQuietly(join(folder, name));
}

/*
 * Compiling takes two thirds of a start. Node's own cache (22.8 and newer) has the code of modules,
 * but none of their functions, as it is made before they run; this one has those that were called.
 */

/** What a file of ours evaluates to: the function that Node makes of a file of CommonJS. */
type Wrapped = (exports: object, require: unknown, module: object, filename: string, dirname: string) => void;

interface LoadedScript {
  readonly script: Script;
  /** Of its compiled code. */
  readonly name: string;
  readonly kept: KeptCode | undefined;
}

/** Loads scripts with the compiled code that is kept of them, each once. */
export class KeptScripts {
  readonly #directory: string;
  readonly #user: number | undefined;
  readonly #folder: string | undefined;
  readonly #require: NodeJS.Require;
  readonly #modules = new Map<string, { readonly exports: object }>();
  readonly #loaded: LoadedScript[] = [];

  /** Loads from `directory`; keeps code where `codeFolder` says for `env` and `user`. */
  constructor(directory: string, env: NodeJS.ProcessEnv, user: number | undefined) {
    this.#directory = directory;
    this.#user = user;
    this.#folder = codeFolder(env, user);
    this.#require = createRequire(join(directory, 'any.cjs'));
  }

  /** Returns what the script in the file `name` exports; its `require('./…')` loads others. */
  load(name: string): object {
    const known = this.#modules.get(name);
    if (known !== undefined) return known.exports;
    const path = join(this.#directory, name);
    const { script } = this.#compiled(name, path);
    const module = { exports: {} };
    this.#modules.set(name, module);
    const require = (id: string): unknown => (id.startsWith('./') ? this.load(basename(id)) : this.#require(id));
    (script.runInThisContext() as Wrapped)(module.exports, require, module, path, this.#directory);
    return module.exports;
  }

  /** Keeps the code of all scripts, once `command` has run, if it may have used functions that are not kept. */
  keep(command: string): void {
    if (this.#folder === undefined) return;
    for (const { script, name, kept } of this.#loaded) {
      const commands = script.cachedDataRejected === true ? [] : (kept?.commands ?? []);
      if (commands.includes(command)) continue;
      writeCode(this.#folder, name, { commands: [...commands, command], code: script.createCachedData() });
    }
  }

  #compiled(file: string, path: string): LoadedScript {
    // V8 takes the code of any source of the same length: a file that somebody edits has another time.
    const name = `${file}-${statSync(path).mtimeMs}-${process.version}-${process.arch}`;
    const kept =
      this.#folder === undefined || this.#user === undefined ? undefined : readCode(this.#folder, name, this.#user);
    // Our scripts are ASCII: one byte a character is read fastest.
    const script = new Script(readFileSync(path, 'latin1'), { filename: path, cachedData: kept?.code });
    const loaded = { script, name, kept };
    this.#loaded.push(loaded);
    return loaded;
  }
}
