import { once } from 'node:events';
import { PassThrough, Writable } from 'node:stream';
import test from 'ava';
import { buildServer } from '../../../src/server/create-server.js';
import { EventFeed, type FeedAnswer, type FeedOptions } from '../../../src/server/feed/event-feed.js';
import { FeedFormats } from '../../../src/server/feed/feed-format.js';
import { Leases } from '../../../src/server/feed/leases.js';
import { ReaderSlots } from '../../../src/server/feed/reader-slots.js';
import type { EventStore } from '../../../src/store/event-store.js';
import { CONSUMER_LEASE_MS } from '../../../src/limits.js';
import { imageConfig } from '../../support/image-configs.js';
import { storeError } from '../../support/store-error.js';
import { openTestStore } from '../../support/test-store.js';
import { seqs, until, write } from './serving.js';

const formats = new FeedFormats('');
const sse = formats.get('sse', 'event');

/** Follows everything that is new. */
function answerOf(store: EventStore, options: Partial<FeedAnswer> = {}): FeedAnswer {
  const position = store.log.head.seq;
  const all = { filter: undefined, filterKey: '', to: undefined, limit: Number.POSITIVE_INFINITY };
  return { format: sse, position, ...all, ...options };
}

function feedOf(
  store: EventStore,
  options: FeedOptions = {},
): { feed: EventFeed; failures: unknown[]; end: () => void } {
  const failures: unknown[] = [];
  const closing = new AbortController();
  const { service } = buildServer(store, { onFailure: (error) => failures.push(error) });
  const feed = new EventFeed({ ...service, signal: closing.signal }, options);
  return { feed, failures, end: () => closing.abort() };
}

/** Takes nothing until `release` is called, then everything. */
class Tap extends Writable {
  text = '';
  #waiting: (() => void) | undefined;
  #isOpen = false;

  constructor() {
    super({ highWaterMark: 1_000 });
  }

  override _write(chunk: Buffer, _: string, done: () => void): void {
    this.text += chunk.toString('utf8');
    if (this.#isOpen) done();
    else this.#waiting = done;
  }

  release(): void {
    this.#isOpen = true;
    this.#waiting?.();
  }

  get seqs(): number[] {
    return [...this.text.matchAll(/(?:^|\n\n)id: (\d+)\ndata/g)].map(([, seq]) => Number(seq));
  }
}

async function tag(store: EventStore, count: number): Promise<void> {
  const source = await store.create(imageConfig('tagged'));
  for (let at = 0; at < count; at += 100) {
    await Promise.all(seqs(at, at + 99).map((each) => store.tag({ source, target: `a:${each}` })));
  }
}

test('a client that lacks more than the feed keeps reads the rest from the log, and joins again', async (t) => {
  const store = await openTestStore(t);
  const { feed, failures, end } = feedOf(store);
  const [slow, quick, part] = [new Tap(), new Tap(), new Tap()];
  quick.release();
  for (const out of [slow, quick]) feed.open(out, answerOf(store));
  feed.open(part, answerOf(store, { filter: { type: 'ReferenceSet' }, filterKey: 'references', limit: 2_100 }));
  await tag(store, 3_000);
  await until(() => quick.seqs.length === 3_001);
  t.true(slow.text.length < 100_000);
  for (const out of [slow, part]) out.release();
  await until(() => slow.seqs.length === 3_001 && part.writableFinished);
  await write(store, 3);
  await until(() => slow.seqs.length === 3_004 && quick.seqs.length === 3_004);
  t.deepEqual(slow.seqs, seqs(1, 3_004));
  t.deepEqual(quick.seqs, seqs(1, 3_004));
  t.deepEqual(part.seqs, seqs(2, 2_101));
  t.is(feed.size, 2);
  end();
  t.is(feed.size, 0);
  t.deepEqual(failures, []);
  await Promise.all([slow, quick].map((out) => out.writableFinished || once(out, 'finish')));
});

test('who hears nothing gets heartbeats, with the seq up to which its filter left all out', async (t) => {
  const store = await openTestStore(t);
  await write(store, 3);
  const { feed, end } = feedOf(store, { heartbeatMs: 60 });
  const [all, some, lines] = [new Tap(), new Tap(), new Tap()];
  for (const out of [all, some, lines]) out.release();
  feed.open(all, answerOf(store));
  feed.open(some, answerOf(store, { filter: { actor: 'nobody' }, filterKey: 'nobody' }));
  feed.open(lines, answerOf(store, { format: formats.get('ndjson', 'event') }));
  await until(() => all.text.includes('\n:\n\n') && some.text.includes('\n:\n\n') && lines.text.startsWith('\n'));
  await write(store, 2, 'new');
  await until(() => some.text.includes('\nid: 5\n\n'));
  // What follows is silent again.
  await until(() => some.text.endsWith('\nid: 5\n\n:\n\n'));
  t.deepEqual(all.seqs, [4, 5]);
  t.false(all.text.includes('id: 5\n\n'));
  end();
  t.is(feed.size, 0);
});

test('no more clients than the limit follow, and one that leaves makes room', async (t) => {
  const store = await openTestStore(t);
  const { feed, end } = feedOf(store, { followers: 2 });
  const clients = [new PassThrough(), new PassThrough()];
  for (const out of clients) {
    feed.checkRoom();
    feed.open(out, answerOf(store));
  }
  const error = t.throws(() => feed.checkRoom());
  t.like(error, { status: 429, code: 'TOOMANYREQUESTS', headers: { 'retry-after': '60' } });
  clients[0]?.destroy();
  await until(() => feed.size === 1);
  t.notThrows(() => feed.checkRoom());
  end();
  t.like(
    t.throws(() => feed.checkRoom()),
    { status: 503, code: 'STOPPING' },
  );
});

test('a lease ends a while after its last request, not while one is open', (t) => {
  let now = 0;
  const leases = new Leases(() => now);
  const first = leases.take('mirror', 'one');
  const second = leases.take('mirror', 'one');
  first();
  first();
  now += 10 * CONSUMER_LEASE_MS;
  storeError(t, 'CONSUMER_TAKEN', () => leases.take('mirror', 'two'));
  second();
  now += CONSUMER_LEASE_MS - 1;
  storeError(t, 'CONSUMER_TAKEN', () => leases.take('mirror', undefined));
  t.is(leases.holder('mirror'), 'one');
  now += 1;
  t.is(leases.holder('mirror'), undefined);
  leases.take('mirror', 'two');
  t.is(leases.holder('mirror'), 'two');
  leases.forget('mirror');
  t.notThrows(() => leases.take('mirror', undefined));
});

test('a bounded number of readers read at once, in the order in which they came', async (t) => {
  const slots = new ReaderSlots(2);
  const order: number[] = [];
  const enter = async (at: number): Promise<void> => {
    await slots.enter();
    order.push(at);
  };
  await Promise.all([enter(1), enter(2)]);
  const later = [enter(3), enter(4)];
  await Promise.resolve();
  t.deepEqual(order, [1, 2]);
  slots.leave();
  slots.leave();
  await Promise.all(later);
  t.deepEqual(order, [1, 2, 3, 4]);
  slots.leave();
  await enter(5);
  t.deepEqual(order, [1, 2, 3, 4, 5]);
});
