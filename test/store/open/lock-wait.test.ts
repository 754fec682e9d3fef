import { fork } from 'node:child_process';
import { once } from 'node:events';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import test from 'ava';
import { StoreError } from '../../../src/errors.js';
import { LOCK_POLL_MAX_MS, LOCK_POLL_MIN_MS } from '../../../src/limits.js';
import { beforeLock, whenUnlocked } from '../../../src/store/open/lock.js';
import { openStore } from '../../../src/store/open/open-store.js';
import { rebuildStore } from '../../../src/store/rebuild/rebuild-store.js';
import { verifyStore } from '../../../src/store/verify-store.js';
import { rejection } from '../../support/rejection.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';
import { temporaryStore } from '../temporary-store.js';

const locked = (): StoreError => new StoreError('STORE_LOCKED', 'it is open', { data: { pid: 7 } });

test('a lock is not waited for by default', async (t) => {
  const store = await temporaryStore(t);
  let attempts = 0;
  const attempt = async (): Promise<never> => {
    attempts += 1;
    throw locked();
  };
  await rejection(t, 'STORE_LOCKED', whenUnlocked(attempt, {}));
  t.is(attempts, 1);
  await rejection(t, 'STORE_LOCKED', openStore(store.directory));
});

test('an open waits until another part of the process closes the store, and so do a rebuild and a check', async (t) => {
  const directory = join(await temporaryDirectory(t), 'store');
  const options = { lockTimeoutMs: 60_000 };
  const waitFor = async (work: () => Promise<unknown>): Promise<void> => {
    const holder = await openStore(directory);
    const waiting = work();
    await holder.close();
    await waiting;
  };
  await waitFor(async () => (await openStore(directory, options)).close());
  await waitFor(() => rebuildStore(directory, options));
  await waitFor(async () => t.deepEqual(await verifyStore(directory, options), []));
});

test('a waiting open continues when the holder is killed', async (t) => {
  const directory = join(await temporaryDirectory(t), 'store');
  await (await openStore(directory)).close();
  const holder = fork(fileURLToPath(new URL('../../support/hold-store.js', import.meta.url)), [directory]);
  await once(holder, 'message');
  const pids: unknown[] = [];
  const onWait = ({ data }: StoreError): void => {
    pids.push(data['pid']);
    holder.kill('SIGKILL');
  };
  await (await whenUnlocked(() => openStore(directory), { lockTimeoutMs: 60_000, onWait })).close();
  t.is(pids[0], holder.pid);
});

test('pauses between attempts grow up to their limit', async (t) => {
  const waits: number[] = [];
  const attempt = async (): Promise<string> => {
    if (waits.length < 8) throw locked();
    return 'done';
  };
  const onWait = (error: StoreError, waitedMs: number): void => {
    t.is(error.data['pid'], 7);
    waits.push(waitedMs);
  };
  t.is(await whenUnlocked(attempt, { lockTimeoutMs: 60_000, onWait }), 'done');
  t.is(waits.length, 8);
  for (const [at, waitedMs] of waits.slice(1).entries()) {
    const longestMs = Math.min(LOCK_POLL_MIN_MS * 2 ** at, LOCK_POLL_MAX_MS);
    const pausedMs = waitedMs - (waits[at] as number);
    // A timer may be a millisecond early.
    t.true(pausedMs >= longestMs / 2 - 1, `pause ${at} took ${pausedMs} ms`);
  }
});

test('the last error is thrown when the time is over, and other errors at once', async (t) => {
  let attempts = 0;
  const attempt = async (): Promise<never> => {
    attempts += 1;
    throw locked();
  };
  await rejection(t, 'STORE_LOCKED', whenUnlocked(attempt, { lockTimeoutMs: 100 }));
  t.true(attempts > 1 && attempts < 30, `${attempts} attempts in a tenth of a second`);
  const failing = async (): Promise<never> => {
    throw new StoreError('LOG_CORRUPT', 'damaged');
  };
  await rejection(t, 'LOG_CORRUPT', whenUnlocked(failing, { lockTimeoutMs: 60_000 }));
});

test('what fails because another process writes before the lock is held is a store in use, not damage', async (t) => {
  const store = await temporaryStore(t);
  const { directory } = store;
  await store.close();
  const failing = async (): Promise<never> => {
    throw new StoreError('LOG_CORRUPT', 'damaged');
  };
  await rejection(t, 'LOG_CORRUPT', beforeLock(directory, failing));
  const raced = beforeLock(directory, async () => {
    await writeFile(join(directory, 'log', '999999.log'), 'of another process');
    return failing();
  });
  const error = await rejection(t, 'STORE_LOCKED', raced);
  t.like(error.cause, { code: 'LOG_CORRUPT' });
  await rm(join(directory, 'log', '999999.log'));
  t.is(await beforeLock(directory, async () => 'found'), 'found');
});

test('a signal ends the wait', async (t) => {
  const store = await temporaryStore(t);
  const signal = AbortSignal.timeout(50);
  await rejection(t, 'ABORTED', openStore(store.directory, { lockTimeoutMs: 60_000, signal }));
});

test('a timeout that is no whole number is refused by name', async (t) => {
  const store = await temporaryStore(t);
  for (const lockTimeoutMs of [-1, 0.5, '10s', Number.NaN, Number.POSITIVE_INFINITY]) {
    const options = { lockTimeoutMs: lockTimeoutMs as number };
    const refused = { instanceOf: TypeError, message: /^lockTimeoutMs must be a whole number/ };
    await t.throwsAsync(openStore(store.directory, options), refused);
    await t.throwsAsync(verifyStore(store.directory, options), refused);
    await t.throwsAsync(rebuildStore(store.directory, options), refused);
    await t.throwsAsync(store.backup(join(store.directory, '..', 'backup'), options), refused);
  }
});
