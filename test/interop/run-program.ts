import { execFile } from 'node:child_process';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** Runs an installed program and returns what it printed; fails with its standard error when it does. */
export async function runProgram(program: string, ...args: readonly string[]): Promise<string> {
  const { stdout } = await run(program, args, { maxBuffer: 64 * 1024 * 1024 });
  return stdout;
}

/** Why `work` fails, by the last line that its program printed; undefined if it does not. */
export async function whyItFails(work: () => Promise<unknown>): Promise<string | undefined> {
  try {
    await work();
    return undefined;
  } catch (error) {
    const printed = error instanceof Error && 'stderr' in error ? String(error.stderr) : String(error);
    return printed.trim().split('\n').at(-1) ?? 'it printed nothing';
  }
}

/** Runs skopeo, which needs no signatures for archives of a test. */
export async function skopeo(...args: readonly string[]): Promise<string> {
  return runProgram('skopeo', '--insecure-policy', '--override-os', 'linux', '--override-arch', 'amd64', ...args);
}
