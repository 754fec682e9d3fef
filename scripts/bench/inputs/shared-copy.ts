import { copyFile, link, mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';

/** What LevelDB and a store never change once it is written: a second name of it is as good as a copy. */
const UNCHANGED = /\.(?:ldb|sst)$|^snapshots$/;

/** Makes `directory` a store of its own with all that is in `original`, to be written to; what never changes is shared, and costs nothing. */
export async function shareCopy(original: string, directory: string, isUnchanged = false): Promise<string> {
  await mkdir(directory, { recursive: true });
  for (const entry of await readdir(original, { withFileTypes: true })) {
    const [from, to] = [join(original, entry.name), join(directory, entry.name)];
    const isShared = isUnchanged || UNCHANGED.test(entry.name);
    if (entry.isDirectory()) await shareCopy(from, to, isShared);
    else await (isShared ? link(from, to) : copyFile(from, to));
  }
  return directory;
}
