import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { processTree } from '../processor-time.js';

const START_MS = 30_000;
const STOP_MS = 15_000;
const POLL_MS = 50;

/**
 * Runs "$@" until its own standard input ends. So a daemon ends with the benchmark, also when that
 * is killed, and nobody but its parent keeps its process id.
 */
const UNTIL_INPUT_ENDS = `exec 3<&0
"$@" </dev/null 3<&- &
daemon=$!
{ read -r _ <&3; kill "$daemon"; } &
reader=$!
wait "$daemon"
kill "$reader" 2>/dev/null`;

/** A daemon of this benchmark. Disposal ends it and waits for that. */
export interface OwnDaemon extends AsyncDisposable {
  /** Ids of the daemon and of the processes that it has started. */
  readonly pids: readonly number[];
}

/** How to start a daemon. */
export interface DaemonCommand {
  readonly program: string;
  readonly args: readonly string[];
  /** For its log. */
  readonly folder: string;
  /** Resolves when the daemon answers; rejects while it does not yet. */
  readonly ask: () => Promise<unknown>;
}

/**
 * Starts a daemon and waits until it answers.
 * @throws {Error} with the last line of its log if it does not
 */
export async function startDaemon({ program, args, folder, ask }: DaemonCommand): Promise<OwnDaemon> {
  const log = join(folder, 'log');
  const output = openSync(log, 'a');
  // Its own group: Ctrl-C in the terminal ends the benchmark, and the benchmark the daemon.
  const stdio = ['pipe', output, output] as const;
  const shell = spawn('sh', ['-c', UNTIL_INPUT_ENDS, 'sh', program, ...args], { stdio: [...stdio], detached: true });
  closeSync(output);
  const stop = (): Promise<void> => endOf(shell);
  try {
    await answerOf(shell, ask);
  } catch (error) {
    await stop();
    const last = (await readFile(log, 'utf8')).trim().split('\n').at(-1);
    throw new Error(`${program} does not start: ${last ?? ''}`, { cause: error });
  }
  return { pids: processTree(pidOf(shell)), [Symbol.asyncDispose]: stop };
}

async function answerOf(shell: ChildProcess, ask: () => Promise<unknown>): Promise<void> {
  for (const until = Date.now() + START_MS; ; await sleep(POLL_MS)) {
    try {
      await ask();
      return;
    } catch (error) {
      if (!isRunning(shell) || Date.now() > until) throw error;
    }
  }
}

async function endOf(shell: ChildProcess): Promise<void> {
  if (!isRunning(shell)) return;
  const ended = new Promise<void>((resolve) => shell.once('exit', () => resolve()));
  shell.stdin?.end();
  const hard = setTimeout(() => process.kill(-pidOf(shell), 'SIGKILL'), STOP_MS);
  await ended;
  clearTimeout(hard);
}

function isRunning({ exitCode, signalCode }: ChildProcess): boolean {
  return exitCode === null && signalCode === null;
}

function pidOf({ pid }: ChildProcess): number {
  if (pid === undefined) throw new Error('sh cannot be started');
  return pid;
}
