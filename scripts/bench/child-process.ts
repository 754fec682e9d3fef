import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);

/**
 * Runs a script of `children/` in a fresh process with its garbage collector exposed, and returns what it
 * printed, a JSON value. Memory is measured so: what this process did before cannot be seen in it.
 */
export async function measureInChild<Result>(script: URL, args: readonly string[]): Promise<Result> {
  const { stdout } = await run(process.execPath, ['--expose-gc', fileURLToPath(script), ...args]);
  return JSON.parse(stdout) as Result;
}

/** Runs a line of shell with `$1`, `$2` … as its arguments; fails when it does. */
export async function runShell(line: string, ...args: readonly string[]): Promise<void> {
  await run('sh', ['-c', line, 'sh', ...args]);
}

/** Whether the shell finds a program of this name. */
export async function hasProgram(name: string): Promise<boolean> {
  return run('sh', ['-c', 'command -v "$1"', 'sh', name]).then(
    () => true,
    () => false,
  );
}
