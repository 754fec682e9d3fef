import test from 'ava';
import { firstValueFrom } from 'rxjs';
import { StoreError } from '../../src/errors.js';
import { defineProjection, type OwnProjection } from '../../src/store/own-projections.js';
import { imageConfig } from '../support/image-configs.js';
import { oneTo, seqsProjection } from '../support/own-projections.js';
import { rejection } from '../support/rejection.js';
import { storeError } from '../support/store-error.js';
import { openTestStore } from '../support/test-store.js';

const broken = new Error('evolve is broken');

/** A projection that throws at one event. */
function failingAt(failing: number): OwnProjection<number[]> {
  return defineProjection({
    name: `failing-at-${failing}`,
    version: 3,
    initial: (): number[] => [],
    evolve: (seqs, { seq }) => {
      if (seq === failing) throw broken;
      seqs.push(seq);
      return seqs;
    },
  });
}

test('an exception in evolve marks that projection failed, and nothing else', async (t) => {
  const store = await openTestStore(t);
  await store.create(imageConfig('a'));
  const failing = await store.project(failingAt(3));
  const other = await store.project(seqsProjection('other'));
  const seen: number[] = [];
  store.log.events$.subscribe(({ seq }) => seen.push(seq));
  const views: unknown[] = [];
  failing.view$.subscribe({ next: (view) => views.push([...view]), error: (error) => views.push(error) });
  for (const name of ['b', 'c', 'd']) await store.create(imageConfig(name));

  const error = storeError(t, 'PROJECTION_FAILED', () => failing.current);
  t.is(error.cause, broken);
  t.deepEqual(error.data, { name: 'failing-at-3', version: 3, seq: 3 });
  t.is(error.message, 'the projection failing-at-3 failed at event 3: evolve is broken');
  t.is(failing.failure?.error, broken);
  t.deepEqual([failing.failure?.event.seq, failing.failure?.event.type], [3, 'ImageCreated']);
  t.is(failing.seq, 2);
  t.deepEqual(views, [[1], [1, 2], error]);
  t.is(await firstValueFrom(failing.view$).catch((late: unknown) => late), error);

  t.is(store.len(), 4);
  t.deepEqual(other.current, oneTo(4));
  t.deepEqual(seen, [2, 3, 4]);
});

test('a projection fails in the middle of a group, and folds nothing after that', async (t) => {
  const store = await openTestStore(t);
  const failing = await store.project(failingAt(2));
  await Promise.all(['a', 'b', 'c'].map((name) => store.create(imageConfig(name))));
  t.is(failing.seq, 1);
  await store.create(imageConfig('d'));
  t.is(failing.seq, 1);
  storeError(t, 'PROJECTION_FAILED', () => failing.current);
});

test('a projection that fails while it catches up is not begun, and leaves its name', async (t) => {
  const store = await openTestStore(t);
  for (const name of ['a', 'b', 'c']) await store.create(imageConfig(name));
  const error = await rejection(t, 'PROJECTION_FAILED', store.project(failingAt(2)));
  t.is(error.cause, broken);
  t.deepEqual(error.data, { name: 'failing-at-2', version: 3, seq: 2 });
  const mended = await store.project({ ...failingAt(99), name: 'failing-at-2' });
  t.deepEqual(mended.current, oneTo(3));
});

test('the name of a failed projection is free when it is closed', async (t) => {
  const store = await openTestStore(t);
  const failing = await store.project(failingAt(1));
  await store.create(imageConfig('a'));
  await rejection(t, 'PROJECTION_TAKEN', store.project(failingAt(1)));
  failing.close();
  storeError(t, 'PROJECTION_FAILED', () => failing.current);
  await t.notThrowsAsync(store.project({ ...failingAt(99), name: 'failing-at-1' }));
});

test('what initial throws is a failure before the first event', async (t) => {
  const store = await openTestStore(t);
  const initial = (): number[] => {
    throw broken;
  };
  const error = await rejection(t, 'PROJECTION_FAILED', store.project({ ...seqsProjection('a'), initial }));
  t.is(error.cause, broken);
  t.deepEqual(error.data, { name: 'a', version: 1, seq: 0 });
  await t.notThrowsAsync(store.project(seqsProjection('a')));
});

test('an evolve that returns a promise fails, and its rejection ends nothing', async (t) => {
  const store = await openTestStore(t);
  await store.create(imageConfig('a'));
  const evolve = (async () => Promise.reject(broken)) as never;
  const error = await rejection(t, 'PROJECTION_FAILED', store.project({ ...seqsProjection('a'), evolve }));
  t.true(error.cause instanceof TypeError);
});

test('what is thrown need not be an error', async (t) => {
  const store = await openTestStore(t);
  await store.create(imageConfig('a'));
  const evolve = (): never => {
    throw undefined as unknown as Error;
  };
  const error = await rejection(t, 'PROJECTION_FAILED', store.project({ ...seqsProjection('a'), evolve }));
  t.true(error instanceof StoreError && 'cause' in error);
  t.is(error.cause, undefined);
});
