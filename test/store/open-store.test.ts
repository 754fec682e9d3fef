import { fork } from 'node:child_process';
import { once } from 'node:events';
import { chmod, mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import type { ErrorCode } from '../../src/errors.js';
import { eventKey } from '../../src/log/rows.js';
import { openStore } from '../../src/store/open/open-store.js';
import { FORMAT_VERSION, NEWEST_VERSION } from '../../src/store/open/sidecar.js';
import type { OpenOptions } from '../../src/store/store.js';
import { filesBelow } from '../support/filesystem-copy.js';
import { imageConfig } from '../support/image-configs.js';
import { rejection } from '../support/rejection.js';
import { requiresPermissions } from '../support/requires.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { tamper } from '../support/test-log.js';
import { eventsOf, openTestStore } from '../support/test-store.js';

/** The directory of a closed store with two images. */
async function closedStore(t: ExecutionContext): Promise<string> {
  const directory = join(await temporaryDirectory(t), 'store');
  const store = await openStore(directory, { now: () => 1_000 });
  await store.create(imageConfig('a'));
  await store.create(imageConfig('b'));
  await store.close();
  return directory;
}

const refuses = test.macro({
  async exec(t, prepare: (directory: string) => Promise<unknown>, code: ErrorCode, options: OpenOptions = {}) {
    const directory = await closedStore(t);
    await prepare(directory);
    const before = (await filesBelow(directory)).get('imagelog.json');
    for (const _ of [1, 2]) await rejection(t, code, openStore(directory, options));
    t.deepEqual((await filesBelow(directory)).get('imagelog.json'), before);
  },
  title: (given) => `${given} is refused, and again the next time`,
});

const sidecar = (directory: string): string => join(directory, 'imagelog.json');

async function changeSidecar(directory: string, change: Record<string, unknown>): Promise<void> {
  const facts = JSON.parse(await readFile(sidecar(directory), 'utf8')) as object;
  await writeFile(sidecar(directory), JSON.stringify({ ...facts, ...change }));
}

test('a sidecar that is not JSON', refuses, (dir) => writeFile(sidecar(dir), 'garbage'), 'SIDECAR_INVALID');
test('a sidecar that is empty', refuses, (dir) => writeFile(sidecar(dir), ''), 'SIDECAR_INVALID');
test('a sidecar of null', refuses, (dir) => writeFile(sidecar(dir), 'null'), 'SIDECAR_INVALID');
test('a sidecar of another program', refuses, (dir) => changeSidecar(dir, { format: 'x' }), 'SIDECAR_INVALID');
test('a sidecar without a store id', refuses, (dir) => changeSidecar(dir, { storeId: 1 }), 'SIDECAR_INVALID');
test('a sidecar without a time', refuses, (dir) => changeSidecar(dir, { created: 'x' }), 'SIDECAR_INVALID');
test(
  'a newer format',
  refuses,
  (dir) => changeSidecar(dir, { version: NEWEST_VERSION + 1 }),
  'STORE_FORMAT_UNSUPPORTED',
);
test('a log whose sidecar is lost', refuses, (dir) => rm(sidecar(dir)), 'SIDECAR_INVALID');
test('a log whose CURRENT is lost', refuses, (dir) => rm(join(dir, 'log', 'CURRENT')), 'LOG_CORRUPT');
test('a store whose log is lost', refuses, (dir) => rm(join(dir, 'log'), { recursive: true }), 'LOG_CORRUPT');
test(
  'a log without its sidecar and its CURRENT',
  refuses,
  async (dir) => {
    await rm(sidecar(dir));
    await rm(join(dir, 'log', 'CURRENT'));
  },
  'SIDECAR_INVALID',
);
test(
  'a log with a gap that no snapshot covers',
  refuses,
  async (dir) => {
    await rm(join(dir, 'snapshots'), { recursive: true });
    await tamper(join(dir, 'log'), (database) => database.del(eventKey(1)));
  },
  'LOG_CORRUPT',
);
test('an aborted opening', refuses, async () => undefined, 'ABORTED', { signal: AbortSignal.abort() });

test('a store that is missing is made, unless that is refused', async (t) => {
  const directory = join(await temporaryDirectory(t), 'deep', 'store');
  await rejection(t, 'STORE_NOT_FOUND', openStore(directory, { create: false }));
  await rejection(t, 'STORE_NOT_FOUND', openStore(directory, { readOnly: true }));
  const store = await openStore(directory, { origin: 'example.com/log', now: () => 1_000 });
  t.is(store.len(), 0);
  await store.close();
  const facts = JSON.parse(await readFile(sidecar(directory), 'utf8')) as Record<string, unknown>;
  t.like(facts, {
    format: 'imagelog',
    version: FORMAT_VERSION,
    origin: 'example.com/log',
    created: '1970-01-01T00:00:01.000Z',
  });
});

test('a directory without a store is refused, unless one may be created', async (t) => {
  const directory = await temporaryDirectory(t);
  await rejection(t, 'STORE_NOT_FOUND', openStore(directory, { create: false }));
  await rejection(t, 'STORE_NOT_FOUND', openStore(directory, { readOnly: true }));
  t.deepEqual(await readdir(directory), []);
});

test('a file is not a store, nor is what lies below it', async (t) => {
  const file = join(await temporaryDirectory(t), 'file');
  await writeFile(file, 'text');
  await rejection(t, 'STORE_NOT_A_DIRECTORY', openStore(file));
  await rejection(t, 'STORE_NOT_A_DIRECTORY', openStore(join(file, 'store')));
  t.is(await readFile(file, 'utf8'), 'text');
});

requiresPermissions()('a directory that may not be written to is reported as such', async (t) => {
  const directory = await temporaryDirectory(t);
  await chmod(directory, 0o500);
  await rejection(t, 'STORE_NOT_WRITABLE', openStore(join(directory, 'store')));
});

test('a crash between the log and the sidecar leaves what the next opening takes up', async (t) => {
  const directory = join(await temporaryDirectory(t), 'store');
  await (await openStore(directory)).close();
  await rm(sidecar(directory));
  const store = await openTestStore(t, { directory });
  await store.create(imageConfig('a'));
  t.is(store.len(), 1);
});

test('a reopened store has everything, and keeps its id', async (t) => {
  const directory = await closedStore(t);
  const store = await openTestStore(t, { directory });
  const { storeId } = store.stats();
  t.like(store.stats(), { events: 2, images: 2, heads: 2, createdAt: 1_000, lastEventAt: 1_000 });
  t.is((await eventsOf(store)).length, 2);
  await store.close();
  const again = await openTestStore(t, { directory });
  t.is(again.stats().storeId, storeId);
});

async function tryElsewhere(directory: string): Promise<unknown> {
  const child = fork(fileURLToPath(new URL('../support/open-elsewhere.js', import.meta.url)), [directory]);
  const [answer] = (await once(child, 'message')) as [unknown];
  return answer;
}

test('an open store cannot be opened again, by this process or another, after any earlier attempt', async (t) => {
  const directory = await closedStore(t);
  const store = await openTestStore(t, { directory });
  const link = join(await temporaryDirectory(t), 'link');
  await symlink(directory, link);
  for (const path of [directory, link]) {
    const error = await rejection(t, 'STORE_LOCKED', openStore(path));
    t.is(error.data['pid'], process.pid);
  }
  // A second try in the same process once made LevelDB drop its lock.
  t.deepEqual(await tryElsewhere(directory), { code: 'STORE_LOCKED', pid: process.pid });
  await store.create(imageConfig('c'));
  await store.close();
  t.deepEqual(await tryElsewhere(directory), { opened: true });
});

test('an opening that failed leaves the store free', async (t) => {
  const directory = await closedStore(t);
  await rejection(t, 'ABORTED', openStore(directory, { signal: AbortSignal.abort() }));
  t.deepEqual(await tryElsewhere(directory), { opened: true });
  const store = await openTestStore(t, { directory });
  t.is(store.len(), 2);
});

test('what a crash left of layers is swept: staged files and blobs that no event names', async (t) => {
  const directory = await closedStore(t);
  const garbage = join(directory, 'blobs', 'sha256', 'ab'.repeat(32));
  await writeFile(garbage, 'blob');
  await writeFile(join(directory, 'blobs', 'staging', 'half'), 'half');
  await mkdir(join(directory, 'blobs', 'sha256', 'not-a-digest'));
  const reader = await openStore(directory, { readOnly: true });
  await reader.close();
  t.deepEqual(await readdir(join(directory, 'blobs', 'staging')), ['half']);
  await openTestStore(t, { directory });
  t.deepEqual(await readdir(join(directory, 'blobs', 'staging')), []);
  t.deepEqual(await readdir(join(directory, 'blobs', 'sha256')), ['not-a-digest']);
});
