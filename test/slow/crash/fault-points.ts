import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Calls of the system that change what is on a disk, or name a file. */
const CALLS = [
  'openat',
  'write',
  'writev',
  'pwrite64',
  'pwritev',
  'fsync',
  'fdatasync',
  'rename',
  'renameat',
  'renameat2',
  'unlink',
  'unlinkat',
  'ftruncate',
  'mkdir',
  'rmdir',
  'read',
  'pread64',
  'link',
] as const;

/** A process that hangs is a finding; one on a loaded machine is not. */
const CHILD_TIMEOUT_MS = 120_000;

/** One call of the system in a run: the `nth` call named `call` about the file `path` by one thread. */
export interface FaultPoint {
  /** Below the directory that was watched. */
  readonly path: string;
  readonly call: string;
  readonly nth: number;
}

/** What is made of a call: it fails once, it fails from then on, or the process is killed before it. */
export const FAULTS = ['EIO', 'ENOSPC', 'EIO from then on', 'ENOSPC from then on', 'SIGKILL'] as const;
export type Fault = (typeof FAULTS)[number];

/** How a process ended. */
export interface Ended {
  /** Its exit code or the signal that ended it; `hung` when it had to be stopped. */
  readonly how: number | string;
  /** Calls that failed on purpose. */
  readonly injected: number;
  readonly stderr: string;
}

/** Runs a script to its end and returns every call that it makes about files at or below `directory`, in order. */
export async function callsOf(script: string, args: readonly string[], directory: string): Promise<FaultPoint[]> {
  const trace = `${directory}.trace`;
  await traced(trace, ['-e', `trace=${CALLS.join(',')}`], script, args);
  const counts = new Map<string, number>();
  const points: FaultPoint[] = [];
  for (const line of readFileSync(trace, 'utf8').split('\n')) {
    const found = /^(\d+) +(\w+)\(/.exec(line);
    const path = pathOf(line, directory);
    if (found === null || path === undefined) continue;
    const [, thread, call] = found as unknown as [string, string, string];
    const key = `${thread} ${call} ${path}`;
    const nth = (counts.get(key) ?? 0) + 1;
    counts.set(key, nth);
    points.push({ path, call, nth });
  }
  return points;
}

/** Runs a script with a fault at one call; `directory` is where it has what the path of the point is below. */
export async function runWithFault(
  script: string,
  args: readonly string[],
  { point, fault, directory }: { readonly point: FaultPoint; readonly fault: Fault; readonly directory: string },
): Promise<Ended> {
  const trace = `${directory}.trace`;
  const [error, ...always] = fault.split(' ');
  const when = `when=${point.nth}${always.length > 0 ? '+' : ''}`;
  const what = fault === 'SIGKILL' ? 'signal=KILL' : `error=${error}`;
  const options = [
    '-P',
    join(directory, point.path),
    '-e',
    `trace=${point.call}`,
    '-e',
    `inject=${point.call}:${what}:${when}`,
  ];
  // Without stops at every other call it is twice as fast; a signal gets lost so.
  if (fault !== 'SIGKILL') options.unshift('--seccomp-bpf');
  const { how, stderr } = await traced(trace, options, script, args);
  const injected = readFileSync(trace, 'utf8').split('(INJECTED)').length - 1;
  return { how, injected: how === 'SIGKILL' ? 1 : injected, stderr };
}

/** The file that a line of the trace is about: the first argument that has a name. */
function pathOf(line: string, directory: string): string | undefined {
  const [path] = /(?<=["<])\/[^">]*(?=[">])/.exec(line.replace(/AT_FDCWD<[^>]*>, /, '')) ?? [];
  if (path === directory) return '.';
  return path?.startsWith(`${directory}/`) === true ? path.slice(directory.length + 1) : undefined;
}

/** Runs a script under strace. With one thread in its pool, so that the calls come in the same order every time. */
export async function traced(
  trace: string,
  options: readonly string[],
  script: string,
  args: readonly string[],
): Promise<Omit<Ended, 'injected'>> {
  const argv = ['-f', '-qq', '-y', ...options, '-o', trace, process.execPath, script, ...args];
  const env = { ...process.env, UV_THREADPOOL_SIZE: '1' };
  const child = spawn('strace', argv, { env, stdio: ['ignore', 'ignore', 'pipe'], detached: true });
  let stderr = '';
  child.stderr.on('data', (chunk: Buffer) => {
    stderr += chunk.toString();
  });
  let isHung = false;
  const timer = setTimeout(() => {
    isHung = true;
    // strace and what it runs.
    if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
  }, CHILD_TIMEOUT_MS);
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
  clearTimeout(timer);
  return { how: isHung ? 'hung' : (code ?? signal ?? 'unknown'), stderr };
}
