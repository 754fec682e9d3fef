import test from 'ava';
import fc from 'fast-check';
import type { EventStore } from '../../../src/store/event-store.js';
import { filesWith, newSecret } from '../../support/files-with.js';
import { idNamed, imageConfig } from '../../support/image-configs.js';
import { rejection } from '../../support/rejection.js';
import { anyCommand, outcomeOf } from '../../support/store-operations.js';
import { ERASED, pastStateOf } from '../../support/store-state.js';
import { tarOf } from '../../support/tar-of.js';
import { eventsOf } from '../../support/test-store.js';
import { archivePath } from '../fixture-archives.js';
import { reopened, temporaryStore } from '../temporary-store.js';

const [a, b] = [idNamed('a'), idNamed('b')];

test('a dry run says what would go and changes nothing, and then that goes', async (t) => {
  const store = await temporaryStore(t);
  const secret = newSecret();
  const id = await store.create(imageConfig(secret));
  await store.create(imageConfig('kept'));
  await store.delete(id);
  const options = { before: store.log.head.seq, reason: 'space' };
  const would = await store.prune({ ...options, dryRun: true });
  const contents = [{ digest: id, kind: 'config', size: imageConfig(secret).length, image: id }];
  t.like(would, { dryRun: true, contents, layers: [], bytes: contents[0]?.size as number, seq: undefined });
  t.is(store.log.head.seq, 3);
  t.not((await filesWith(store.directory, secret)).length, 0);
  const did = await store.prune(options);
  t.deepEqual({ ...did, dryRun: true, seq: undefined }, { ...would, seq: undefined });
  t.is(did.seq, 4);
  t.deepEqual(await filesWith(store.directory, secret), []);
  t.is(store.erasures().get(id)?.reason, 'space');
  t.is(store.get(idNamed('kept')).id(), idNamed('kept'));
  const again = await store.prune({ before: store.log.head.seq });
  t.deepEqual([again.contents, again.seq, store.log.head.seq], [[], undefined, 4]);
  t.deepEqual(await store.verify(), []);
});

test('what was deleted, or came again, after the point in time stays', async (t) => {
  const store = await temporaryStore(t);
  for (const name of ['a', 'b', 'c']) await store.create(imageConfig(name));
  await store.delete(a);
  await store.delete(b);
  await store.delete(await store.create(imageConfig('a')));
  t.deepEqual((await store.prune({ before: 4, dryRun: true })).contents, []);
  const { contents } = await store.prune({ before: 5 });
  t.deepEqual(
    contents.map(({ digest }) => digest),
    [b],
  );
  const since = new Date((await store.at(5)).time).toISOString();
  t.is(store.erasures().get(b)?.reason, `prune of what nothing needed since ${since}`);
});

test('after any operations, a prune leaves every moment from its point in time on as it was', async (t) => {
  const store = await temporaryStore(t, { snapshotEvery: 5 });
  const property = fc.asyncProperty(
    fc.array(anyCommand, { minLength: 8, maxLength: 25 }),
    fc.double({ min: 0, max: 1, noNaN: true }),
    async (operations, position) => {
      for (const operation of operations) await outcomeOf(store, operation);
      const { seq } = store.log.head;
      const before = Math.floor(position * seq);
      const moments = [before, Math.floor((before + seq) / 2), seq];
      const states = await Promise.all(moments.map(async (at) => pastStateOf(await store.at(at))));
      const { contents } = await store.prune({ before });
      for (const [at, moment] of moments.entries())
        t.deepEqual(pastStateOf(await store.at(moment)), states[at] as Record<string, unknown>);
      for (const { digest } of contents) {
        const error = await rejection(t, 'CONTENT_ERASED', async () => store.backend.get(digest));
        t.is(error.code, ERASED);
      }
    },
  );
  await fc.assert(property, { numRuns: 12 });
});

test('manifests and indexes go with the last image and name that needs them', async (t) => {
  const store = await temporaryStore(t);
  await store.load(archivePath('oci-multi-platform.tar'));
  const [entry] = store.referenceEntries();
  const kinds = async (): Promise<string[]> =>
    (await store.prune({ before: store.log.head.seq, dryRun: true })).contents.map(({ kind }) => kind).sort();
  t.deepEqual(await kinds(), []);
  await store.tag({ source: entry?.reference as string, target: 'copy:1' });
  await store.untag(entry?.reference as string);
  t.deepEqual(await kinds(), []);
  await store.untag('copy:1');
  t.deepEqual(await kinds(), ['index']);
  const [first, ...rest] = store.map().keys();
  await store.delete(first as never);
  t.deepEqual(await kinds(), ['config', 'index', 'manifest']);
  for (const id of rest) await store.delete(id);
  const { contents, bytes } = await store.prune({ before: store.log.head.seq });
  t.is(contents.length, 1 + 2 * (1 + rest.length));
  t.is(
    bytes,
    contents.reduce((sum, { size }) => sum + size, 0),
  );
  await store.load(archivePath('oci-multi-platform.tar'));
  t.deepEqual(await store.verify(), []);
});

test('layers that nothing used since go, with what only they stood on, and those of images and callers stay', async (t) => {
  const first = await temporaryStore(t);
  const bottom = await first.layers.register(tarOf('bottom'));
  const unused = await first.layers.register(tarOf('unused'), bottom.chainId);
  const used = await first.layers.register(tarOf('used'), bottom.chainId);
  const held = await first.layers.register(tarOf('held'));
  await first.create(imageConfig('i', [bottom.diffId, used.diffId]));
  const store: EventStore = await reopened(t, first);
  const hold = store.layers.get(held.chainId);
  const chains = async (before: number): Promise<string[]> =>
    (await store.prune({ before, dryRun: true })).layers.map(({ chainId }) => chainId);
  const { seq } = store.log.head;
  t.deepEqual(await chains(1), []);
  t.deepEqual(await chains(2), [unused.chainId]);
  t.deepEqual(await chains(seq), [unused.chainId]);
  const { contents, layers } = await store.prune({ before: seq });
  t.deepEqual(
    contents.map(({ kind }) => kind),
    ['blob'],
  );
  t.is(layers.length, 1);
  t.deepEqual([...store.layers.map().keys()].sort(), [bottom.chainId, used.chainId, held.chainId].sort());
  await store.layers.release(hold);
  t.false(store.layers.map().has(held.chainId));
});

test('what becomes needed while a prune reads the log stays', async (t) => {
  const store = await temporaryStore(t);
  for (const name of ['a', 'b']) await store.delete(await store.create(imageConfig(name)));
  const [result] = await Promise.all([store.prune({ before: store.log.head.seq }), store.create(imageConfig('a'))]);
  t.deepEqual(
    result.contents.map(({ digest }) => digest),
    [b],
  );
  t.is(store.get(a).id(), a);
});

test('a prune reports progress, stops when aborted, and refuses by name', async (t) => {
  const store = await temporaryStore(t);
  for (const name of ['a', 'b', 'c']) await store.create(imageConfig(name));
  const told: number[][] = [];
  await store.prune({ before: 2, dryRun: true, onProgress: (...progress) => told.push(progress) });
  t.deepEqual(told, [
    [2, 3],
    [3, 3],
  ]);
  await rejection(t, 'ABORTED', store.prune({ before: 2, signal: AbortSignal.abort() }));
  await rejection(t, 'TIME_OUT_OF_RANGE', store.prune({ before: 4 }));
  await rejection(t, 'TIME_INVALID', store.prune({ before: 'soon' }));
  await t.throwsAsync(store.prune(undefined as never), { instanceOf: TypeError });
  await t.throwsAsync(store.prune({ before: 1, dryRun: 'no' as never }), { instanceOf: TypeError });
  t.is((await eventsOf(store)).length, 3);
});

test('a store for reading only can be asked what a prune would free', async (t) => {
  const store = await temporaryStore(t);
  await store.delete(await store.create(imageConfig('a')));
  const again = await reopened(t, store, { readOnly: true });
  t.is((await again.prune({ before: 2, dryRun: true })).contents.length, 1);
  await rejection(t, 'STORE_READ_ONLY', again.prune({ before: 2 }));
});
