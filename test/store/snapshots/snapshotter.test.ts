import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { decodeViews } from '../../../projections/views-codec.js';
import { createViews } from '../../../projections/views.js';
import { openStore } from '../../../src/store/open/open-store.js';
import { parseSnapshot } from '../../../src/store/snapshots/snapshot-folder.js';
import type { EventStore } from '../../../src/store/event-store.js';
import type { OpenOptions } from '../../../src/store/store.js';
import { idNamed, imageConfig } from '../../support/image-configs.js';
import { plainViews } from '../../support/plain-views.js';
import { rejection } from '../../support/rejection.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';
import { eventsOf } from '../../support/test-store.js';
import { leaveDamaged, temporaryStore } from '../temporary-store.js';

const seqsIn = async (directory: string): Promise<number[]> =>
  (await readdir(join(directory, 'snapshots')).catch(() => [])).sort().map((name) => Number.parseInt(name, 10));

async function viewsIn(directory: string, seq: number): Promise<unknown> {
  const name = `${String(seq).padStart(16, '0')}.views`;
  return plainViews(decodeViews(parseSnapshot(await readFile(join(directory, 'snapshots', name))).payload));
}

async function foldedTo(store: EventStore, seq: number): Promise<unknown> {
  const viewSet = createViews();
  viewSet.fold(await eventsOf(store, { to: seq }));
  return plainViews(viewSet.views);
}

async function createMany(store: EventStore, from: number, count: number): Promise<void> {
  await Promise.all(Array.from({ length: count }, (_, at) => store.create(imageConfig(`${from + at}`))));
}

/** Opens a store in a new directory, whose notices are kept. */
async function noticedStore(
  t: ExecutionContext,
  options: OpenOptions = {},
): Promise<{ store: EventStore; notices: string[] }> {
  const notices: string[] = [];
  const store = await temporaryStore(t, { onNotice: (notice) => void notices.push(notice), ...options });
  return { store, notices };
}

test('snapshots taken while 64 writers run are each what a fresh fold of their seq gives', async (t) => {
  const { store, notices } = await noticedStore(t, { snapshotEvery: 100 });
  let written = 0;
  const writer = async (): Promise<void> => {
    for (let at = written++; at < 600; at = written++) {
      const id = await store.create(imageConfig(`${at}`));
      await store.setMetadata(id, 'k', Uint8Array.of(at % 256));
      if (at % 3 === 0) await store.setParent(id, idNamed(`${Math.floor(at / 3)}`)).catch(() => undefined);
      if (at % 5 === 0) await store.tag({ source: id, target: `x:${at % 50}` });
      if (at % 7 === 0) await store.delete(id);
    }
  };
  await Promise.all(Array.from({ length: 64 }, writer));
  await store.snapshot();
  const seqs = await seqsIn(store.directory);
  t.true(seqs.length >= 3, `${seqs}`);
  for (const seq of seqs) t.deepEqual(await viewsIn(store.directory, seq), await foldedTo(store, seq));
  t.deepEqual(notices, []);
});

test('a snapshot is written at close, and the next open begins with it', async (t) => {
  const { store, notices } = await noticedStore(t);
  await createMany(store, 0, 5);
  await store.close();
  t.deepEqual(await seqsIn(store.directory), [5]);
  // What precedes the snapshot is not read: that is what makes it fast.
  const again = await openStore(store.directory);
  t.is(again.len(), 5);
  await again.close();
  t.deepEqual(await seqsIn(store.directory), [5]);
  t.deepEqual(notices, []);
});

test('a large store is written again at close only when enough has come', async (t) => {
  const { store } = await noticedStore(t);
  await createMany(store, 0, 1_001);
  await store.close();
  const seqsAfter = async (change: (store: EventStore) => Promise<unknown>): Promise<number[]> => {
    const again = await openStore(store.directory);
    await change(again);
    await again.close();
    return seqsIn(store.directory);
  };
  t.deepEqual(await seqsAfter((s) => s.tag({ source: idNamed('1'), target: 'x:1' })), [1_001]);
  t.deepEqual(await seqsAfter((s) => createMany(s, 2_000, 130)), [1_001, 1_132]);
});

test('snapshot() writes one now, and tells its seq and size', async (t) => {
  const { store } = await noticedStore(t, { snapshotEvery: 0 });
  t.deepEqual(await store.snapshot(), { seq: 0, bytes: 0 });
  await createMany(store, 0, 3);
  const [first, second] = await Promise.all([store.snapshot(), store.snapshot()]);
  t.deepEqual(first, second);
  t.is(first.seq, 3);
  const [name] = await readdir(join(store.directory, 'snapshots'));
  t.is((await readFile(join(store.directory, 'snapshots', name as string))).length, first.bytes);
});

test('none is written in the background when that is not wanted', async (t) => {
  const { store } = await noticedStore(t, { snapshotEvery: 0 });
  await createMany(store, 0, 300);
  await store.snapshot();
  t.deepEqual(await seqsIn(store.directory), [300]);
});

test('a store for reading only writes none, and says of a bad one', async (t) => {
  const { store } = await noticedStore(t);
  await createMany(store, 0, 3);
  await store.close();
  const path = join(store.directory, 'snapshots', `${'3'.padStart(16, '0')}.views`);
  await writeFile(path, 'cut');
  leaveDamaged(store, 'SNAPSHOT_DAMAGED');
  const notices: string[] = [];
  const reader = await openStore(store.directory, { readOnly: true, onNotice: (notice) => void notices.push(notice) });
  t.is(reader.len(), 3);
  await rejection(t, 'STORE_READ_ONLY', reader.snapshot());
  await reader.close();
  t.is(await readFile(path, 'utf8'), 'cut');
  t.is(notices.length, 1);
});

test('snapshots that cannot be written are a notice, and fail neither writes nor the close', async (t) => {
  const { store, notices } = await noticedStore(t, { snapshotEvery: 10 });
  // A file where the folder should be: nothing can be written there.
  await writeFile(join(store.directory, 'snapshots'), 'in the way');
  await createMany(store, 0, 30);
  await rejection(t, 'IO_FAILED', store.snapshot());
  t.is(store.len(), 30);
  await store.close();
  t.true(notices.length >= 2, `${notices}`);
  for (const notice of notices) t.regex(notice, /^(no snapshot was written: cannot |cannot read )/);
  await rm(join(store.directory, 'snapshots'));
});

test('a notice is a warning of the process when nobody asked for it', async (t) => {
  const { store } = await noticedStore(t);
  await createMany(store, 0, 1);
  await store.close();
  await writeFile(join(store.directory, 'snapshots', `${'1'.padStart(16, '0')}.views`), 'cut');
  // Other stores of this process may warn too, of other snapshots.
  const warned = new Promise<Error>((resolve) => {
    process.on(
      'warning',
      (warning) => /^the snapshot 0+1\.views is skipped: /.test(warning.message) && resolve(warning),
    );
  });
  const again = await openStore(store.directory);
  t.is((await warned).name, 'ImagelogNotice');
  await again.close();
});

test('what a crash left in the folder is removed by the next store that writes', async (t) => {
  const directory = join(await temporaryDirectory(t), 'store');
  await (await openStore(directory)).close();
  await mkdir(join(directory, 'snapshots'));
  const left = join(directory, 'snapshots', '.tmp-0123456789abcdef');
  await writeFile(left, 'half a snapshot');
  await (await openStore(directory, { readOnly: true })).close();
  t.is(await readFile(left, 'utf8'), 'half a snapshot');
  await (await openStore(directory)).close();
  t.deepEqual(await readdir(join(directory, 'snapshots')), []);
});
