import test from 'ava';
import type { StoredEvent } from '../../../src/model/events.js';
import type { EventFilter, FollowOptions, ReadOptions } from '../../../src/store/follow/event-filter.js';
import { idNamed, imageConfig } from '../../support/image-configs.js';
import { rejection } from '../../support/rejection.js';
import { eventsOf, openTestStore } from '../../support/test-store.js';
import { bytesOf } from '../../support/text-bytes.js';

async function seqsOf(events: AsyncIterable<StoredEvent>, count = Number.POSITIVE_INFINITY): Promise<number[]> {
  const seqs: number[] = [];
  if (count === 0) return seqs;
  for await (const { seq } of events) if (seqs.push(seq) >= count) break;
  return seqs;
}

const oneTo = (last: number): number[] => Array.from({ length: last }, (_, at) => at + 1);

test('a follower passes from the past to the present without a gap or a repeat, however writers come', async (t) => {
  const store = await openTestStore(t);
  const write = async (writer: number): Promise<void> => {
    for (let at = 0; at < 20; at++) await store.create(imageConfig(`${writer} ${at}`));
  };
  await write(0);
  const followers = [1, 7, 20, 21, 40].map((from) => ({ from, seqs: seqsOf(store.log.follow({ from }), 81 - from) }));
  await Promise.all([write(1), write(2), write(3)]);
  for (const { from, seqs } of followers) t.deepEqual(await seqs, oneTo(80).slice(from - 1), `from ${from}`);
});

test('a follower that says nothing begins after the head', async (t) => {
  const store = await openTestStore(t);
  await store.create(imageConfig('a'));
  const seqs = seqsOf(store.log.follow(), 2);
  await store.create(imageConfig('b'));
  await store.create(imageConfig('c'));
  t.deepEqual(await seqs, [2, 3]);
});

test('a follower gives only what passes its filter', async (t) => {
  const store = await openTestStore(t);
  const seqs = seqsOf(store.log.follow({ from: 1, filter: { actor: 'wanted' } }), 2);
  await store.create(imageConfig('a'), { actor: 'wanted' });
  await store.create(imageConfig('b'));
  await store.create(imageConfig('c'), { actor: 'wanted' });
  t.deepEqual(await seqs, [1, 3]);
});

test('a follower that has caught up ends when the store is closed', async (t) => {
  const store = await openTestStore(t);
  await store.create(imageConfig('a'));
  const seqs = seqsOf(store.log.follow({ from: 1 }));
  const idle = seqsOf(store.log.follow());
  await store.create(imageConfig('b'));
  await new Promise((resolve) => setImmediate(resolve));
  await store.close();
  t.deepEqual(await idle, [2]);
  t.deepEqual(await seqs, [1, 2]);
});

test('a follower that is behind ends with the store, as one that waits does', async (t) => {
  const store = await openTestStore(t);
  await store.create(imageConfig('a'));
  const { log } = store;
  await store.close();
  t.deepEqual(await seqsOf(log.follow({ from: 1 })), []);
});

test('a follower ends with ABORTED, waiting or not', async (t) => {
  const store = await openTestStore(t);
  await store.create(imageConfig('a'));
  const controller = new AbortController();
  const waiting = rejection(t, 'ABORTED', seqsOf(store.log.follow({ signal: controller.signal })));
  const future = rejection(t, 'ABORTED', seqsOf(store.log.follow({ from: 99, signal: controller.signal })));
  controller.abort();
  await waiting;
  await future;
  await rejection(t, 'ABORTED', seqsOf(store.log.follow({ from: 1, signal: controller.signal })));
});

test('live events come after every view has folded their whole transaction', async (t) => {
  const store = await openTestStore(t);
  const seen: string[] = [];
  store.log.events$.subscribe({
    next: ({ seq, type }) => seen.push(`${seq} ${type}: ${store.len()} images, head ${store.log.head.seq}`),
    complete: () => seen.push('end'),
  });
  await store.create(imageConfig('a'));
  await store.tag({ source: idNamed('a'), target: 'x:1' });
  await store.delete(idNamed('a'));
  await store.close();
  t.deepEqual(seen, [
    '1 ImageCreated: 1 images, head 1',
    '2 ReferenceSet: 1 images, head 2',
    '3 ReferenceRemoved: 0 images, head 4',
    '4 ImageDeleted: 0 images, head 4',
    'end',
  ]);
});

test('a read has the range, direction and limit that were asked for', async (t) => {
  const store = await openTestStore(t);
  for (const at of oneTo(6)) await store.create(imageConfig(`${at}`));
  const cases: readonly [ReadOptions, number[]][] = [
    [{}, [1, 2, 3, 4, 5, 6]],
    [{ from: 3 }, [3, 4, 5, 6]],
    [{ to: 2 }, [1, 2]],
    [{ from: 2, to: 4, reverse: true }, [4, 3, 2]],
    [{ limit: 2 }, [1, 2]],
    [{ limit: 2, reverse: true }, [6, 5]],
    [{ limit: 0 }, []],
    [{ to: 99 }, [1, 2, 3, 4, 5, 6]],
    [{ from: 7 }, []],
    [{ from: 0, to: 0 }, []],
  ];
  for (const [options, seqs] of cases)
    t.deepEqual(await seqsOf(store.log.read(options)), seqs, JSON.stringify(options));
  for (const wrong of [
    { limit: 1.5 },
    { limit: -1 },
    { limit: Number.NaN },
    { from: 0.5 },
    { from: -1 },
    { to: Number.NaN },
  ]) {
    t.throws(() => store.log.read(wrong), { instanceOf: RangeError }, JSON.stringify(wrong));
  }
  const follow: FollowOptions = { from: 1.5 };
  t.throws(() => store.log.follow(follow), { instanceOf: RangeError });
  await rejection(t, 'ABORTED', seqsOf(store.log.read({ signal: AbortSignal.abort() })));
});

test('each fact of a filter passes the events that it names, and all of them must hold', async (t) => {
  // The first time is that of the store's creation.
  let clock = -1;
  const store = await openTestStore(t, { now: () => ++clock * 1_000 });
  const [a, b] = [idNamed('a'), idNamed('b')];
  await store.create(imageConfig('a'), { actor: 'ann' }); // 1
  await store.create(imageConfig('b'), { actor: 'ben' }); // 2
  await store.setParent(b, a); // 3
  await store.tag({ source: a, target: 'x:1' }); // 4
  await store.tag({ source: b, target: 'x:1' }); // 5: moved away from a
  await store.setMetadata(b, 'k', bytesOf('v')); // 6
  await store.delete(a); // 7 and 8: clears the parent of b
  const cases: readonly [EventFilter, number[]][] = [
    [{ image: a }, [1, 3, 4, 5, 7, 8]],
    [{ image: b }, [2, 3, 5, 6, 7]],
    [{ image: [a, b] }, [1, 2, 3, 4, 5, 6, 7, 8]],
    [{ type: 'ImageCreated' }, [1, 2]],
    [{ type: ['ParentSet', 'ParentCleared'] }, [3, 7]],
    [{ reference: 'docker.io/library/x:1' }, [4, 5]],
    [{ actor: 'ann' }, [1]],
    [{ actor: ['ann', 'ben'] }, [1, 2]],
    [{ since: 6_000 }, [6, 7, 8]],
    [{ until: 2_000 }, [1, 2]],
    [{ since: 2_000, until: 2_000 }, [2]],
    [{ image: b, type: 'ReferenceSet' }, [5]],
    [{}, [1, 2, 3, 4, 5, 6, 7, 8]],
  ];
  for (const [filter, expected] of cases) {
    t.deepEqual(
      (await eventsOf(store, { filter })).map(({ seq }) => seq),
      expected,
      JSON.stringify(filter),
    );
  }
  t.deepEqual(
    (await eventsOf(store, { filter: { image: a }, reverse: true, limit: 2 })).map(({ seq }) => seq),
    [8, 7],
  );
});
