import { throwIfAborted } from '../../abort.js';
import { StoreError } from '../../errors.js';
import { parseEventRow } from '../../log/event-row.js';
import { EVENT_PREFIX, eventKey, seqOfKey } from '../../log/keys.js';
import type { Database } from '../../log/log-source.js';
import { readFailure } from '../../log/read-failure.js';
import { rowsOfKind, type StoredRow, StoredRows } from '../../log/stored-rows.js';
import type { StoredEvent } from '../../model/events.js';
import { nodeSha256 } from '../files/node-hash.js';
import { NamedContent } from '../verify/content-check.js';
import type { RebuildOptions } from './rebuild.js';

/** What the events of a database are, each looked at by itself. */
export interface ExaminedLog {
  /** Seq of the last event that is whole. */
  readonly last: number;
  /** Events up to `last` that are missing or damaged, as ranges. */
  readonly lost: readonly SeqRange[];
  /** Of the last event's transaction: seq of the event that must end it. */
  readonly end: number;
  /** Content that the events name. */
  readonly named: NamedContent;
}

interface SeqRange {
  readonly first: number;
  readonly last: number;
}

/** How many ranges of lost events a message names. */
const NAMED_RANGES = 20;

/** Resolves with what the events of a database are. Nothing is changed, and damage ends nothing. */
export async function examineLog(database: Database, { onProgress, signal }: RebuildOptions): Promise<ExaminedLog> {
  const rows = new StoredRows({ database, failure: (cause) => readFailure(cause, false) });
  const named = new NamedContent();
  const lost: SeqRange[] = [];
  let last = 0;
  let end = 0;
  try {
    for await (const event of wholeEvents(rows)) {
      throwIfAborted(signal);
      if (event.seq > last + 1) lost.push({ first: last + 1, last: event.seq - 1 });
      last = event.seq;
      end = event.transaction.first + event.transaction.count - 1;
      named.add(event);
      if (last % PROGRESS_EVENTS === 0) onProgress?.({ what: 'events', done: last, total: undefined });
    }
  } finally {
    await rows.close();
  }
  return { last, lost, end, named };
}

const PROGRESS_EVENTS = 1_000;

/** Returns the events that are lost, as a person reads them; undefined when the log is whole and has at least `expected`. */
export function lostEvents({ lost, last, end }: ExaminedLog, expected: number): string | undefined {
  const goal = Math.max(expected, end);
  const all = goal > last ? [...lost, { first: last + 1, last: goal }] : lost;
  if (all.length === 0) return undefined;
  const texts = all
    .slice(0, NAMED_RANGES)
    .map((range) => (range.first === range.last ? `${range.first}` : rangeText(range)));
  if (all.length > NAMED_RANGES) texts.push(`and ${all.length - NAMED_RANGES} more ranges`);
  return `${all.length === 1 && all[0]?.first === all[0]?.last ? 'event' : 'events'} ${texts.join(', ')}`;
}

/** The error for a log of which events are lost for good. */
export function beyondRepair(lost: string, data: Readonly<Record<string, unknown>>, cause?: unknown): StoreError {
  return new StoreError('LOG_CORRUPT', `cannot rebuild the store: ${lost} cannot be read any more; restore a backup`, {
    cause,
    data: { ...data, remedy: 'restore' },
  });
}

function rangeText({ first, last }: SeqRange): string {
  return `${first} to ${last}`;
}

/** Events whose records have their leaf hash and their seq. */
async function* wholeEvents(rows: StoredRows): AsyncGenerator<StoredEvent> {
  for await (const row of rows.read(rowsOfKind(EVENT_PREFIX), () => undefined)) {
    const event = wholeEvent(row);
    if (event !== undefined) yield event;
  }
}

function wholeEvent([key, row]: StoredRow): StoredEvent | undefined {
  if (key.length !== eventKey(0).length) return undefined;
  try {
    return parseEventRow(row, seqOfKey(key), nodeSha256);
  } catch (error) {
    // It is one of those that are lost.
    if (error instanceof StoreError && error.kind === 'Corrupt') return undefined;
    throw error;
  }
}
