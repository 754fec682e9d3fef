import { existsSync } from 'node:fs';
import { mkdir, readdir, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import test from 'ava';
import { makeLog, openStore } from '../../../src/store/open/open-store.js';
import { restoreStore } from '../../../src/store/on-demand.js';
import { filesBelow } from '../../support/filesystem-copy.js';
import { rejection } from '../../support/rejection.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';
import { openTestStore } from '../../support/test-store.js';

async function put(directory: string, names: readonly string[]): Promise<void> {
  for (const name of names) {
    const path = join(directory, name);
    await mkdir(dirname(path), { recursive: true });
    if (name.endsWith('/')) await mkdir(path, { recursive: true });
    else await writeFile(path, 'x');
  }
}

/** What lies in a directory, and what the error shows of it. */
const others: readonly (readonly [names: readonly string[], shown: string])[] = [
  [['notes.txt'], 'notes.txt'],
  [['src/', 'a', 'b', 'c'], 'a, b, c and 1 more'],
  [['oci-layout', 'index.json', 'blobs/sha256/aa'], 'blobs, index.json, oci-layout'],
  [['.git/config'], '.git'],
  [['snapshots/1'], 'snapshots'],
  [['lost+found/', 'photo.jpg'], 'photo.jpg'],
  [['log/app.log'], 'log/app.log'],
  [['log/syslog', 'log/nginx/access.log', '.tmp-x'], 'log/nginx, log/syslog'],
];

for (const [names, shown] of others) {
  test(`no store is made beside ${names.join(' ')}`, async (t) => {
    const directory = await temporaryDirectory(t);
    await put(directory, names);
    const before = await filesBelow(directory);
    const error = await rejection(t, 'STORE_NOT_EMPTY', openStore(directory));
    t.is(error.message, `cannot make a store in ${directory}: it is not empty and no store; it has ${shown}`);
    t.like(error.data, { directory, names: shown.replace(/ and.*/, '').split(', ') });
    await rejection(t, 'STORE_NOT_FOUND', openStore(directory, { create: false }));
    await rejection(t, 'STORE_NOT_FOUND', openStore(directory, { readOnly: true }));
    t.deepEqual(await filesBelow(directory), before);
  });
}

/** What an empty directory may have, and what a crash may leave of a new store without a sidecar. */
const vacant: Readonly<Record<string, (directory: string) => Promise<void>>> = {
  nothing: async () => undefined,
  'what a file system and a desktop put there': (directory) => put(directory, ['lost+found/', '.DS_Store']),
  'what keeps an empty directory in git': (directory) => put(directory, ['.gitkeep', '.gitignore']),
  'a temporary file': (directory) => put(directory, ['.tmp-0123456789abcdef01234567/CURRENT']),
  'an empty log': makeLog,
  'an empty log, an owner and a reserve': async (directory) => {
    await makeLog(directory);
    await put(directory, ['owner.json', 'reserve', '.tmp-0123456789abcdef01234567']);
  },
  'an empty folder for the log': (directory) => put(directory, ['log/lost+found/']),
};

for (const [what, lay] of Object.entries(vacant)) {
  test(`a store is made where there is ${what}`, async (t) => {
    const directory = await temporaryDirectory(t);
    await lay(directory);
    const store = await openStore(directory);
    t.is(store.log.head.seq, 0);
    t.deepEqual(await store.verify(), []);
    await store.close();
    const again = await openStore(directory, { create: false });
    await again.close();
    t.true((await readdir(directory)).includes('imagelog.json'));
  });
}

test('files beside a store are no matter once it is one', async (t) => {
  const directory = await temporaryDirectory(t);
  await (await openStore(directory)).close();
  await put(directory, ['notes.txt']);
  await (await openStore(directory)).close();
  t.true(existsSync(join(directory, 'notes.txt')));
});

test('a restore names what is in its place', async (t) => {
  const store = await openTestStore(t);
  const folder = await temporaryDirectory(t);
  const [backup, place] = [join(folder, 'backup'), join(folder, 'place')];
  await store.backup(backup);
  await put(place, ['notes.txt']);
  const { message } = await rejection(t, 'STORE_NOT_EMPTY', restoreStore(place, backup));
  t.is(message, `cannot restore to ${place}: it is not empty and no store; it has notes.txt`);
});

test('no store is made in a store or a backup, where it would be lost or erased with it', async (t) => {
  const store = await openTestStore(t);
  const backup = join(await temporaryDirectory(t), 'backup');
  await store.backup(backup);
  for (const [around, kind] of [
    [store.directory, 'store'],
    [backup, 'backup'],
  ] as const) {
    const before = await filesBelow(around);
    for (const below of ['sub', 'blobs/sub', 'a/b']) {
      const { message } = await rejection(t, 'FILE_EXISTS', openStore(join(around, below)));
      t.is(message, `cannot make a store in ${join(around, below)}: it lies in the ${kind} ${around}`);
      t.false(existsSync(join(around, below)));
    }
    await mkdir(join(around, 'sub'));
    await rejection(t, 'FILE_EXISTS', openStore(join(around, 'sub')));
    t.deepEqual(await filesBelow(around), before);
  }
});
