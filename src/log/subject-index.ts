import { sha256 } from '#sha256';
import type { Database, LogPoint, LogSource, PageRange, WriteBatch } from './log.js';
import { type KeyRange, READ_AHEAD_BYTES, rowsOfKind } from './stored-rows.js';
import { StoreError, throwIfAborted } from '../errors.js';
import { ByteReader, putVarint } from '../model/bytes.js';
import { bytesToHex, type Digest, putHex } from '../model/digest.js';
import type { StoredEvent } from '../model/events.js';
import { Memo } from '../model/collections.js';
import { isAbout, type Subject, subjectsOf } from '../model/subjects.js';
import { openEventRow, parseEventRow, rowEnds } from './event-rows.js';
import { eventKey, keyAt, putSeq, rowBytes, SEQ_BYTES, seqOfKey, SUBJECT_PREFIX } from './rows.js';
import { eventPages, missingEvent } from './event-pages.js';

const CLEARED_AT_A_TIME = 10_000;

/** Deletes a range in key order, in batches, by `write`; throws what the database throws. */
export async function clearRows(database: Database, range: KeyRange, write: WriteBatch): Promise<void> {
  const keys = database.keys({ ...range, highWaterMarkBytes: READ_AHEAD_BYTES });
  try {
    for (;;) {
      const found = await keys.nextv(CLEARED_AT_A_TIME);
      if (found.length === 0) return;
      const batch = database.batch();
      for (const key of found) batch.del(key);
      await write(batch);
    }
  } finally {
    await keys.close();
  }
}

/*
 * The index from subjects to events, written with the events and derived from them.
 *
 * A row covers the events of one batch about one subject, so an actor who does a thousand things at
 * once costs few rows. Its key ends with its last seq: the first row at or after a seq holds what
 * comes next. Keys have eight bytes of the subject's hash; events are checked after the read, so a
 * collision only costs time.
 */

const SUBJECT_HASH_BYTES = 8;
/** Maximum seqs per row; a row is always read whole. */
const MAX_ROW_SEQS = 256;

const PREFIX_BYTES = 2 + SUBJECT_HASH_BYTES;
const DIGEST_PREFIX_LENGTH = 'sha256:'.length;
/** Value of a row with one seq. */
const NO_DISTANCES = new Uint8Array(0);

const utf8 = new TextEncoder();

type SubjectKind = 'image' | 'reference' | 'chain' | 'actor';

const KIND_BYTES: Readonly<Record<SubjectKind, number>> = {
  image: 0x69, // i
  reference: 0x72, // r
  chain: 0x63, // c
  actor: 0x61, // a
};

/** Key and value of an index row. */
export type IndexRow = readonly [key: Uint8Array, value: Uint8Array];

/** Returns the key prefix of a subject's rows. */
export function subjectPrefix(subject: Subject): Uint8Array {
  const prefix = new Uint8Array(PREFIX_BYTES);
  if ('image' in subject) putPrefix(prefix, 'image', digestName(subject.image));
  else if ('chainId' in subject) putPrefix(prefix, 'chain', digestName(subject.chainId));
  else if ('reference' in subject) putPrefix(prefix, 'reference', textName(subject.reference));
  else putPrefix(prefix, 'actor', textName(subject.actor));
  return prefix;
}

/** Returns the range of the rows of all references. */
export function referenceRange(): KeyRange {
  const kind = KIND_BYTES.reference;
  return { gte: Uint8Array.of(SUBJECT_PREFIX, kind), lt: Uint8Array.of(SUBJECT_PREFIX, kind + 1) };
}

/** Returns the part of a row's key that stands for its subject. */
export function subjectOfRow(key: Uint8Array): string {
  return bytesToHex(key.subarray(2, PREFIX_BYTES));
}

/** Returns the index rows for the events of one batch, given in order. */
export function subjectRows(events: Iterable<StoredEvent>): IndexRow[] {
  const images: SeqsByName = new Map();
  const references: SeqsByName = new Map();
  const chains: SeqsByName = new Map();
  const actors: SeqsByName = new Map();
  for (const event of events) {
    const subjects = subjectsOf(event);
    for (const image of subjects.images) note(images, digestName(image), event.seq);
    for (const reference of subjects.references) note(references, textNames.of(reference), event.seq);
    for (const chain of subjects.chains) note(chains, digestName(chain), event.seq);
    note(actors, textNames.of(subjects.actor), event.seq);
  }
  const rows: IndexRow[] = [];
  addRows(rows, 'image', images);
  addRows(rows, 'reference', references);
  addRows(rows, 'chain', chains);
  addRows(rows, 'actor', actors);
  return rows;
}

/** Ascending seqs by key name. Colliding names share rows: else one would overwrite the other. */
type SeqsByName = Map<string, number[]>;

function note(seqsOf: SeqsByName, name: string, seq: number): void {
  const seqs = seqsOf.get(name);
  if (seqs === undefined) seqsOf.set(name, [seq]);
  // Two subjects of one event may collide.
  else if (seqs[seqs.length - 1] !== seq) seqs.push(seq);
}

function addRows(rows: IndexRow[], kind: SubjectKind, seqsOf: SeqsByName): void {
  for (const [name, seqs] of seqsOf) {
    for (let at = 0; at < seqs.length; at += MAX_ROW_SEQS) {
      const key = rowBytes(PREFIX_BYTES + SEQ_BYTES);
      putPrefix(key, kind, name);
      rows.push(formatRow(key, seqs.length <= MAX_ROW_SEQS ? seqs : seqs.slice(at, at + MAX_ROW_SEQS)));
    }
  }
}

/** Returns the key name of a digest: the first digits of its hash. */
function digestName(digest: Digest): string {
  return digest.slice(DIGEST_PREFIX_LENGTH, DIGEST_PREFIX_LENGTH + 2 * SUBJECT_HASH_BYTES);
}

function textName(text: string): string {
  return bytesToHex(sha256(utf8.encode(text)).subarray(0, SUBJECT_HASH_BYTES));
}

// A hash costs ten times a lookup.
const textNames = new Memo(textName);

/** Returns the ascending seqs of a row. @throws {StoreError} LOG_CORRUPT when it is malformed */
export function seqsOfRow(key: Uint8Array, value: Uint8Array): number[] {
  const seqs = [seqOfKey(key)];
  const reader = new ByteReader(value);
  while (!reader.isAtEnd) {
    const distance = reader.number();
    if (distance === undefined) throw damagedRow(key);
    const seq = (seqs[seqs.length - 1] as number) - distance;
    if (distance === 0 || seq < 1) throw damagedRow(key);
    seqs.push(seq);
  }
  return seqs.reverse();
}

function putPrefix(key: Uint8Array, kind: SubjectKind, name: string): void {
  key[0] = SUBJECT_PREFIX;
  key[1] = KIND_BYTES[kind];
  putHex(name, key.subarray(2, PREFIX_BYTES));
}

/** Key: the last seq. Value: distances to the seqs before it, backwards, as LEB128. */
function formatRow(key: Uint8Array, seqs: readonly number[]): IndexRow {
  putSeq(key, seqs[seqs.length - 1] as number);
  if (seqs.length === 1) return [key, NO_DISTANCES];
  const value: number[] = [];
  for (let at = seqs.length - 1; at > 0; at--) {
    putVarint(value, (seqs[at] as number) - (seqs[at - 1] as number), value.length);
  }
  return [key, Uint8Array.from(value)];
}

/** The error for a row of the index that does not fit its event. */
export function damagedRow(key: Uint8Array): StoreError {
  const seq = seqOfKey(key);
  return new StoreError('LOG_CORRUPT', `a row of the subject index up to seq ${seq} is damaged`, {
    data: { seq, remedy: 'rebuild' },
  });
}

interface IndexOptions {
  readonly write: WriteBatch;
  /** Called with the last indexed seq. */
  readonly onIndexed?: ((seq: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/**
 * Whether the index reaches the head. Rows are written in order, with their events, so the row of
 * the last event implies all others.
 */
export async function hasSubjectIndex(source: LogSource, head: LogPoint): Promise<boolean> {
  if (head.seq === 0) return true;
  try {
    const key = await lastRowKey(source, head);
    return key !== undefined && (await source.database.get(key)) !== undefined;
  } catch (cause) {
    throw source.failure(cause);
  }
}

/** Key of the index's last row, the mark of a complete index; undefined in an empty log. */
export async function lastRowKey({ database }: LogSource, { seq }: LogPoint): Promise<Uint8Array | undefined> {
  const row = seq === 0 ? undefined : await database.get(eventKey(seq));
  if (row === undefined) return undefined;
  const { actor } = parseEventRow(row, seq);
  return keyAt(subjectPrefix({ actor }), seq);
}

/**
 * Rebuilds the index up to the head, durably; throws what `write` throws, and ABORTED. A crash or
 * failure leaves the index incomplete, and the next open retries.
 */
export async function indexSubjects(
  source: LogSource,
  head: LogPoint,
  { write, onIndexed, signal }: IndexOptions,
): Promise<void> {
  const { database } = source;
  // First: without this row, a partial index is recognized as incomplete.
  const last = await lastRowKey(source, head);
  if (last !== undefined) await write(database.batch().del(last));
  // Rows of an earlier index may group the same events otherwise, and hide new rows.
  await clearRows(database, rowsOfKind(SUBJECT_PREFIX), write);
  for await (const page of eventPages(source, { first: 1, last: head.seq, signal })) {
    const batch = database.batch();
    for (const [key, value] of subjectRows(page)) batch.put(key, value);
    await write(batch);
    onIndexed?.(page.at(-1)?.seq ?? 0);
  }
}

const PAGE_EVENTS = 100;

/**
 * Yields pages of the events about any of `subjects`, each checked against the checksum of its row.
 * Reads only the index rows and events it yields.
 */
export async function* subjectPages(
  source: LogSource,
  subjects: readonly Subject[],
  range: PageRange,
): AsyncGenerator<readonly StoredEvent[]> {
  const { pageSize = PAGE_EVENTS, reverse = false, signal } = range;
  const cursors = subjects.map((subject) => new SeqCursor(source, subjectPrefix(subject), range));
  try {
    for (;;) {
      throwIfAborted(signal);
      const seqs = await nextSeqs(cursors, pageSize, reverse);
      if (seqs.length === 0) return;
      const events = await readEvents(source, seqs);
      throwIfAborted(signal);
      // Hash prefixes may collide.
      const page = aboutAny(events, subjects);
      if (page.length > 0) yield page;
    }
  } finally {
    await Promise.all(cursors.map((cursor) => cursor.close()));
  }
}

/** Like `subjectPages` without an index: scans the whole range. */
export async function* scannedPages(
  source: LogSource,
  subjects: readonly Subject[],
  range: PageRange,
): AsyncGenerator<readonly StoredEvent[]> {
  for await (const events of eventPages(source, range)) {
    const page = aboutAny(events, subjects);
    if (page.length > 0) yield page;
  }
}

/** Whether `event` is about a digest whose hex digits begin with `hex`. */
function isAboutPrefix(event: StoredEvent, hex: string): boolean {
  return subjectsOf(event).images.some((digest) => digest.startsWith(hex, DIGEST_PREFIX_LENGTH));
}

/**
 * Yields pages of the events about images and artifacts whose digest begins with the hex digits
 * `hex`, each checked against the checksum of its row. Keys of the index begin as the digests do, so this reads
 * only the index rows and events of those digests; the seqs are held in memory.
 */
export async function* prefixPages(
  source: LogSource,
  hex: string,
  range: PageRange,
): AsyncGenerator<readonly StoredEvent[]> {
  const { pageSize = PAGE_EVENTS, reverse = false, signal } = range;
  const seqs = await seqsOfPrefix(source, hex, range);
  if (reverse) seqs.reverse();
  for (let at = 0; at < seqs.length; at += pageSize) {
    throwIfAborted(signal);
    const events = await readEvents(source, seqs.slice(at, at + pageSize));
    const page = events.filter((event) => isAboutPrefix(event, hex));
    if (page.length > 0) yield page;
  }
}

/** Like `prefixPages` without an index: scans the whole range. */
export async function* scannedPrefixPages(
  source: LogSource,
  hex: string,
  range: PageRange,
): AsyncGenerator<readonly StoredEvent[]> {
  for await (const events of eventPages(source, range)) {
    const page = events.filter((event) => isAboutPrefix(event, hex));
    if (page.length > 0) yield page;
  }
}

const PREFIX_ROWS = 1_000;

/** Returns the seqs of the range in all rows of images that begin so, ascending, each once. */
async function seqsOfPrefix(
  { database, failure, opened }: LogSource,
  hex: string,
  { first, last, signal }: PageRange,
): Promise<number[]> {
  const key = (fill: string, seq: number): Uint8Array => {
    const prefix = new Uint8Array(PREFIX_BYTES);
    putPrefix(prefix, 'image', hex.slice(0, 2 * SUBJECT_HASH_BYTES).padEnd(2 * SUBJECT_HASH_BYTES, fill));
    return keyAt(prefix, seq);
  };
  const seqs = new Set<number>();
  try {
    const rows = opened(database.iterator({ gte: key('0', 0), lte: key('f', Number.MAX_SAFE_INTEGER) }));
    try {
      for (;;) {
        throwIfAborted(signal);
        const page = await rows.nextv(PREFIX_ROWS);
        if (page.length === 0) break;
        for (const [rowKey, value] of page) {
          for (const seq of seqsOfRow(rowKey, value)) if (seq >= first && seq <= last) seqs.add(seq);
        }
      }
    } finally {
      await rows.close();
    }
  } catch (cause) {
    throw failure(cause);
  }
  return [...seqs].sort((a, b) => a - b);
}

/** Merges the next seqs of all cursors, in order and without duplicates. */
async function nextSeqs(cursors: readonly SeqCursor[], count: number, reverse: boolean): Promise<number[]> {
  const seqs: number[] = [];
  while (seqs.length < count) {
    let next: number | undefined;
    for (const cursor of cursors) {
      const seq = await cursor.peek(count);
      if (seq !== undefined && (next === undefined || (reverse ? seq > next : seq < next))) next = seq;
    }
    if (next === undefined) break;
    for (const cursor of cursors) cursor.skip(next);
    seqs.push(next);
  }
  return seqs;
}

function aboutAny(events: readonly StoredEvent[], subjects: readonly Subject[]): StoredEvent[] {
  return events.filter((event) => subjects.some((subject) => isAbout(event, subject)));
}

/** Reads the events of `seqs`, in this order, each checked. @throws {StoreError} LOG_CORRUPT */
export async function readEvents(source: LogSource, seqs: readonly number[]): Promise<StoredEvent[]> {
  const rows = await rowsOfEvents(source, seqs);
  const events = new Map<number, StoredEvent>();
  const opened = new Map<Uint8Array, (seq: number) => StoredEvent>();
  for (const seq of seqs) {
    const row = rows.get(seq);
    if (row === undefined) throw missingEvent(seq);
    const eventOf = opened.get(row) ?? openEventRow(row, seq);
    opened.set(row, eventOf);
    events.set(seq, eventOf(seq));
  }
  return seqs.map((seq) => events.get(seq) as StoredEvent);
}

/** Reads the rows of events: those that end with them first, then those that end later. */
async function rowsOfEvents(
  { database, failure }: LogSource,
  seqs: readonly number[],
): Promise<ReadonlyMap<number, Uint8Array>> {
  const found = new Map<number, Uint8Array>();
  const read = async (ends: readonly number[]): Promise<ReadonlyMap<number, Uint8Array>> => {
    const rows = await database.getMany(ends.map(eventKey)).catch((cause: unknown) => {
      throw failure(cause);
    });
    return new Map(rows.flatMap((row, at) => (row === undefined ? [] : [[ends[at] as number, row]])));
  };
  for (const [seq, row] of await read(seqs)) found.set(seq, row);
  const missing = seqs.filter((seq) => !found.has(seq));
  if (missing.length === 0) return found;
  const rows = await read([...new Set(missing.flatMap((seq) => rowEnds(seq).slice(1)))]);
  for (const seq of missing) {
    const end = rowEnds(seq).find((each) => rows.has(each));
    if (end !== undefined) found.set(seq, rows.get(end) as Uint8Array);
  }
  return found;
}

/** The part of LevelDB's iterator that is used. */
interface IndexRows {
  nextv(size: number): Promise<[Uint8Array, Uint8Array][]>;
  close(): Promise<void>;
}

class SeqCursor {
  readonly #source: LogSource;
  readonly #prefix: Uint8Array;
  readonly #range: PageRange;
  #rows: IndexRows | undefined;
  #isDone = false;
  /** Seqs read but not taken, the next one last. */
  #seqs: number[] = [];
  #seen: number;

  constructor(source: LogSource, prefix: Uint8Array, range: PageRange) {
    this.#source = source;
    this.#prefix = prefix;
    this.#range = range;
    this.#seen = range.reverse === true ? range.last + 1 : range.first - 1;
  }

  /** Returns the next seq, undefined at the end; reads up to `rows` rows when it has none. */
  async peek(rows: number): Promise<number | undefined> {
    while (this.#seqs.length === 0 && !this.#isDone) await this.#readRows(rows);
    return this.#seqs.at(-1);
  }

  /** Advances when `seq` is the next one. */
  skip(seq: number): void {
    if (this.#seqs.at(-1) === seq) this.#seqs.pop();
  }

  async close(): Promise<void> {
    await this.#rows?.close();
  }

  async #readRows(count: number): Promise<void> {
    const { first, last, reverse = false } = this.#range;
    try {
      this.#rows ??= this.#source.opened(await this.#open());
      const rows = await this.#rows.nextv(count);
      const seqs = rows.flatMap(([key, value]) => {
        const ofRow = seqsOfRow(key, value);
        return reverse ? ofRow.reverse() : ofRow;
      });
      // An index rebuilt after a crash may repeat seqs of older rows.
      const wanted = seqs.filter((seq) => this.#isNext(seq));
      this.#seqs = wanted.reverse();
      // A row that ends beyond the range may begin inside it.
      const beyond = seqs.at(-1);
      this.#isDone = rows.length === 0 || (beyond !== undefined && (reverse ? beyond < first : beyond > last));
    } catch (cause) {
      throw this.#source.failure(cause);
    }
  }

  #isNext(seq: number): boolean {
    const { first, last, reverse = false } = this.#range;
    if (seq < first || seq > last || (reverse ? seq >= this.#seen : seq <= this.#seen)) return false;
    this.#seen = seq;
    return true;
  }

  async #open(): Promise<IndexRows> {
    const { database } = this.#source;
    const { first, last, reverse = false } = this.#range;
    const end = keyAt(this.#prefix, Number.MAX_SAFE_INTEGER);
    if (!reverse) return database.iterator({ gte: keyAt(this.#prefix, first), lte: end });
    // The row that holds `last` may end after it.
    const after = this.#source.opened(database.keys({ gte: keyAt(this.#prefix, last), lte: end, limit: 1 }));
    const [around] = await after.all();
    const upper = around === undefined ? last : seqOfKey(around);
    return database.iterator({ gte: keyAt(this.#prefix, first), lte: keyAt(this.#prefix, upper), reverse: true });
  }
}
