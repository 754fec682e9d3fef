import { readFileSync, statSync } from 'node:fs';
import { createRequire } from 'node:module';
import { basename, join } from 'node:path';
import { Script } from 'node:vm';
import { codeFolder, type KeptCode, readCode, writeCode } from './compiled-code.js';

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
