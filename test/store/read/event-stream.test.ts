import test from 'ava';
import { config, map, take } from 'rxjs';
import { imageConfig } from '../../support/image-configs.js';
import { openTestStore } from '../../support/test-store.js';

test.serial(
  'an exception in a subscriber of events$ reaches neither the writer, nor other subscribers, nor the views',
  async (t) => {
    const reported: unknown[] = [];
    // Without this, RxJS throws it in a later turn, where it ends the process as any uncaught exception does.
    config.onUnhandledError = (error) => reported.push(error);
    t.teardown(() => {
      config.onUnhandledError = null;
    });
    const store = await openTestStore(t);
    const before: number[] = [];
    const failed: string[] = [];
    const after: number[] = [];
    store.log.events$.subscribe(({ seq }) => before.push(seq));
    store.log.events$.subscribe(({ seq }) => {
      throw new Error(`subscriber at ${seq}`);
    });
    store.log.events$
      .pipe(
        map(({ seq }) => {
          throw new Error(`operator at ${seq}`);
        }),
      )
      .subscribe({ error: (error: Error) => failed.push(error.message) });
    store.log.events$.subscribe(({ seq }) => after.push(seq));
    const follower = store.log.follow();
    const followed = [follower.next(), follower.next()];
    await Promise.all([store.create(imageConfig('a')), store.create(imageConfig('b'))]);
    await store.create(imageConfig('c'));
    t.deepEqual(before, [1, 2, 3]);
    t.deepEqual(after, [1, 2, 3]);
    t.deepEqual(failed, ['operator at 1']);
    t.is(store.len(), 3);
    t.deepEqual(await Promise.all(followed.map(async (result) => (await result).value?.seq)), [1, 2]);
    await new Promise((resolve) => setTimeout(resolve));
    t.deepEqual(
      reported.map((error) => (error as Error).message),
      ['subscriber at 1', 'subscriber at 2', 'subscriber at 3'],
    );
  },
);

test('a subscriber of events$ may stop in the middle of a transaction', async (t) => {
  const store = await openTestStore(t);
  const id = await store.create(imageConfig('a'));
  await store.tag({ source: id, target: 'x:1' });
  const seen: number[] = [];
  store.log.events$.pipe(take(1)).subscribe(({ seq }) => seen.push(seq));
  await store.delete(id);
  t.is(store.log.head.seq, 4);
  t.deepEqual(seen, [3]);
});
