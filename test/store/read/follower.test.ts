import test from 'ava';
import { StoreError } from '../../../src/errors.js';
import { MAX_PAGE_EVENTS } from '../../../src/limits.js';
import type { EventBody, StoredEvent } from '../../../src/model/events.js';
import { idNamed } from '../../support/image-configs.js';
import { rejection } from '../../support/rejection.js';
import { creationOf } from '../../support/stored-event.js';
import { liveLog } from './live-log.js';

const creations = (count: number): EventBody[] => Array.from({ length: count }, (_, at) => creationOf(`${at}`));
const tagX: EventBody = { type: 'ReferenceSet', reference: 'docker.io/library/x:1', image: idNamed('a') };
const seqOf = async (result: Promise<IteratorResult<StoredEvent, undefined>>): Promise<number | undefined> =>
  (await result).value?.seq;
const nextTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('calls of next that wait together are answered in order, one with each event', async (t) => {
  const { reader, append } = await liveLog(t);
  const follower = reader.follow();
  const seqs = Promise.all([1, 2, 3, 4, 5].map(() => seqOf(follower.next())));
  await append(creationOf('a'), creationOf('b'));
  await append(creationOf('c'));
  await append(creationOf('d'), creationOf('e'));
  t.deepEqual(await seqs, [1, 2, 3, 4, 5]);
});

test('return ends a follower at once while calls of next wait', async (t) => {
  const { reader, append } = await liveLog(t);
  const follower = reader.follow();
  const waiting = [follower.next(), follower.next()];
  const caughtUp = follower.caughtUp();
  t.deepEqual(await follower.return(), { value: undefined, done: true });
  for (const each of waiting) t.deepEqual(await each, { value: undefined, done: true });
  await t.notThrowsAsync(caughtUp);
  await append(creationOf('a'));
  t.deepEqual(await follower.next(), { value: undefined, done: true });
  await rejection(t, 'ABORTED', follower.caughtUp());
});

test('return ends a follower that is reading the database', async (t) => {
  const { reader, append, reads } = await liveLog(t);
  await append(...creations(2 * MAX_PAGE_EVENTS));
  const follower = reader.follow({ from: 1 });
  const waiting = follower.next();
  const caughtUp = rejection(t, 'ABORTED', follower.caughtUp());
  await follower[Symbol.asyncDispose]();
  t.deepEqual(await waiting, { value: undefined, done: true });
  await caughtUp;
  while (reads.open > 0) await nextTurn();
  t.deepEqual(await follower.next(), { value: undefined, done: true });
});

test('a follower learns when it was given all that was there', async (t) => {
  const { reader, append } = await liveLog(t);
  await append(creationOf('a'), creationOf('b'), tagX, creationOf('c'));
  const follower = reader.follow({ from: 2 });
  const said: string[] = [];
  const caughtUp = follower.caughtUp().then(() => said.push('caught up'));
  t.is(follower.position, 1);
  for await (const { seq } of { [Symbol.asyncIterator]: () => ({ next: () => follower.next() }) }) {
    said.push(`given ${seq}`);
    t.is(follower.position, seq);
    if (seq === 4) break;
  }
  await caughtUp;
  // Yielded first, then reported.
  t.deepEqual(said, ['given 2', 'given 3', 'given 4', 'caught up']);
  const waiting = follower.next();
  await follower.caughtUp();
  await append(creationOf('d'));
  t.is(await seqOf(waiting), 5);
});

test('a follower has caught up when its filter skipped the rest', async (t) => {
  const { reader, append } = await liveLog(t);
  await append(tagX, creationOf('a'), creationOf('b'));
  for (const filter of [{ type: 'ReferenceSet' }, { reference: 'x:1' }, { actor: 'nobody' }] as const) {
    const follower = reader.follow({ from: 1, filter: { ...filter, since: 0 } });
    const events: number[] = [];
    const done = (async () => {
      for await (const { seq } of follower) events.push(seq);
    })();
    await follower.caughtUp();
    t.is(follower.position, 3);
    t.is(events.length, 'actor' in filter ? 0 : 1);
    await follower.return();
    await done;
  }
});

test('the position of a follower that waits moves on with what it skips', async (t) => {
  const { reader, append } = await liveLog(t);
  const follower = reader.follow({ filter: { reference: 'x:1' } });
  const waiting = follower.next();
  for (let at = 1; at <= 3; at++) {
    await append(creationOf(`${at}`));
    t.is(follower.position, at);
    await follower.caughtUp();
  }
  await append(creationOf('d'), tagX, creationOf('e'));
  t.is(await seqOf(waiting), 5);
  t.is(follower.position, 5);
});

test('a follower of the future waits for its first event', async (t) => {
  const { reader, append } = await liveLog(t);
  const follower = reader.follow({ from: 4 });
  const waiting = follower.next();
  await follower.caughtUp();
  await append(creationOf('a'), creationOf('b'));
  t.is(follower.position, 3);
  await append(creationOf('c'), creationOf('d'), creationOf('e'));
  t.is(await seqOf(waiting), 4);
  t.is(await seqOf(follower.next()), 5);
});

test('an abort ends a follower with ABORTED: the oldest call that waits, and the rest with the end', async (t) => {
  const { reader, append } = await liveLog(t);
  await append(creationOf('a'), creationOf('b'));
  const controller = new AbortController();
  const waiting = reader.follow({ signal: controller.signal });
  const busy = reader.follow({ from: 1, signal: controller.signal });
  const calls = [waiting.next(), waiting.next()] as const;
  t.is(await seqOf(busy.next()), 1);
  const caughtUp = rejection(t, 'ABORTED', busy.caughtUp());
  controller.abort(new Error('enough'));
  const error = await rejection(t, 'ABORTED', calls[0]);
  t.is((error.cause as Error).message, 'enough');
  t.deepEqual(await calls[1], { value: undefined, done: true });
  await caughtUp;
  // What it had read ahead is dropped.
  await rejection(t, 'ABORTED', busy.next());
  t.deepEqual(await busy.next(), { value: undefined, done: true });
  await rejection(t, 'ABORTED', reader.follow({ signal: controller.signal }).next());
});

test('a follower that is iterated twice continues where it is', async (t) => {
  const { reader, append } = await liveLog(t);
  await append(creationOf('a'), creationOf('b'));
  const follower = reader.follow({ from: 1 });
  const [first, second] = [follower[Symbol.asyncIterator](), follower[Symbol.asyncIterator]()];
  t.is(await seqOf(first.next()), 1);
  t.is(await seqOf(second.next()), 2);
});

test('a follower that is behind when the store is closed ends, even with events read ahead', async (t) => {
  const { reader, append, close } = await liveLog(t);
  await append(...creations(10));
  const [slow, waiting] = [reader.follow({ from: 1 }), reader.follow()];
  t.is(await seqOf(slow.next()), 1);
  const end = waiting.next();
  const late = rejection(t, 'STORE_CLOSED', slow.caughtUp());
  await close();
  t.deepEqual(await end, { value: undefined, done: true });
  t.deepEqual(await slow.next(), { value: undefined, done: true });
  await late;
  await t.notThrowsAsync(waiting.caughtUp());
});

test('who waits for a follower to catch up that nobody iterates hears of the close and of the abort', async (t) => {
  const { reader, append, close } = await liveLog(t);
  await append(...creations(3));
  const controller = new AbortController();
  const aborted = rejection(t, 'ABORTED', reader.follow({ from: 1, signal: controller.signal }).caughtUp());
  controller.abort();
  await aborted;
  await rejection(t, 'ABORTED', reader.follow({ from: 1, signal: controller.signal }).caughtUp());
  const [early, late] = [reader.follow({ from: 1 }), reader.follow({ from: 1 })];
  const closed = rejection(t, 'STORE_CLOSED', early.caughtUp());
  await close();
  await closed;
  await rejection(t, 'STORE_CLOSED', late.caughtUp());
  t.deepEqual(await early.next(), { value: undefined, done: true });
});

test('damage ends a follower with LOG_CORRUPT, once', async (t) => {
  const { reader, append, log } = await liveLog(t);
  await append(creationOf('a'));
  await append(...creations(2));
  const follower = reader.follow({ from: 1 });
  log.pages = async function* () {
    yield* [];
    throw new StoreError('LOG_CORRUPT', 'event 1 is damaged');
  };
  const caughtUp = rejection(t, 'LOG_CORRUPT', follower.caughtUp());
  await rejection(t, 'LOG_CORRUPT', follower.next());
  await caughtUp;
  t.deepEqual(await follower.next(), { value: undefined, done: true });
});

test('a slow follower holds one page and nothing open in the database', async (t) => {
  const { reader, append, reads } = await liveLog(t);
  await append(...creations(2 * MAX_PAGE_EVENTS));
  await append(creationOf('newest'));
  const follower = reader.follow({ from: 1 });
  for (let seq = 1; seq <= MAX_PAGE_EVENTS; seq++) {
    t.is(await seqOf(follower.next()), seq);
    t.like(reads, { pages: 1, subjectPages: 0, open: 0 });
  }
  t.is(await seqOf(follower.next()), MAX_PAGE_EVENTS + 1);
  t.like(reads, { pages: 2, subjectPages: 0, open: 0 });
});

test('a follower that has all but the newest page takes that from memory', async (t) => {
  const { reader, append, reads } = await liveLog(t);
  const waiting = reader.follow();
  const first = waiting.next();
  await append(...creations(3));
  const behind = reader.follow({ from: 2 });
  t.is(await seqOf(first), 1);
  for (const [follower, from] of [
    [waiting, 2],
    [behind, 2],
  ] as const) {
    for (let seq: number = from; seq <= 3; seq++) t.is(await seqOf(follower.next()), seq);
  }
  t.like(reads, { pages: 0, subjectPages: 0, open: 0 });
});

test('a page that is larger than a follower holds is given whole', async (t) => {
  const { reader, append } = await liveLog(t);
  const follower = reader.follow();
  const count = 2 * MAX_PAGE_EVENTS + 500;
  const seqs: number[] = [];
  const first = follower.next();
  await append(...creations(count));
  seqs.push((await first).value?.seq ?? 0);
  while (seqs.length < count) seqs.push((await follower.next()).value?.seq ?? 0);
  t.deepEqual(
    seqs,
    Array.from({ length: count }, (_, at) => at + 1),
  );
});

test('a hundred followers share one signal without a warning of a leak, and all end with it', async (t) => {
  const { reader } = await liveLog(t);
  const warnings: string[] = [];
  const note = ({ name }: Error): number => warnings.push(name);
  process.on('warning', note);
  t.teardown(() => process.off('warning', note));
  const controller = new AbortController();
  const followers = Array.from({ length: 100 }, () => reader.follow({ signal: controller.signal }));
  const waiting = followers.map((follower) => follower.next());
  await followers[0]?.return();
  controller.abort();
  const ends = await Promise.allSettled(waiting);
  t.deepEqual(
    ends.map(({ status }) => status),
    ['fulfilled', ...Array.from({ length: 99 }, () => 'rejected')],
  );
  await nextTurn();
  t.deepEqual(warnings, []);
});
