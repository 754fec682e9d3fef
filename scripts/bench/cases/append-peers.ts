import { join } from 'node:path';
import type { BenchContext, Benchmark, Measured, Target } from '../benchmark.js';
import { openEmmett } from '../event-peers/emmett.js';
import type { EventPeer, OpenEventPeer, SmallEvent, Unsubscribe } from '../event-peers/event-peer.js';
import { openHypercore } from '../event-peers/hypercore.js';
import { openLmdb } from '../event-peers/lmdb.js';
import { openOurStore } from '../event-peers/our-store.js';
import { BATCH_EVENTS, smallEvents, taggedImages } from '../event-peers/small-events.js';
import { openSqliteTables } from '../event-peers/sqlite-tables.js';
import { type Figure, interleave, rateOf, scaled, type Timed, timeOf, totalRounds } from '../rounds.js';
import { TARGETS } from '../targets.js';

/** Batches per round. */
const BATCHES = 20;
/** One for each image that names point at: the next batch moves them again. */
const LEAST_BATCHES = taggedImages.length;
/** Events delivered to a subscriber from the start. */
const CATCH_UP_EVENTS = 2_000;
/** Events per round that are appended and awaited one by one. */
const DELIVERIES = 5;

const PEERS: Readonly<Record<string, OpenEventPeer>> = {
  'Emmett + SQLite': openEmmett,
  hypercore: openHypercore,
  'better-sqlite3 tables': openSqliteTables,
  'LMDB tables': openLmdb,
};

/** Appending, reading and subscribing against other stores; every commit is durable. */
export const appendPeersBenchmark: Benchmark = {
  name: 'append-peers',
  about: 'append small events in hundreds, read all, subscribe: against Emmett, hypercore, SQLite, LMDB',
  async run(context) {
    const peers = await openPeers(context);
    try {
      return await measure(peers, context);
    } finally {
      for (const peer of peers) await peer[Symbol.asyncDispose]();
    }
  },
};

async function openPeers({ directory, leaveOut }: BenchContext): Promise<EventPeer[]> {
  const peers = [await openOurStore(join(directory, 'ours'))];
  for (const [name, open] of Object.entries(PEERS)) {
    try {
      peers.push(await open(join(directory, name.replaceAll(/\W+/g, '-'))));
    } catch (error) {
      const [reason = ''] = (error instanceof Error ? error.message : String(error)).split('\n');
      leaveOut(name, `${reason}; \`npm run peers\` installs it`);
    }
  }
  return peers;
}

async function measure(peers: readonly EventPeer[], context: BenchContext): Promise<Measured[]> {
  const { rounds, scale, directory } = context;
  const batches = Math.max(LEAST_BATCHES, Math.floor(BATCHES * scale));
  const events = await smallEvents(directory, batches * totalRounds(rounds));
  const appended = await inTurn(peers, context, async (peer, round) => {
    const part = events.slice(round * batches, (round + 1) * batches);
    return rateOf(batches * BATCH_EVENTS, await timeOf(() => appendAll(peer, part)));
  });
  const count = events.length * BATCH_EVENTS;
  const read = await inTurn(peers, context, async (peer) => {
    return rateOf(count, await timeOf(async () => expectCount(await peer.readAll(), count, peer)));
  });
  const subscribers = peers.filter(({ name, subscribe }) => {
    if (subscribe === undefined) context.leaveOut(`${name}, subscribe`, 'it tells nobody of its events');
    return subscribe !== undefined;
  });
  const caughtUp = await inTurn(subscribers, context, (peer) => catchUpRate(peer, Math.min(CATCH_UP_EVENTS, count)));
  // Last, because it appends and the reads above must see the same events.
  const delivered = await inTurn(subscribers, context, (peer, round) => {
    // Uses the image the names do not point at: a no-op would append no event.
    const batch = events[(events.length + round) % taggedImages.length] ?? [];
    return deliveryMs(peer, batch.slice(0, DELIVERIES));
  });
  const targets = {
    'Emmett + SQLite': TARGETS.appendToEmmett,
    hypercore: TARGETS.appendToHypercore,
    'better-sqlite3 tables': TARGETS.appendToSqlite,
  };
  return [
    ...linesOf({ name: 'append in batches of 100', unit: 'events/s' }, peers, appended, targets),
    ...linesOf({ name: 'read all from the first', unit: 'events/s' }, peers, read, {
      'better-sqlite3 tables': TARGETS.readToSqlite,
    }),
    ...linesOf({ name: 'subscribe from the first', unit: 'events/s' }, subscribers, caughtUp),
    ...linesOf({ name: 'from append to delivery', unit: 'ms' }, subscribers, delivered),
  ];
}

/** Runs the peers in turn; returns results by peer name. */
function inTurn(
  peers: readonly EventPeer[],
  { rounds }: BenchContext,
  work: (peer: EventPeer, round: number) => Promise<Figure>,
): Promise<Record<string, Figure[]>> {
  const sides = peers.map((peer) => [peer.name, (round: number) => work(peer, round)] as const);
  return interleave(rounds, Object.fromEntries(sides));
}

/** Returns a line per peer, each with our numbers (the first peer's). */
function linesOf(
  line: Pick<Measured, 'name' | 'unit'>,
  [first, ...peers]: readonly EventPeer[],
  values: Readonly<Record<string, readonly Figure[]>>,
  targets: Readonly<Record<string, Target>> = {},
): Measured[] {
  const ours = values[first?.name ?? ''] ?? [];
  if (peers.length === 0) return [{ ...line, ours }];
  return peers.map(({ name, settings }) => {
    return { ...line, ours, peer: { name, values: values[name] ?? [], settings }, target: targets[name] };
  });
}

async function appendAll(peer: EventPeer, batches: readonly (readonly SmallEvent[])[]): Promise<void> {
  for (const batch of batches) await peer.append(batch);
}

function expectCount(found: number, expected: number, { name }: EventPeer): void {
  if (found !== expected) throw new RangeError(`${name} has ${found} events, expected ${expected}`);
}

/** Events per second delivered to a new subscriber from the start. */
async function catchUpRate(peer: EventPeer, count: number): Promise<Timed> {
  let unsubscribe: Unsubscribe | undefined;
  await peer.connect?.();
  const seconds = await timeOf(async () => {
    let taken = 0;
    let finish = (): void => undefined;
    const finished = new Promise<void>((resolve) => {
      finish = resolve;
    });
    unsubscribe = await peer.subscribe?.('start', () => {
      if (++taken === count) finish();
    });
    await finished;
  });
  await unsubscribe?.();
  return rateOf(count, seconds);
}

/** Milliseconds from the append call until the subscriber has the event, a mean of `events`. */
async function deliveryMs(peer: EventPeer, events: readonly SmallEvent[]): Promise<Timed> {
  let take = (): void => undefined;
  await peer.connect?.();
  const unsubscribe = await peer.subscribe?.('end', () => take());
  const seconds = await timeOf(async () => {
    for (const event of events) {
      const delivered = new Promise<void>((resolve) => {
        take = resolve;
      });
      await peer.append([event]);
      await delivered;
    }
  });
  await unsubscribe?.();
  return scaled(seconds, 1_000 / events.length);
}
