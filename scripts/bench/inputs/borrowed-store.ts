import { copyFile, link, mkdir, readdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';

const SNAPSHOTS = 'snapshots';

/**
 * Makes `directory` a read-only store sharing the log of `original` and those snapshots that
 * `keeps` selects: the same events, opened in another way, without a copy.
 */
export async function borrowStore(
  original: string,
  directory: string,
  keeps: (snapshot: string) => boolean,
): Promise<string> {
  await mkdir(join(directory, SNAPSHOTS), { recursive: true });
  for (const name of ['imagelog.json', 'checkpoint']) await copyFile(join(original, name), join(directory, name));
  await symlink(join(original, 'log'), join(directory, 'log'));
  for (const name of (await snapshotsOf(original)).filter(keeps))
    await link(join(original, SNAPSHOTS, name), join(directory, SNAPSHOTS, name));
  return directory;
}

/** Returns a store's snapshot names in event order. */
export async function snapshotsOf(directory: string): Promise<string[]> {
  return (await readdir(join(directory, SNAPSHOTS))).sort();
}
