import { readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { isStoreError } from '../errors.js';
import type { StoredEvent } from '../model/events.js';
import type { EventFilter, EventStore } from '../store/store.js';
import type { CommandContext } from './context.js';
import { openFor } from './open-for.js';

/** How often a follower looks whether another process has written. */
export const FOLLOW_INTERVAL_MS = 250;

/**
 * Gives the events after seq `after` that other processes write from now on,
 * until the run is aborted. A database has one process at a time, so the
 * store is open only while new events are read: a follower keeps no writer
 * out. A writer that keeps the store open is waited for.
 * @throws {Interruption} when the user ends it
 */
export async function* followEvents(
  context: CommandContext,
  { after, filter }: { readonly after: number; readonly filter: EventFilter },
): AsyncGenerator<StoredEvent> {
  const { signal } = context;
  let seen = after;
  // Not known yet, so that the first look reads what was written since the caller closed the store.
  let before = '';
  while (true) {
    signal.throwIfAborted();
    if ((await fingerprint(context.directory)) !== before) {
      const store = await openUnlessLocked(context);
      if (store !== undefined) {
        try {
          const head = store.log.head.seq;
          yield* store.log.read({ from: seen + 1, to: head, filter, signal });
          seen = Math.max(seen, head);
        } finally {
          await store.close();
        }
        // Taken after closing: opening a database changes its files too.
        before = await fingerprint(context.directory);
      }
    }
    await delay(FOLLOW_INTERVAL_MS, undefined, { signal });
  }
}

async function openUnlessLocked(context: CommandContext): Promise<EventStore | undefined> {
  try {
    return await openFor(context, 'read');
  } catch (error) {
    if (isStoreError(error, 'STORE_LOCKED')) return undefined;
    throw error;
  }
}

/** Names, sizes and times of the log's files: it changes whenever somebody writes. */
async function fingerprint(directory: string): Promise<string> {
  const folder = join(directory, 'log');
  const facts: string[] = [];
  for (const name of (await readdir(folder)).sort()) {
    try {
      const { size, mtimeMs } = await stat(join(folder, name));
      facts.push(`${name} ${size} ${mtimeMs}`);
    } catch {
      // Removed between the two calls: a compaction, which is a change as well.
      facts.push(`${name} gone`);
    }
  }
  return facts.join('\n');
}
