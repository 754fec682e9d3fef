import { PassThrough, Writable } from 'node:stream';
import test from 'ava';
import { buildServer } from '../../../src/server/create-server.js';
import { EventFeed, type FeedOptions } from '../../../src/server/feed/event-feed.js';
import type { FeedAnswer } from '../../../src/server/feed/feed-query.js';
import { FeedFormats } from '../../../src/server/feed/feed-format.js';
import { Channel } from '../../../src/server/feed/channel.js';
import { Leases } from '../../../src/server/feed/consumer-desk.js';
import { ReaderSlots, Turns } from '../../../src/server/feed/turns.js';
import type { EventStore } from '../../../src/store/event-store.js';
import {
  CONSUMER_LEASE_MS,
  MAX_FEED_CHANNEL_EVENTS,
  MAX_FEED_CHUNK_BYTES,
  MAX_FEED_EVENTS,
  MAX_FEED_FOLLOWERS,
  MAX_FEED_READERS,
} from '../../../src/limits.js';
import type { ReadOptions } from '../../../src/store/follow/event-filter.js';
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
  t.true(MAX_FEED_CHANNEL_EVENTS < 3_000);
  await tag(store, 3_000);
  await until(() => quick.seqs.length === 3_001);
  t.true(slow.text.length < 2 * MAX_FEED_CHUNK_BYTES);
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
  await until(() => slow.writableFinished && quick.writableFinished);
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

test('as many clients as MAX_FEED_FOLLOWERS may follow', async (t) => {
  const store = await openTestStore(t);
  const { feed, end } = feedOf(store);
  const answer = answerOf(store);
  for (let at = 0; at < MAX_FEED_FOLLOWERS; at++) {
    feed.checkRoom();
    feed.open(new Tap(), answer);
  }
  t.like(
    t.throws(() => feed.checkRoom()),
    { code: 'TOOMANYREQUESTS' },
  );
  end();
  t.is(feed.size, 0);
});

test('at most MAX_FEED_READERS clients read the log at once', async (t) => {
  const store = await openTestStore(t);
  await write(store, 3);
  let [reading, most] = [0, 0];
  const counted = Object.create(store) as EventStore;
  Object.defineProperty(counted, 'stats', { value: () => store.stats() });
  Object.defineProperty(counted, 'registry', { value: store.registry });
  Object.defineProperty(counted, 'log', {
    value: {
      head: store.log.head,
      follow: store.log.follow.bind(store.log),
      async *read(options: ReadOptions) {
        reading += 1;
        most = Math.max(most, reading);
        await new Promise((resolve) => setTimeout(resolve, 5));
        yield* store.log.read(options);
        reading -= 1;
      },
    },
  });
  const { feed, end } = feedOf(counted);
  const clients = Array.from({ length: MAX_FEED_READERS + 10 }, () => new Tap());
  for (const out of clients) {
    out.release();
    feed.open(out, answerOf(counted, { position: 0 }));
  }
  await until(() => clients.every(({ seqs: got }) => got.length === 3));
  t.is(most, MAX_FEED_READERS);
  end();
});

test('a channel keeps nothing more once all channels together keep MAX_FEED_EVENTS', async (t) => {
  const store = await openTestStore(t);
  const kept = { count: MAX_FEED_EVENTS };
  const options = { key: '', position: 0, format: sse, turns: new Turns(() => 0), kept };
  const channel = new Channel({ ...options, follower: store.log.follow({ from: 1 }) });
  const client = { position: 0, flush: () => undefined, sourceEnded: () => undefined };
  channel.join(client);
  await write(store, 2);
  await until(() => channel.dropped === 2);
  t.is(kept.count, MAX_FEED_EVENTS);
  channel.leave(client);
});
