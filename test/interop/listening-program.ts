import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { projectRoot } from '../support/fixtures.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { runProgram } from './run-program.js';

const START_MS = 30_000;
/** A program outlives neither its tests nor this. */
const LIFE_SECONDS = 300;

/** A server that runs until its test ends. */
export interface ListeningProgram {
  /** Where it listens, such as `127.0.0.1:40123`. */
  readonly host: string;
  /** Stops it and resolves with its exit code, or with the signal that ended it. */
  stop(): Promise<number | NodeJS.Signals>;
}

const running = new Set<ChildProcess>();
process.once('exit', () => {
  for (const child of running) child.kill();
});

/** Starts a server at a port of the system's choice, which it prints in what matches `address`. */
export async function startListening(
  program: string,
  args: readonly string[],
  address: RegExp,
): Promise<ListeningProgram> {
  // In the foreground it passes a signal on once; else to its group too, and a second one ends our server at once.
  const limits = ['--foreground', `${LIFE_SECONDS}`];
  const child = spawn('timeout', [...limits, program, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  running.add(child);
  const ended = once(child, 'close').then(([code, signal]) => (code ?? signal) as number | NodeJS.Signals);
  let printed = '';
  const host = await new Promise<string>((resolve, reject) => {
    const fail = (): void => reject(new Error(`${program} does not listen: ${printed.trim().split('\n').at(-1)}`));
    const timer = setTimeout(fail, START_MS);
    const read = (text: Buffer): void => {
      printed += text.toString();
      const [, found] = address.exec(printed) ?? [];
      if (found === undefined) return;
      clearTimeout(timer);
      resolve(found);
    };
    child.stdout.on('data', read);
    child.stderr.on('data', read);
    void ended.then(fail);
  });
  return {
    host,
    stop: () => {
      running.delete(child);
      child.kill();
      return ended;
    },
  };
}

/** The bundled command. */
export const COMMAND = join(projectRoot, 'dist', 'cli.cjs');

/** The command of the package, serving its own store. */
export interface ServedCommand extends ListeningProgram {
  /** Its directory. */
  readonly store: string;
  imagelog(...args: readonly string[]): Promise<string>;
}

/** Serves a store of the test by the bundled command; `options` are more of `serve`. */
export async function serveCommand(t: ExecutionContext, ...options: readonly string[]): Promise<ServedCommand> {
  const store = join(await temporaryDirectory(t), 'store');
  const run = [COMMAND, '--store', store, '--json'];
  const served = await startListening(
    process.execPath,
    [...run, 'serve', '--listen', '127.0.0.1:0', ...options],
    /"https?:\/\/(127\.0\.0\.1:\d+)"/,
  );
  t.teardown(() => served.stop());
  return { ...served, store, imagelog: (...args) => runProgram(process.execPath, ...run, ...args) };
}
