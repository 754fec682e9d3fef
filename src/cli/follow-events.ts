import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { StoredEvent } from '../model/events.js';
import type { EventFilter } from '../store/follow/event-filter.js';
import type { CommandContext } from './context.js';
import { openFor } from './open-for.js';

/** How often a follower looks whether another process has written. */
const FOLLOW_INTERVAL_MS = 250;

/** Most events taken in one opening of the store: what a follower holds in memory. */
const FOLLOW_PAGE_EVENTS = 10_000;

/** Which events a follower gives. */
interface Following {
  /** The seq after which it begins. */
  readonly after: number;
  readonly filter: EventFilter;
}

/**
 * Gives the events after seq `after`, first those there are and then those that other processes write, until the run is aborted.
 * The store is open only while new events are read: a view of it never grows.
 * @throws {Interruption} when the user ends it
 */
export async function* followEvents(
  context: CommandContext,
  { after, filter }: Following,
): AsyncGenerator<StoredEvent> {
  const { signal } = context;
  let seen = after;
  // Not known yet, so that the first look reads what is there.
  let before = '';
  while (true) {
    signal.throwIfAborted();
    // Taken first: what another process writes from here on changes the next one.
    const now = await fingerprint(context.directory);
    if (now !== before) {
      const { events, to, isAtHead } = await eventsAfter(seen, context, filter);
      yield* events;
      seen = to;
      if (!isAtHead) continue;
      before = now;
    }
    await delay(FOLLOW_INTERVAL_MS, undefined, { signal });
  }
}

interface Look {
  readonly events: readonly StoredEvent[];
  /** Events up to here were looked at. */
  readonly to: number;
  readonly isAtHead: boolean;
}

/** Opens the store, takes what came after seq `seen`, and closes it. */
async function eventsAfter(seen: number, context: CommandContext, filter: EventFilter): Promise<Look> {
  await using store = await openFor(context, 'read');
  const head = Math.max(seen, store.log.head.seq);
  const to = Math.min(head, seen + FOLLOW_PAGE_EVENTS);
  const events: StoredEvent[] = [];
  for await (const event of store.log.read({ from: seen + 1, to, filter, signal: context.signal })) events.push(event);
  return { events, to, isAtHead: to === head };
}

/** Names and sizes of the files that hold events: it changes when somebody writes. */
async function fingerprint(directory: string): Promise<string> {
  const folder = join(directory, 'log');
  const facts: string[] = [];
  for (const name of (await readdir(folder)).filter((each) => /\.(log|ldb)$/.test(each)).sort()) {
    try {
      const { size } = await stat(join(folder, name));
      if (size > 0) facts.push(`${name} ${size}`);
    } catch {
      // Removed between the two calls: a compaction, which is a change as well.
      facts.push(`${name} gone`);
    }
  }
  return facts.join('\n');
}
