import { execFileSync, fork } from 'node:child_process';
import { once } from 'node:events';
import { readFile, rm, writeFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test, { type ExecutionContext } from 'ava';
import type { OpenOptions } from '../../../src/store/store.js';
import { lockHolder, processIdentity } from '../../../src/store/open/lock.js';
import { openStore } from '../../../src/store/open/open-store.js';
import { imageConfig } from '../../support/image-configs.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';
import { openTestStore } from '../../support/test-store.js';

interface Answer {
  readonly opened?: boolean;
  readonly code?: string;
  readonly pid?: number;
}

async function openElsewhere(directory: string): Promise<Answer> {
  const child = fork(fileURLToPath(new URL('../../support/open-elsewhere.js', import.meta.url)), [directory]);
  const [answer] = (await once(child, 'message')) as [Answer];
  return answer;
}

const LOCKED = { code: 'STORE_LOCKED', pid: process.pid };

/** A store that this process has open. */
async function openHere(t: ExecutionContext, options: OpenOptions = {}): Promise<string> {
  const directory = join(await temporaryDirectory(t), 'store');
  const store = await openStore(directory);
  await store.create(imageConfig('a'));
  await store.close();
  await openTestStore(t, { directory, ...options });
  return directory;
}

test('a second process is told who has the store open', async (t) => {
  t.deepEqual(await openElsewhere(await openHere(t)), LOCKED);
});

test('who has it open for reading locks nobody out', async (t) => {
  t.deepEqual(await openElsewhere(await openHere(t, { readOnly: true })), { opened: true });
});

test('also when the lock file was deleted under its owner', async (t) => {
  const directory = await openHere(t);
  await rm(join(directory, 'log', 'LOCK'));
  t.deepEqual(await openElsewhere(directory), LOCKED);
});

test('also when the owner read its lock file, and with that lost the lock', async (t) => {
  const directory = await openHere(t);
  await readFile(join(directory, 'log', 'LOCK'));
  t.is(await lockHolder(join(directory, 'log', 'LOCK')), undefined);
  t.deepEqual(await openElsewhere(directory), LOCKED);
});

test('also through a copy by hard links, which shares the lock', async (t) => {
  const directory = await openHere(t);
  const copy = `${directory}-copy`;
  execFileSync('cp', ['-al', directory, copy]);
  t.is((await openElsewhere(copy)).code, 'STORE_LOCKED');
});

test('what a killed owner left locks nobody out, even if its pid is in use again', async (t) => {
  const directory = join(await temporaryDirectory(t), 'store');
  await (await openStore(directory)).close();
  const host = hostname();
  const identity = (await processIdentity(process.ppid)) ?? '';
  const owners = [
    { pid: process.ppid, host, process: identity.replace(/\d+$/, '1') },
    { pid: process.ppid, host },
    { pid: process.pid, host, process: await processIdentity(process.pid) },
    { pid: 2 ** 22 + 1, host, process: identity },
    { pid: '1', host },
    { pid: -1, host: 'elsewhere', process: '' },
  ];
  for (const owner of owners) {
    await writeFile(join(directory, 'owner.json'), JSON.stringify(owner));
    const store = await openStore(directory);
    await store.close();
    t.pass(JSON.stringify(owner));
  }
});

test('a process is recognized by its start time, and one that ended is gone', async (t) => {
  const identity = await processIdentity(process.pid);
  t.truthy(identity);
  t.is(await processIdentity(process.pid), identity);
  // Not the parent: it may have begun this process in the tick of the clock (10 ms) in which it began itself.
  const child = fork(fileURLToPath(new URL('../../support/open-elsewhere.js', import.meta.url)), ['/nowhere']);
  const { pid = 0 } = child;
  const childIdentity = await processIdentity(pid);
  t.truthy(childIdentity);
  t.not(childIdentity, identity);
  await once(child, 'close');
  t.is(await processIdentity(pid), undefined);
});
