import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Runs an installed program and returns what it printed; fails with its standard error when it does. */
export async function runProgram(program: string, ...args: readonly string[]): Promise<string> {
  const { stdout } = await run(program, args, { maxBuffer: 64 * 1024 * 1024 });
  return stdout;
}

/** Runs skopeo, which needs no signatures for archives of a test. */
export async function skopeo(...args: readonly string[]): Promise<string> {
  return runProgram('skopeo', '--insecure-policy', '--override-os', 'linux', '--override-arch', 'amd64', ...args);
}
