import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { EventStore } from '../store/event-store.js';
import type { EventFilter } from '../store/follow/event-filter.js';
import type { CommandContext } from './context.js';
import { openFor } from './open-for.js';
import type { Selection } from './transactions.js';

/** Polling interval for writes by other processes. */
const FOLLOW_INTERVAL_MS = 250;

/** Maximum events read per opening of the store, which bounds a follower's memory. */
const FOLLOW_PAGE_EVENTS = 10_000;

/** What of the log is shown: `read` yields the text of each entry, an event or a transaction. */
export interface FollowedView {
  /** Whether an entry may need events after `to`, so that a read must end with a transaction. */
  readonly isByTransaction: boolean;
  readonly read: (store: EventStore, selection: Selection) => AsyncIterable<string>;
}

/**
 * Yields the entries after seq `after`, existing ones first, then those other processes write, until
 * the run is aborted. Opens the store only to read new events, because an open view never grows.
 * @throws {Interruption} when the user stops it
 */
export async function* followLog(
  context: CommandContext,
  after: number,
  filter: EventFilter,
  view: FollowedView,
): AsyncGenerator<string> {
  const { signal } = context;
  let seen = after;
  // Unknown, so that the first poll reads existing events.
  let before = '';
  while (true) {
    signal.throwIfAborted();
    // Read before the events, so that any later write changes the next fingerprint.
    const now = await changing(context);
    if (now !== before) {
      const { entries, to, isAtHead } = await entriesAfter(seen, context, filter, view);
      yield* entries;
      seen = to;
      if (!isAtHead) continue;
      before = now;
    }
    await delay(FOLLOW_INTERVAL_MS, undefined, { signal });
  }
}

interface Look {
  readonly entries: readonly string[];
  /** Last seq examined. */
  readonly to: number;
  readonly isAtHead: boolean;
}

async function entriesAfter(
  seen: number,
  context: CommandContext,
  filter: EventFilter,
  view: FollowedView,
): Promise<Look> {
  await using store = await openFor(context, 'read');
  const head = Math.max(seen, store.log.head.seq);
  let to = Math.min(head, seen + FOLLOW_PAGE_EVENTS);
  if (view.isByTransaction && to < head) to = await endOfTransaction(store, to);
  const entries: string[] = [];
  for await (const entry of view.read(store, { from: seen + 1, to, filter })) entries.push(entry);
  return { entries, to, isAtHead: to === head };
}

async function endOfTransaction({ log }: EventStore, seq: number): Promise<number> {
  for await (const { transaction } of log.read({ from: seq, to: seq })) {
    return transaction.first + transaction.count - 1;
  }
  return seq;
}

/** Returns what changes with every write. */
function changing({ io: { client }, directory }: CommandContext): Promise<string> | string {
  return client === undefined ? fingerprint(directory) : String(client.store.log.head.seq);
}

/** Returns names and sizes of the files that hold events; changes with every write. */
async function fingerprint(directory: string): Promise<string> {
  const folder = join(directory, 'log');
  const facts: string[] = [];
  for (const name of (await readdir(folder)).filter((each) => /\.(log|ldb)$/.test(each)).sort()) {
    try {
      const { size } = await stat(join(folder, name));
      if (size > 0) facts.push(`${name} ${size}`);
    } catch {
      // Removed between the two calls by a compaction, which is a change too.
      facts.push(`${name} gone`);
    }
  }
  return facts.join('\n');
}
