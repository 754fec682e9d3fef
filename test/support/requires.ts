import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import test, { type Implementation } from 'ava';

/** Declares one test, as ava's `test` does. */
export type DeclareTest = <Args extends unknown[]>(
  title: string,
  implementation: Implementation<Args>,
  ...args: Args
) => void;

/**
 * Gives ava's `test` when every one of `programs` is on the PATH; otherwise a
 * function that declares the same tests as skipped, with the reason in the title.
 */
export function requires(...programs: readonly string[]): DeclareTest {
  const missing = programs.filter((program) => !isInstalled(program));
  if (missing.length === 0) return test;
  return skipping(`${missing.join(' and ')} not installed`);
}

/** Gives ava's `test` where file permissions hold; declares the same tests as skipped for root, whom they do not stop. */
export function requiresPermissions(): DeclareTest {
  return process.getuid?.() === 0 ? skipping('root may write everywhere') : test;
}

/** Declares tests as skipped because of `reason`, which the title then says. */
function skipping(reason: string): DeclareTest {
  return (title, implementation, ...args) => test.skip(`${title} (skipped: ${reason})`, implementation, ...args);
}

/** Gives ava's `test`, or declares the same tests as skipped because of `reason` when there is one. */
export function testOrSkip(reason: string | undefined): DeclareTest {
  return reason === undefined ? test : skipping(reason);
}

/** Whether an executable named `program` stands in a folder of `path`, by default the PATH of this process. */
export function isInstalled(program: string, path: string = process.env.PATH ?? ''): boolean {
  return path
    .split(delimiter)
    .filter((folder) => folder !== '')
    .some((folder) => isExecutable(join(folder, program)));
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
