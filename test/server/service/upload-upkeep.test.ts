import { setTimeout as delay } from 'node:timers/promises';
import test from 'ava';
import { UPLOAD_EXPIRY_MS, UPLOAD_SWEEP_INTERVAL_MS } from '../../../src/limits.js';
import { ServerMetrics } from '../../../src/server/service/metrics.js';
import { keepUploads } from '../../../src/server/create-server.js';
import { openStore } from '../../../src/store/open/open-store.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';

test('a server removes uploads that expired until it ends', async (t) => {
  const directory = await temporaryDirectory(t);
  let time = Date.now();
  await using store = await openStore(directory, { now: () => time, uploads: { expiryMs: 1_000 } });
  const { uploads } = store.registry;
  const failures: unknown[] = [];
  const ending = new AbortController();
  const { signal } = ending;
  keepUploads(
    { store, metrics: new ServerMetrics(store, undefined), onFailure: (error) => failures.push(error), signal },
    5,
  );
  await uploads.start('docker.io/shop/app', 'ann');
  await delay(30);
  t.is(uploads.used.uploads, 1, 'not yet');
  time += 1_001;
  while (uploads.used.uploads > 0) await delay(5);
  ending.abort();
  await uploads.start('docker.io/shop/app', 'ann');
  time += 1_001;
  await delay(30);
  t.is(uploads.used.uploads, 1, 'it has ended');
  t.true(UPLOAD_SWEEP_INTERVAL_MS < UPLOAD_EXPIRY_MS, 'what expired stays not much longer');
  t.deepEqual(failures, []);
});

test('a store that is read or closed has nothing to remove', async (t) => {
  const directory = await temporaryDirectory(t);
  await (await openStore(directory)).close();
  const store = await openStore(directory, { readOnly: true });
  const failures: unknown[] = [];
  const ending = new AbortController();
  const onFailure = (error: unknown): number => failures.push(error);
  keepUploads({ store, metrics: new ServerMetrics(store, undefined), onFailure, signal: ending.signal }, 5);
  await delay(20);
  await store.close();
  await delay(20);
  ending.abort();
  t.deepEqual(failures, []);
});

test('limits of uploads are checked when a store opens', async (t) => {
  const directory = await temporaryDirectory(t);
  const wrong: object = { most: 1 };
  await t.throwsAsync(openStore(directory, { uploads: wrong }), { instanceOf: TypeError, message: /most/ });
  await t.throwsAsync(openStore(directory, { uploads: { bytes: -1 } }), { message: /uploads\.bytes/ });
  await using store = await openStore(directory, { uploads: { uploads: 1, bytes: undefined } });
  await store.registry.uploads.start('docker.io/shop/app', 'ann');
  const second = store.registry.uploads.start('docker.io/shop/app', 'bob');
  await t.throwsAsync(second, { code: 'UPLOAD_LIMIT_EXCEEDED' });
});
