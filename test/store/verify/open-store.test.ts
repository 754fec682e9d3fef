import { createReadStream } from 'node:fs';
import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { createViews } from '../../../projections/views.js';
import { openLevel, readFailure } from '../../../src/log/leveldb/open-level.js';
import { StoredRows } from '../../../src/log/stored-rows.js';
import { openStore } from '../../../src/store/open/open-store.js';
import { StoreFiles, storeSource } from '../../../src/store/verify/store-source.js';
import { verifySource } from '../../../src/store/verify/verify.js';
import { verifyStore } from '../../../src/store/verify-store.js';
import { viewDigestsOf } from '../../../src/store/verify/fold-check.js';
import { fixturePath } from '../../support/fixtures.js';
import { idNamed, imageConfig } from '../../support/image-configs.js';
import { rejection } from '../../support/rejection.js';
import { temporaryStore } from '../temporary-store.js';
import { briefly, storeToDamage } from './damaged-store.js';

const damagedStore = storeToDamage();

test('an empty store has nothing wrong', async (t) => {
  const store = await temporaryStore(t);
  t.deepEqual(await store.verify(), []);
  t.deepEqual(await store.verify({ fast: true }), []);
});

test('options of other types are refused: no check that was asked for is skipped', async (t) => {
  const store = await temporaryStore(t);
  const wrong = [
    5,
    null,
    { against: 5 },
    { against: [''] },
    { key: 5 },
    { fast: 'x' },
    { onProgress: 1 },
    { onNotice: 1 },
    { signal: 1 },
  ];
  for (const options of wrong) {
    await t.throwsAsync(store.verify(options as object), { instanceOf: TypeError }, JSON.stringify(options));
    await t.throwsAsync(verifyStore(store.directory, options as object), { instanceOf: TypeError });
  }
});

test('a store that is written to all the while has nothing wrong', async (t) => {
  const store = await temporaryStore(t, { snapshotEvery: 40 });
  let isDone = false;
  const write = async (): Promise<void> => {
    for (let at = 0; !isDone; at++) {
      await store.load(createReadStream(fixturePath('archives', 'docker25-all.tar')));
      await Promise.all([1, 2, 3].map((each) => store.create(imageConfig(`${at} ${each}`))));
      await store.tag({ source: idNamed(`${at} 1`), target: 'example.com/moving:1' });
      for (const id of [...store.map().keys()].slice(0, 6)) await store.delete(id);
    }
  };
  const writing = write();
  for (let round = 0; round < 8; round++) t.deepEqual(await store.verify(), []);
  isDone = true;
  await writing;
  t.deepEqual(await store.verify(), []);
});

test('loads that bring nothing new leave no blob behind that a verification would find', async (t) => {
  const store = await temporaryStore(t);
  await store.load(fixturePath('archives', 'docker25-all.tar'));
  let isDone = false;
  const load = async (): Promise<void> => {
    while (!isDone) await store.load(fixturePath('archives', 'docker20-all.tar'));
  };
  const loads = [load(), load(), load()];
  for (let round = 0; round < 8; round++) t.deepEqual(await store.verify(), []);
  isDone = true;
  await Promise.all(loads);
});

test('what is missing beside an open store is reported', async (t) => {
  const damaged = await damagedStore(t);
  await using store = await openStore(damaged.directory);
  const [name = ''] = await readdir(join(damaged.directory, 'blobs', 'sha256'));
  await rm(join(damaged.directory, 'blobs', 'sha256', name));
  t.deepEqual(briefly(await store.verify()), [`BLOB_MISSING blob sha256:${name}`]);
});

test('a search sorts the live views, and they are the same', async (t) => {
  const store = await temporaryStore(t);
  const names = Array.from({ length: 300 }, (_, at) => `${at}`);
  await Promise.all(names.map((name) => store.create(imageConfig(name))));
  for (const name of names) store.search(idNamed(name));
  await store.snapshot();
  t.deepEqual(await store.verify(), []);
});

test('live views that are not those of the events are reported, by name', async (t) => {
  const damaged = await damagedStore(t);
  const database = await openLevel(damaged.path('log'), false);
  t.teardown(() => database.close());
  const source = await storeSource({
    identity: undefined,
    rows: new StoredRows({ database, failure: (cause) => readFailure(cause, false) }),
    files: new StoreFiles(damaged.directory),
    checkpoint: undefined,
    snapshots: [],
    liveViews: { seq: 600, digests: viewDigestsOf(createViews().views) },
  });
  const [violation, ...others] = await verifySource(source);
  t.deepEqual(others, []);
  t.like(violation, { code: 'VIEW_WRONG', place: 'open store', seq: 600 });
  t.regex(violation?.message ?? '', /images, references, layers/);
});

test('a store that is closed is not verified', async (t) => {
  const store = await temporaryStore(t);
  await store.close();
  await rejection(t, 'STORE_CLOSED', store.verify());
});
