import type { Digest } from '../model/digest.js';
import type { StoredEvent } from '../model/events.js';
import { parseMoment } from '../model/moment.js';
import { familiarReference } from '../model/reference.js';
import { type EventLine, eventLine, readEvents } from './as-of.js';
import type { Reading } from './reading.js';
import { search } from './search.js';

/** A period as people write it; without a beginning or end it is that of the log, up to the moment. */
export interface Period {
  readonly since?: string | undefined;
  readonly until?: string | undefined;
  readonly nowMs: number;
  readonly timeZone: string;
  /** The moment: nothing after it counts. */
  readonly seq: number;
}

/** First and last event of a period; the last comes before the first when it has none. */
export interface Range {
  readonly first: number;
  readonly last: number;
}

/**
 * Reads a period as `imagelog log --since --until` does.
 * @throws {StoreError} TIME_INVALID
 */
function rangeOf({ timeline }: Reading, { since, until, nowMs, timeZone, seq }: Period): Range {
  const context = { nowMs, timeZone };
  const begin = since === undefined ? undefined : parseMoment(since, context);
  const end = until === undefined ? undefined : parseMoment(until, context);
  const first =
    begin === undefined
      ? timeline.first
      : begin.kind === 'event'
        ? begin.seq
        : timeline.seqAt((begin.kind === 'now' ? nowMs : begin.first) - 1) + 1;
  const last =
    end === undefined || end.kind === 'now' ? seq : end.kind === 'event' ? end.seq : timeline.seqAt(end.last);
  return { first: Math.max(timeline.first, first), last: Math.min(seq, last) };
}

/** A name that was pointed elsewhere, set or removed. */
export interface Move {
  readonly name: string;
  readonly reference: string;
  /** Image or artifact before and after; undefined for none. */
  readonly before: Digest | undefined;
  readonly after: Digest | undefined;
  readonly event: EventLine;
}

/** Rows of a period, the newest first. */
export interface Rows<Row> {
  readonly range: Range;
  readonly rows: readonly Row[];
  /** How many there are in all. */
  readonly count: number;
}

interface Limited extends Period {
  readonly limit: number;
}

/** Moves in a period of the names that a search finds, or by the people and requests that it finds. */
export async function auditMoves(
  reading: Reading,
  { text, limit, ...period }: Limited & { readonly text: string },
): Promise<Rows<Move> & { readonly readAs: readonly string[] }> {
  const range = rangeOf(reading, period);
  const { seqs, readAs } = await search(reading, text);
  const isFound = seqs === undefined ? () => true : Set.prototype.has.bind(new Set(seqs));
  const found: number[] = [];
  for (const seq of reading.timeline.moves()) {
    if (seq > range.last) break;
    if (seq >= range.first && isFound(seq)) found.push(seq);
  }
  const events = await readEvents(reading, found.slice(-limit).reverse());
  return { range, rows: events.flatMap(moveOf), count: found.length, readAs };
}

function moveOf(event: StoredEvent): Move[] {
  if (event.type !== 'ReferenceSet' && event.type !== 'ReferenceRemoved') return [];
  const { reference, image } = event;
  const name = familiarReference(reference);
  const line = { name, reference, event: eventLine(event) };
  if (event.type === 'ReferenceRemoved') return [{ ...line, before: image ?? event.target, after: undefined }];
  return [{ ...line, before: event.previous ?? event.previousTarget, after: image ?? event.target?.digest }];
}

/** Something that was deleted, removed or erased. */
export interface Removal {
  /** What happened to it: `image deleted`, `name removed`, `artifact removed`, `content erased`. */
  readonly what: string;
  /** The name, or the digest of what is gone. */
  readonly key: string;
  readonly event: EventLine;
}

/** What is a deletion or an erasure. */
const REMOVALS: ReadonlyMap<StoredEvent['type'], string> = new Map([
  ['ImageDeleted', 'image deleted'],
  ['ReferenceRemoved', 'name removed'],
  ['ArtifactRemoved', 'artifact removed'],
  ['ContentErased', 'content erased'],
]);

/** Images and artifacts deleted, names removed and bytes erased in a period. */
export async function auditRemovals(reading: Reading, { limit, ...period }: Limited): Promise<Rows<Removal>> {
  const { timeline } = reading;
  const range = rangeOf(reading, period);
  const found: number[] = [];
  for (let seq = range.first; seq <= range.last; seq++) if (REMOVALS.has(timeline.type(seq))) found.push(seq);
  const events = await readEvents(reading, found.slice(-limit).reverse());
  const rows = events.map((event) => ({
    what: REMOVALS.get(event.type) ?? '',
    key: keyOf(event),
    event: eventLine(event),
  }));
  return { range, rows, count: found.length };
}

function keyOf(event: StoredEvent): string {
  if (event.type === 'ReferenceRemoved') return familiarReference(event.reference);
  if (event.type === 'ImageDeleted') return event.image;
  if (event.type === 'ArtifactRemoved') return event.artifact.digest;
  return event.type === 'ContentErased' ? event.digest : '';
}

/** What one actor did in a period. */
export interface ActorCount {
  readonly actor: string;
  readonly transactions: number;
  readonly events: number;
  /** Names that were set elsewhere or removed. */
  readonly moves: number;
  /** Times of the first and the last event. */
  readonly first: number;
  readonly last: number;
}

/** Who wrote in a period, the most transactions first. */
export async function auditActors(reading: Reading, { limit, ...period }: Limited): Promise<Rows<ActorCount>> {
  const { timeline } = reading;
  const range = rangeOf(reading, period);
  const counts = new Map<string, { -readonly [Key in keyof ActorCount]: ActorCount[Key] }>();
  let transaction: number | undefined;
  for (let seq = range.first; seq <= range.last; seq++) {
    const actor = timeline.actor(seq);
    const time = timeline.time(seq);
    const count = counts.get(actor) ?? { actor, transactions: 0, events: 0, moves: 0, first: time, last: time };
    counts.set(actor, count);
    if (timeline.transaction(seq) !== transaction) count.transactions += 1;
    transaction = timeline.transaction(seq);
    count.events += 1;
    count.last = time;
  }
  for (const seq of timeline.moves()) {
    const count = seq >= range.first && seq <= range.last ? counts.get(timeline.actor(seq)) : undefined;
    if (count !== undefined) count.moves += 1;
  }
  const all = [...counts.values()].sort(
    (a, b) => b.transactions - a.transactions || b.events - a.events || (a.actor < b.actor ? -1 : 1),
  );
  return { range, rows: all.slice(0, limit), count: all.length };
}
