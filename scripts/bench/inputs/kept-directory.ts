import { mkdir, rename, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BenchContext } from '../benchmark.js';

/**
 * Returns the temporary directory `name`, filled by `make` unless an earlier run did. It is kept
 * for the next run, so `name` must change with its content.
 */
export async function keptDirectory(
  name: string,
  { fresh, say }: Pick<BenchContext, 'fresh' | 'say'>,
  make: (directory: string) => Promise<void>,
): Promise<string> {
  const directory = join(tmpdir(), name);
  if (fresh) await rm(directory, { recursive: true, force: true });
  if (await isThere(directory)) return directory;
  say(`makes ${directory}, kept for later runs`);
  // Built under another name, so an interrupted run is never mistaken for a complete one.
  const unfinished = `${directory}.${process.pid}`;
  await mkdir(unfinished);
  try {
    await make(unfinished);
    await rename(unfinished, directory);
  } catch (error) {
    await rm(unfinished, { recursive: true, force: true });
    throw error;
  }
  return directory;
}

async function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}
