import test from 'ava';
import { MAX_CONSUMER_NAME_LENGTH } from '../../../src/limits.js';
import { imageConfig } from '../../support/image-configs.js';
import { rejection } from '../../support/rejection.js';
import { storeError } from '../../support/store-error.js';
import { openTestStore } from '../../support/test-store.js';
import { handle } from './taking.js';

test('a name is letters, digits, dots, dashes and underscores, and may end with a version', async (t) => {
  t.is(MAX_CONSUMER_NAME_LENGTH, 128);
  const store = await openTestStore(t);
  const long = 'x'.repeat(MAX_CONSUMER_NAME_LENGTH);
  for (const name of ['a', 'Mirror_to-2.x', 'mirror@2', 'mirror@0', '..', long, `${long.slice(2)}@1`]) {
    await t.notThrowsAsync(store.consumer(name).close(), name);
  }
  for (const name of ['', 'a b', 'a/b', '@1', 'a@', 'a@01', 'a@-1', 'a@1.5', 'a@x', 'a@1@2', 'é', 'a\n', `${long}x`]) {
    storeError(t, 'CONSUMER_INVALID', () => store.consumer(name), name);
    await rejection(t, 'CONSUMER_INVALID', store.resetConsumer(name, 0), name);
    await rejection(t, 'CONSUMER_INVALID', store.removeConsumer(name), name);
  }
  t.throws(() => store.consumer(1 as never), { instanceOf: TypeError, message: /^name must be a string/ });
  storeError(t, 'FILTER_INVALID', () => store.consumer('c', { filter: { actor: [] } }));
  t.throws(() => store.consumer('c', { from: -1 }), { instanceOf: RangeError, message: /^from / });
  t.throws(() => store.consumer('c', { signal: {} as never }), { instanceOf: TypeError, message: /^signal / });
  t.throws(() => store.consumer('c', null as never), { instanceOf: TypeError, message: /^options / });
  // What was refused holds no name.
  await t.notThrowsAsync(store.consumer('c').close());
});

test('a new version of a name starts from the beginning, and the old one keeps its position', async (t) => {
  const store = await openTestStore(t);
  for (const name of ['a', 'b', 'c']) await store.create(imageConfig(name));
  t.deepEqual(await handle(store.consumer('mirror'), 2), [1, 2]);
  t.deepEqual(await handle(store.consumer('mirror@2'), 1), [1]);
  const positions = (await store.consumers()).map(({ name, position }) => [name, position]);
  t.deepEqual(positions, [
    ['mirror', 2],
    ['mirror@2', 1],
  ]);
});
