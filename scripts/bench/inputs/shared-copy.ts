import { copyFile, link, mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';

/** Files never changed once written: a hard link is as good as a copy. */
const UNCHANGED = /\.(?:ldb|sst)$|^snapshots$/;

/** Makes `directory` a writable copy of `original`; immutable files are shared at no cost. */
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
