import type { ExecutionContext } from 'ava';
import { Level } from 'level';
import { LevelLog, type LevelLogOptions } from '../../src/log/leveldb/level-log.js';
import type { PageOptions } from '../../src/log/log.js';
import type { EventBody, StoredEvent } from '../../src/model/events.js';
import { splitEventRows } from './event-rows.js';
import { creationOf, entriesOf, eventsFrom } from './stored-event.js';

/** Opens the log at `location`, made when it is missing; it is closed when the test ends. */
export async function openTestLog(
  t: ExecutionContext,
  location: string,
  options: Partial<LevelLogOptions> = {},
): Promise<LevelLog> {
  const log = await LevelLog.open(location, { createIfMissing: true, ...options });
  t.teardown(() => log.close());
  return log;
}

/** Appends the bodies as one transaction, and returns its events. */
export async function appendBodies(log: LevelLog, bodies: readonly EventBody[]): Promise<StoredEvent[]> {
  const expectedHead = log.head.seq;
  const events = eventsFrom(expectedHead + 1, bodies, 1_000 + expectedHead);
  await log.append({ expectedHead, entries: entriesOf(events), content: new Map() });
  return events;
}

/** Appends `count` creations, each its own transaction. */
export async function appendCreations(log: LevelLog, count: number): Promise<void> {
  for (let at = 0; at < count; at++) await appendBodies(log, [creationOf(`${log.head.seq + 1}`)]);
}

/** The seqs of all events that `pages` gives, page by page. */
export async function readPages(log: LevelLog, options?: PageOptions): Promise<number[][]> {
  const pages: number[][] = [];
  for await (const page of log.pages(options)) pages.push(page.map(({ seq }) => seq));
  return pages;
}

/** Runs `change` on the closed database at `location`, each event in its own row, below everything that checks. */
export async function tamper(
  location: string,
  change: (database: Level<Uint8Array, Uint8Array>) => Promise<void>,
): Promise<void> {
  // Two sessions: each has its own write-ahead log.
  for (const step of [splitEventRows, change]) {
    const database = new Level<Uint8Array, Uint8Array>(location, { keyEncoding: 'view', valueEncoding: 'view' });
    await database.open();
    await step(database);
    await database.close();
  }
}
