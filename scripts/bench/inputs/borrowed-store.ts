import { copyFile, link, mkdir, readdir, symlink } from 'node:fs/promises';
import { join } from 'node:path';

const SNAPSHOTS = 'snapshots';

/**
 * Makes `directory` a store for reading with the log of the one in `original`, and of its snapshots those that `keeps`
 * says: the same events, to be opened in another way, without a copy.
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

/** Returns the names of a store's snapshots, in the order of their events. */
export async function snapshotsOf(directory: string): Promise<string[]> {
  return (await readdir(join(directory, SNAPSHOTS))).sort();
}
