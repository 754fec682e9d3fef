import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

/** Commands that read: each has to work wherever the store can be read. The store has the image `tiny:1`. */
export const READING: readonly (readonly string[])[] = [
  ['images', '--tree'],
  ['tree'],
  ['log'],
  ['resolve', 'tiny:1'],
  ['resolve', '--at', '3', 'tiny:1'],
  ['refs', 'tiny:1'],
  ['inspect', 'tiny:1'],
  ['history', 'tiny:1'],
  ['referrers', 'tiny:1'],
  ['diff', '0', 'now'],
  ['at', '1', 'images'],
  ['stats'],
  ['consumers'],
  ['checkpoint'],
  ['prove', '1'],
  ['verify'],
  ['verify', '--fast'],
  ['save', 'tiny:1', '-o', '/dev/null'],
];

/** Makes a store of an archive whose writer was killed, so that all is in its write-ahead log. */
export async function makeKilledStore(directory: string, archive: string): Promise<void> {
  const child = fork(fileURLToPath(new URL('write-and-hold.js', import.meta.url)), [directory, archive]);
  await once(child, 'message');
  child.kill('SIGKILL');
  await once(child, 'close');
}
