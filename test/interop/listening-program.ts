import { spawn } from 'node:child_process';
import { once } from 'node:events';

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

/** Starts a server at a port of the system's choice, which it prints in what matches `address`. */
export async function startListening(
  program: string,
  args: readonly string[],
  address: RegExp,
): Promise<ListeningProgram> {
  // In the foreground it passes a signal on once; else to its group too, and a second one ends our server at once.
  const limits = ['--foreground', `${LIFE_SECONDS}`];
  const child = spawn('timeout', [...limits, program, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  const kill = (): boolean => child.kill();
  process.once('exit', kill);
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
      process.off('exit', kill);
      kill();
      return ended;
    },
  };
}
