import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { keyAt, SUBJECT_PREFIX } from '../../../src/log/rows.js';
import { bytesToHex, type ImageId } from '../../../src/model/digest.js';
import type { EventStore } from '../../../src/store/event-store.js';
import { openStore } from '../../../src/store/open/open-store.js';
import type { RebuildProgress } from '../../../src/store/rebuild/rebuild.js';
import type { WriteFate } from '../../support/failing-database.js';
import { idNamed, imageConfig } from '../../support/image-configs.js';
import { rejection } from '../../support/rejection.js';
import { stateOf } from '../../support/store-state.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';
import { tamper } from '../../support/test-log.js';
import { eventsOf, openFailingStore } from '../../support/test-store.js';
import { temporaryStore } from '../temporary-store.js';

const IMAGES = 30;

async function fill(store: EventStore): Promise<ImageId[]> {
  const ids = await Promise.all(Array.from({ length: IMAGES }, (_, at) => store.create(imageConfig(`image ${at}`))));
  await store.tag({ source: ids[3] as ImageId, target: 'shop/app:1' });
  await store.tag({ source: ids[4] as ImageId, target: 'shop/app:1' });
  await store.setParent(ids[9] as ImageId, ids[8] as ImageId);
  return ids;
}

async function historyOf(store: EventStore): Promise<number[]> {
  const seqs: number[] = [];
  for await (const { seq } of store.history('shop/app:1')) seqs.push(seq);
  return seqs;
}

test('a rebuild of an open store changes no answer, and says what it did', async (t) => {
  const store = await temporaryStore(t);
  await fill(store);
  const before = [JSON.stringify(stateOf(store)), await historyOf(store), await eventsOf(store)];
  const seen: RebuildProgress['what'][] = [];
  const { seq, root } = store.log.head;
  t.deepEqual(await store.rebuild({ onProgress: ({ what }) => seen.push(what) }), {
    events: seq,
    root,
    log: 'kept',
    damagedLog: undefined,
    lostContent: [],
    replacedViews: [],
  });
  t.deepEqual(seen, ['events', 'log', 'views']);
  t.deepEqual([JSON.stringify(stateOf(store)), await historyOf(store), await eventsOf(store)], before);
  t.deepEqual(await store.verify(), []);
});

test('a store without any event is rebuilt too', async (t) => {
  const store = await temporaryStore(t);
  t.like(await store.rebuild(), { events: 0, replacedViews: [] });
  t.deepEqual(await store.verify(), []);
});

test('index rows, snapshots and a checkpoint that are wrong or missing are rebuilt', async (t) => {
  const directory = join(await temporaryDirectory(t), 'store');
  await using first = await openStore(directory);
  await fill(first);
  await first.snapshot();
  const history = await historyOf(first);
  await first.close();
  await tamper(join(directory, 'log'), async (database) => {
    const range = { gte: Uint8Array.of(SUBJECT_PREFIX, 0x72), lt: Uint8Array.of(SUBJECT_PREFIX, 0x73) };
    for (const key of await database.keys(range).all()) await database.put(key, Uint8Array.of(0xff));
    await database.put(keyAt(Uint8Array.of(SUBJECT_PREFIX, 0x61, 1, 2, 3, 4, 5, 6, 7, 8), 5), new Uint8Array());
  });
  await using store = await openStore(directory);
  const snapshots = join(directory, 'snapshots');
  await writeFile(join(snapshots, '0000000000000007.views'), 'none');
  await writeFile(join(snapshots, 'mine.projection'), 'none');
  await rm(join(directory, 'checkpoint'));
  await rejection(t, 'LOG_CORRUPT', historyOf(store));
  t.true((await store.verify()).length >= 4);
  await store.rebuild();
  t.deepEqual(await historyOf(store), history);
  t.deepEqual(await store.verify(), []);
  t.deepEqual(await readdir(snapshots), [`${String(store.log.head.seq).padStart(16, '0')}.views`]);
  t.regex(await readFile(join(directory, 'checkpoint'), 'utf8'), new RegExp(`\n${store.log.head.seq}\n`));
});

test('a live view that differs from a fresh fold is replaced, and named, and continues', async (t) => {
  const { store, viewSet, notices } = await openFailingStore(t);
  const ids = await fill(store);
  viewSet.views.images.remove(ids[5] as ImageId);
  viewSet.views.references.byName.clear();
  t.is(store.len(), IMAGES - 1);
  const folded: number[] = [];
  const following = viewSet.folded$.subscribe((page) => folded.push(page.length));
  t.deepEqual((await store.rebuild()).replacedViews, ['images', 'references']);
  t.deepEqual(folded, [], 'who follows is told of no event twice');
  t.regex(notices.join(), /not those of the events were replaced: images, references/);
  t.is(store.len(), IMAGES);
  t.is(store.resolve('shop/app:1'), ids[4] as ImageId);
  await store.create(imageConfig('after'));
  await store.untag('shop/app:1');
  following.unsubscribe();
  t.true(store.map().has(idNamed('after')));
  t.deepEqual(store.references(ids[4] as ImageId), []);
  t.deepEqual(await store.verify(), []);
});

test('writers wait, in order, and readers and followers continue', async (t) => {
  const { store, databases } = await openFailingStore(t);
  await fill(store);
  const history = await historyOf(store);
  const followed: number[] = [];
  const follower = (async () => {
    for await (const { seq } of store.log.follow({ from: 1 })) {
      followed.push(seq);
      if (seq === store.log.head.seq && store.map().has(idNamed('last'))) return;
    }
  })();
  const head = store.log.head.seq;
  const headsAtWrites: number[] = [];
  let verified: Promise<unknown> | undefined;
  databases.onWritten = async () => {
    headsAtWrites.push(store.log.head.seq);
    // Without its last row and the others: long enough for a verification to take its look, if it did not wait.
    if (headsAtWrites.length === 3) verified = store.verify();
    for (let look = 0; look < 5; look++) t.deepEqual(await historyOf(store), history);
  };
  const before = store.create(imageConfig('before'));
  const rebuilt = store.rebuild();
  const after = store.create(imageConfig('after'));
  await Promise.all([before, rebuilt, after]);
  databases.onWritten = async () => undefined;
  t.deepEqual(headsAtWrites, [head, head + 1, head + 1, head + 1, head + 1], 'the first is before it, the last after');
  t.is(store.log.head.seq, head + 2);
  await store.create(imageConfig('last'));
  await follower;
  t.deepEqual(await verified, [], 'a verification does not read half an index');
  t.deepEqual(
    followed,
    Array.from({ length: head + 3 }, (_, at) => at + 1),
  );
});

const failing = test.macro({
  async exec(t, fate: WriteFate) {
    for (let write = 0; write < 4; write++) {
      const { store, databases } = await openFailingStore(t);
      await fill(store);
      const history = await historyOf(store);
      databases.fates.push(...Array.from({ length: write }, (): WriteFate => 'written'), fate);
      const rebuild = store.rebuild();
      const waiting = store.create(imageConfig('waits'));
      // No tree row, but those of the index: the last, the rest, one page. A fourth write is the one that waits.
      await (write < 3 ? rejection(t, 'LOG_FAILED', rebuild) : rebuild);
      await (write < 3 ? waiting : rejection(t, 'OUTCOME_UNKNOWN', waiting));
      t.is(databases.opened, 2);
      t.deepEqual(await historyOf(store), history);
      await store.create(imageConfig('continues'));
      await store.rebuild();
      t.deepEqual(await store.verify(), []);
    }
  },
  title: (given) => `a write that ${given} fails the rebuild by name, and nothing is acknowledged behind it`,
});

test('was lost', failing, 'lost');
test('happened anyway', failing, 'unsure');

test('a rebuild that loses the disk leaves a store that says so', async (t) => {
  const { store, databases } = await openFailingStore(t);
  await fill(store);
  databases.fates.push('lost');
  // The log is checked after the rebuild, and again before the next write.
  databases.failingOpens = 2;
  await rejection(t, 'LOG_FAILED', store.rebuild());
  await rejection(t, 'OUTCOME_UNKNOWN', store.create(imageConfig('a')));
  await rejection(t, 'LOG_FAILED', store.create(imageConfig('b')));
  await rejection(t, 'LOG_FAILED', store.rebuild());
});

test('an aborted rebuild changes nothing, and a rebuild refuses by name', async (t) => {
  const store = await temporaryStore(t);
  await fill(store);
  const controller = new AbortController();
  const onProgress = (): void => controller.abort(new Error('enough'));
  await rejection(t, 'ABORTED', store.rebuild({ signal: controller.signal, onProgress }));
  await rejection(t, 'ABORTED', store.rebuild({ signal: AbortSignal.abort() }));
  t.deepEqual(await store.verify(), []);
  await t.throwsAsync(store.rebuild(1 as never), { instanceOf: TypeError });
  await t.throwsAsync(store.rebuild({ onProgress: 1 as never }), { instanceOf: TypeError });
  await t.throwsAsync(store.rebuild({ signal: 1 as never }), { instanceOf: TypeError });
  await store.close();
  await rejection(t, 'STORE_CLOSED', store.rebuild());
  await using reading = await openStore(store.directory, { readOnly: true });
  await rejection(t, 'STORE_READ_ONLY', reading.rebuild());
});

test('what the caller throws while rows are rebuilt comes through as it is, and the store continues', async (t) => {
  const store = await temporaryStore(t);
  await fill(store);
  const mine = new RangeError('mine');
  const onProgress = ({ what }: { readonly what: string }): void => {
    if (what === 'log') throw mine;
  };
  t.is(await t.throwsAsync(store.rebuild({ onProgress })), mine);
  // There is no index now, and nobody reads it.
  t.deepEqual(await store.verify(), []);
  const id = await store.create(imageConfig('after'));
  const found: number[] = [];
  for await (const { seq } of store.history({ image: id })) found.push(seq);
  t.deepEqual(found, [store.log.head.seq]);
  await store.rebuild();
  t.deepEqual(await store.verify(), []);
});

test('a store that is closed meanwhile finishes its rebuild first', async (t) => {
  const store = await temporaryStore(t);
  await fill(store);
  const rebuilding = store.rebuild();
  await store.close();
  t.is((await rebuilding).events, IMAGES + 3);
  t.is(bytesToHex((await rebuilding).root).length, 64);
});
