import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { StoredEvent } from '../model/events.js';
import type { EventFilter } from '../store/follow/event-filter.js';
import type { CommandContext } from './context.js';
import { openFor } from './open-for.js';

/** Polling interval for writes by other processes. */
const FOLLOW_INTERVAL_MS = 250;

/** Maximum events read per opening of the store, which bounds a follower's memory. */
const FOLLOW_PAGE_EVENTS = 10_000;

/**
 * Yields the events after seq `after`, existing ones first, then those other processes write, until
 * the run is aborted. Opens the store only to read new events, because an open view never grows.
 * @throws {Interruption} when the user stops it
 */
export async function* followEvents(
  context: CommandContext,
  after: number,
  filter: EventFilter,
): AsyncGenerator<StoredEvent> {
  const { signal } = context;
  let seen = after;
  // Unknown, so that the first poll reads existing events.
  let before = '';
  while (true) {
    signal.throwIfAborted();
    // Read before the events, so that any later write changes the next fingerprint.
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
  /** Last seq examined. */
  readonly to: number;
  readonly isAtHead: boolean;
}

async function eventsAfter(seen: number, context: CommandContext, filter: EventFilter): Promise<Look> {
  await using store = await openFor(context, 'read');
  const head = Math.max(seen, store.log.head.seq);
  const to = Math.min(head, seen + FOLLOW_PAGE_EVENTS);
  const events: StoredEvent[] = [];
  for await (const event of store.log.read({ from: seen + 1, to, filter, signal: context.signal })) events.push(event);
  return { events, to, isAtHead: to === head };
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
