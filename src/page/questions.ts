import { isStoreError, thrownText } from '../errors.js';
import { MAX_PAGE_LISTED_PERIODS, MAX_PAGE_PERIODS, MAX_PAGE_TRANSACTION_EVENTS } from '../limits.js';
import { type ParsedCheckpoint, verifyCheckpoint } from '../log/checkpoint.js';
import { summaryFormat } from '../log/event-json.js';
import { bytesToBase64, parseVerifierKey } from '../log/note.js';
import { summarizeTransaction, TransactionTally } from '../log/transaction-summary.js';
import { countBefore } from '../model/collections.js';
import type { Digest, ImageId } from '../model/digest.js';
import type { StoredEvent } from '../model/events.js';
import { parseMoment } from '../model/moment.js';
import { familiarReference } from '../model/reference.js';
import type { ReferenceChange, ReferencePeriod } from './timeline.js';
import { auditActors, auditMoves, auditRemovals } from './audit.js';
import { compareImages, compareMoments } from './compare.js';
import { type EventLine, eventLine } from './as-of.js';
import { card, findNamed } from './image-card.js';
import type { Reading, TreeVerdict } from './reading.js';
import { search, shortName } from './search.js';

/*
 * What the page asks about a log. Each answer is plain data, so that it can come from a worker, and
 * is made of events that were hashed here.
 */

/** Facts of the whole log, and what re-hashing it found. */
export interface Overview {
  /** Undefined until all was read. */
  readonly verdict: (Omit<TreeVerdict, 'root'> & { readonly root: string }) | undefined;
  readonly origin: string;
  readonly size: number;
  /** Text of the checkpoint. */
  readonly checkpoint: string;
  readonly source: Reading['sourceKind'];
  /** Verifier key that came with the log. */
  readonly key: string | undefined;
  /** Contents that a document has no room for. */
  readonly leftOut: Reading['leftOut'];
  /** First and last event that was folded, and their times; undefined in an empty log. */
  readonly range:
    | { readonly first: number; readonly last: number; readonly from: number; readonly to: number }
    | undefined;
}

function overview(reading: Reading): Overview {
  const { verdict, checkpoint, timeline } = reading;
  const { first, last } = timeline;
  return {
    verdict: verdict === undefined ? undefined : { ...verdict, root: bytesToBase64(verdict.root) },
    origin: checkpoint.origin,
    size: checkpoint.size,
    checkpoint: checkpoint.text,
    source: reading.sourceKind,
    key: reading.key,
    leftOut: reading.leftOut,
    range: last < first ? undefined : { first, last, from: timeline.time(first), to: timeline.time(last) },
  };
}

/** A checkpoint that was seen before: its size, and its root in base64. */
export interface SeenHead {
  readonly size: number;
  readonly root: string;
}

/** Whether the log begins with a state that was seen before; `shorter` when it has fewer events, `unchecked` when those are left out. */
export type Continuity = 'continues' | 'shorter' | 'another' | 'unchecked';

async function continuityOf(
  reading: Reading,
  checkpoint: ParsedCheckpoint,
  { size, root }: SeenHead,
): Promise<Continuity> {
  if (size > checkpoint.size) return 'shorter';
  if (size < reading.timeline.first) return 'unchecked';
  return bytesToBase64(await reading.rootAt(size)) === root ? 'continues' : 'another';
}

/** Who signed the checkpoint. */
export type Signature =
  | { readonly state: 'valid'; readonly name: string; readonly key: string }
  /** By none of the keys, or no signature at all. */
  | { readonly state: 'invalid'; readonly why: string }
  | { readonly state: 'none' }
  /** This browser cannot check it here. */
  | { readonly state: 'unchecked'; readonly why: string };

/** What the whole log was checked by, all of the same moment of the reading. */
export interface Evidence extends Overview {
  readonly signature: Signature;
  readonly continuity: Continuity;
}

/** Checks the signature of the checkpoint by a key in text form, and that the log continues what was seen of it. */
async function evidence(
  reading: Reading,
  { key, seen }: { readonly key: string | undefined; readonly seen: SeenHead | undefined },
): Promise<Evidence> {
  const { checkpoint } = reading;
  const found = overview(reading);
  const hasTree = found.verdict !== undefined && found.verdict.damage === undefined;
  const continuity = seen === undefined || !hasTree ? 'continues' : await continuityOf(reading, checkpoint, seen);
  return { ...found, signature: await signatureOf(checkpoint, key), continuity };
}

async function signatureOf(checkpoint: ParsedCheckpoint, key: string | undefined): Promise<Signature> {
  if (key === undefined) {
    return checkpoint.signatures.length === 0 ? { state: 'none' } : { state: 'unchecked', why: 'no key is known' };
  }
  const why = await whyNoSignatures();
  if (why !== undefined) return { state: 'unchecked', why };
  try {
    const verifier = await parseVerifierKey(key);
    await verifyCheckpoint(checkpoint, verifier);
    return { state: 'valid', name: verifier.name, key };
  } catch (error) {
    return { state: isStoreError(error, 'KEY_INVALID') ? 'unchecked' : 'invalid', why: thrownText(error) };
  }
}

async function whyNoSignatures(): Promise<string | undefined> {
  const subtle: typeof crypto.subtle | undefined = crypto.subtle;
  if (subtle === undefined) return 'browsers check signatures over https, on this machine and in files alone';
  try {
    await subtle.generateKey('Ed25519', false, ['sign', 'verify']);
    return undefined;
  } catch {
    return 'this browser knows no Ed25519';
  }
}

/** A moment of the log: the state after event `seq`. */
export interface Moment {
  readonly seq: number;
  /** The time that was asked for, or that of the event; milliseconds since the epoch. */
  readonly time: number;
}

/**
 * Reads a point in time as the command line does: `last tuesday`, `2026-11-24 14:05`, `@27`, `now`.
 * @throws {StoreError} TIME_INVALID
 */
async function moment(
  { timeline }: Reading,
  { text, nowMs, timeZone }: { readonly text: string; readonly nowMs: number; readonly timeZone: string },
): Promise<Moment> {
  const point = parseMoment(text, { nowMs, timeZone });
  const { first, last } = timeline;
  const timeOf = (seq: number): number => (seq < first ? 0 : timeline.time(seq));
  if (point.kind === 'now') return { seq: last, time: timeOf(last) };
  if (point.kind === 'time') return { seq: timeline.seqAt(point.last), time: point.last };
  const seq = Math.min(last, Math.max(first - 1, point.seq));
  return { seq, time: timeOf(seq) };
}

/** Events that moved or removed names, counted in so many equal pieces of a span of time; of some references, or all. */
async function marks(
  { timeline }: Reading,
  {
    from,
    to,
    pieces,
    references,
  }: {
    readonly from: number;
    readonly to: number;
    readonly pieces: number;
    readonly references?: readonly string[] | undefined;
  },
): Promise<number[]> {
  const counts = new Array<number>(pieces).fill(0);
  const names = references?.flatMap((reference) => timeline.names.find(reference) ?? []);
  for (const seq of timeline.moves(names)) {
    const place = Math.min(pieces - 1, Math.floor(((timeline.time(seq) - from) / Math.max(1, to - from)) * pieces));
    if (place >= 0) counts[place] = (counts[place] ?? 0) + 1;
  }
  return counts;
}

/** The transaction before or after a moment; of those that moved a reference, or of all. */
async function step(
  { timeline }: Reading,
  {
    seq,
    by,
    movesOf,
  }: { readonly seq: number; readonly by: 1 | -1; readonly movesOf?: readonly string[] | 'all' | undefined },
): Promise<Moment> {
  const { first, last } = timeline;
  const inRange = (each: number): number => Math.min(last, Math.max(first - 1, each));
  const to = movesOf === undefined ? seq : nearestMove(timeline, { seq, by, movesOf });
  const own =
    movesOf === undefined
      ? by === 1
        ? endOfTransaction(timeline, inRange(to + 1))
        : inRange(timeline.transaction(Math.max(first, to)) - 1)
      : endOfTransaction(timeline, to);
  return { seq: own, time: own < first ? 0 : timeline.time(own) };
}

function nearestMove(
  timeline: Reading['timeline'],
  { seq, by, movesOf }: { readonly seq: number; readonly by: 1 | -1; readonly movesOf: readonly string[] | 'all' },
): number {
  const names = movesOf === 'all' ? undefined : movesOf.flatMap((reference) => timeline.names.find(reference) ?? []);
  let nearest = by === 1 ? timeline.last : timeline.first - 1;
  const own = seq < timeline.first ? seq : timeline.transaction(seq);
  for (const move of timeline.moves(names)) {
    if (by === 1 ? move > seq && move < nearest : move < own && move > nearest) nearest = move;
  }
  return nearest;
}

function endOfTransaction(timeline: Reading['timeline'], seq: number): number {
  if (seq < timeline.first) return seq;
  const first = timeline.transaction(seq);
  let end = seq;
  while (end < timeline.last && timeline.transaction(end + 1) === first) end++;
  return end;
}

/** A reference as of a moment. */
export interface ReferenceRow {
  /** As people write it. */
  readonly name: string;
  /** Canonical. */
  readonly reference: string;
  readonly image: ImageId | undefined;
  readonly target: Digest | undefined;
  readonly isRemoved: boolean;
  /** Event that made it so, and who, when, why. */
  readonly event: EventLine;
}

/** All periods of a reference, those after the moment too. */
export interface LanePeriods {
  /** Oldest first; the last MAX_PAGE_PERIODS. */
  readonly periods: readonly ReferencePeriod[];
  /** Periods before those, and when the first of them began. */
  readonly earlier: number;
  readonly since: number | undefined;
}

async function lane({ timeline }: Reading, { reference }: { readonly reference: string }): Promise<LanePeriods> {
  const row = timeline.names.find(reference);
  const periods = row === undefined ? [] : timeline.periods(row, timeline.last);
  const kept = periods.slice(-MAX_PAGE_PERIODS);
  return { periods: kept, earlier: periods.length - kept.length, since: periods[0]?.time };
}

export interface References {
  readonly rows: readonly ReferenceRow[];
  /** How many there are in all. */
  readonly count: number;
  readonly removed: number;
  readonly readAs: readonly string[];
}

/** References that a search found, as of event `seq`, by name: those that are there, then removed ones. */
async function references(
  reading: Reading,
  { seq, text, limit }: { readonly seq: number; readonly text: string; readonly limit: number },
): Promise<References> {
  const { timeline } = reading;
  const { names, readAs } = await search(reading, text);
  const found = [...names].flatMap((row) => {
    const change = timeline.referenceAt(row, seq);
    const reference = timeline.names.texts[row] ?? '';
    return change === undefined ? [] : [{ row, reference, change, name: shortName(reference) }];
  });
  const rankOf = ({ change, reference }: (typeof found)[number]): number =>
    Number(change.isRemoved) * 2 + Number(reference.includes('@'));
  found.sort((a, b) => rankOf(a) - rankOf(b) || (a.name < b.name ? -1 : 1));
  const rows = found.slice(0, limit).map(({ row, change }) => referenceRow(reading, row, change));
  const removed = found.filter(({ change }) => change.isRemoved).length;
  return { rows: await Promise.all(rows), count: found.length, removed, readAs };
}

async function referenceRow(reading: Reading, row: number, change: ReferenceChange): Promise<ReferenceRow> {
  const { timeline } = reading;
  const reference = timeline.names.texts[row] ?? '';
  const { image, target, isRemoved } = change;
  return {
    name: familiarReference(reference),
    reference,
    image,
    target,
    isRemoved,
    event: eventLine(await reading.event(change.seq)),
  };
}

/** One reference, with who began each of its periods and why. */
export interface ChosenReference {
  /** As of the moment; undefined when it had never been set. */
  readonly row: ReferenceRow | undefined;
  /** Its periods up to the moment, the newest first; the last MAX_PAGE_LISTED_PERIODS. */
  readonly periods: readonly { readonly period: ReferencePeriod; readonly event: EventLine }[];
  readonly earlier: number;
}

/** One reference as of event `seq`. */
async function reference(
  reading: Reading,
  { seq, reference }: { readonly seq: number; readonly reference: string },
): Promise<ChosenReference> {
  const { timeline } = reading;
  const row = timeline.names.find(reference);
  const change = row === undefined ? undefined : timeline.referenceAt(row, seq);
  if (row === undefined || change === undefined) return { row: undefined, periods: [], earlier: 0 };
  const all = timeline.periods(row, seq).reverse();
  const listed = all
    .slice(0, MAX_PAGE_LISTED_PERIODS)
    .map(async (period) => ({ period, event: eventLine(await reading.event(period.seq)) }));
  return {
    row: await referenceRow(reading, row, change),
    periods: await Promise.all(listed),
    earlier: Math.max(0, all.length - MAX_PAGE_LISTED_PERIODS),
  };
}

/** One event. @throws {StoreError} EVENT_NOT_FOUND */
async function event(reading: Reading, { seq }: { readonly seq: number }): Promise<EventLine> {
  return eventLine(await reading.event(seq));
}

/** A transaction: one command, all of whose events happened at once. */
export interface TransactionLine extends Omit<EventLine, 'summary' | 'type'> {
  readonly first: number;
  /** What it did, in the words of `imagelog log`. */
  readonly summary: string;
  /** Its events up to the moment, at most MAX_PAGE_TRANSACTION_EVENTS of them. */
  readonly events: readonly EventLine[];
  readonly count: number;
}

export interface Events {
  readonly transactions: readonly TransactionLine[];
  /** Event to continue before; undefined at the end. */
  readonly before: number | undefined;
}

/** Transactions that have a selected event, the newest first, up to event `seq` and before event `before`. */
async function events(
  reading: Reading,
  asked: {
    readonly seq: number;
    readonly text: string;
    readonly reference?: string | undefined;
    readonly before?: number | undefined;
    readonly limit: number;
  },
): Promise<Events> {
  const { timeline } = reading;
  const { seq, before = seq + 1, limit } = asked;
  const chosen = await chosenEvents(reading, asked);
  const isChosen = chosen === undefined ? () => false : Set.prototype.has.bind(new Set(chosen));
  const transactions: TransactionLine[] = [];
  let next = Math.min(seq, before - 1);
  for (;;) {
    const found = newestUpTo(timeline, chosen, next);
    if (found === undefined) return { transactions, before: undefined };
    if (transactions.length === limit) return { transactions, before: found + 1 };
    const first = Math.max(timeline.first, timeline.transaction(found));
    transactions.push(
      await transactionLine(reading, { first, seq: Math.min(seq, endOfTransaction(timeline, found)), isChosen }),
    );
    next = first - 1;
  }
}

async function chosenEvents(
  reading: Reading,
  { text, reference }: { readonly text: string; readonly reference?: string | undefined },
): Promise<readonly number[] | undefined> {
  if (reference === undefined) return (await search(reading, text)).seqs;
  const row = reading.timeline.names.find(reference);
  return row === undefined ? [] : reading.timeline.eventsOfReference(row);
}

function newestUpTo(
  timeline: Reading['timeline'],
  chosen: readonly number[] | undefined,
  seq: number,
): number | undefined {
  if (chosen === undefined) return seq < timeline.first ? undefined : seq;
  return chosen[countBefore(chosen.length, (place) => (chosen[place] as number) <= seq) - 1];
}

async function transactionLine(
  reading: Reading,
  {
    first,
    seq,
    isChosen,
  }: { readonly first: number; readonly seq: number; readonly isChosen: (seq: number) => boolean },
): Promise<TransactionLine> {
  const tally = new TransactionTally();
  const lines: EventLine[] = [];
  for (let each = first; each <= seq; each++) {
    const found = await reading.event(each);
    tally.add(found, isChosen(each));
    if (lines.length < MAX_PAGE_TRANSACTION_EVENTS) lines.push(eventLine(found));
  }
  const summary = summarizeTransaction(tally, summaryFormat).phrases.join(' ');
  const { type, ...last } = eventLine(tally.last as StoredEvent);
  return { ...last, first, summary, events: lines, count: tally.size };
}

/** A proof of an event, which was checked up to the root of the checkpoint. */
async function proof(reading: Reading, { seq }: { readonly seq: number }): Promise<{ readonly text: string }> {
  return { text: await reading.prove(seq) };
}

/** All questions, by name. */
export const questions = {
  overview,
  evidence,
  moment,
  marks,
  step,
  references,
  reference,
  lane,
  event,
  events,
  proof,
  card,
  findNamed,
  compareMoments,
  compareImages,
  auditMoves,
  auditRemovals,
  auditActors,
};

type Questions = typeof questions;
type QuestionName = keyof Questions;

/** Asks about the log; the answer may come from a worker. Rejects with what the question threw, as an Error. */
export type Ask = <Name extends QuestionName>(
  name: Name,
  ...args: Parameters<Questions[Name]> extends [Reading] ? [] : [Parameters<Questions[Name]>[1] & object]
) => Promise<Awaited<ReturnType<Questions[Name]>>>;
