import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const run = promisify(execFile);

/**
 * Runs a script of `children/` in a fresh process with --expose-gc and parses its JSON output, so
 * that this process does not affect its memory.
 */
export async function measureInChild<Result>(script: URL, args: readonly string[]): Promise<Result> {
  const { stdout } = await run(process.execPath, ['--expose-gc', fileURLToPath(script), ...args]);
  return JSON.parse(stdout) as Result;
}

/** Runs a shell line with `$1`, `$2` … as its arguments; throws if it fails. */
export async function runShell(line: string, ...args: readonly string[]): Promise<void> {
  await run('sh', ['-c', line, 'sh', ...args]);
}

/** Returns whether the shell finds the program. */
export async function hasProgram(name: string): Promise<boolean> {
  return run('sh', ['-c', 'command -v "$1"', 'sh', name]).then(
    () => true,
    () => false,
  );
}
