import { setImmediate } from 'node:timers/promises';
import { throwIfAborted } from '../../errors.js';
import { wholeEntries } from '../../log/event-rows.js';
import { CONTENT_PREFIX, EVENT_KEY_BYTES, EVENT_PREFIX } from '../../log/rows.js';
import { type Digest, digestFromHash, digestOf, HASH_BYTES } from '../../model/digest.js';
import { factsOf } from '../../model/event-table.js';
import type { StoredEvent } from '../../model/events.js';
import { readWriteBatch } from '../../log/leveldb/log-files.js';
import { BlockCache, tableFaults, TableReader } from '../../log/leveldb/table.js';
import { systemCode } from '../files/files.js';
import { databaseFiles, openDatabaseFile, readLogs } from '../open/database-files.js';

/** Pieces of lost content that a message names. */
const NAMED_CONTENT = 5;

/**
 * Resolves with what a rebuild can bring back of a log that LevelDB cannot open, and what not, for a
 * message. Reads every file of it and changes nothing; a rebuild has LevelDB salvage a copy.
 * @param expected events that a checkpoint proves; 0 without one
 */
export async function salvageForecast(
  location: string,
  expected: number,
  signal: AbortSignal | undefined,
): Promise<string> {
  const found = new FoundRows();
  for (const page of looseRows(location)) {
    for (const { key, value } of page) found.take(key, value);
    await setImmediate();
    throwIfAborted(signal);
  }
  const lost = found.lostEvents(expected);
  if (found.count === 0) return 'no event is left in the files of the log: restore a backup';
  const less = hasDamagedTable(location) ? '; a table is damaged, so it may be less' : '';
  if (lost.length === 0) {
    return `\`rebuild\` can bring back all ${found.count} events${contentText(found.lostContent())}${less}`;
  }
  const whole = lost[0] === undefined ? found.count : lost[0].first - 1;
  return (
    `\`rebuild\` cannot bring back ${eventsText(lost)}, and changes nothing: restore a backup; ` +
    (whole === 0 ? 'no event before them is left' : `${eventsText([{ first: 1, last: whole }])} can be read${less}`)
  );
}

function contentText(lost: readonly Digest[]): string {
  if (lost.length === 0) return ' and all content';
  const named = lost.slice(0, NAMED_CONTENT).join(', ');
  const more = lost.length > NAMED_CONTENT ? ` and ${lost.length - NAMED_CONTENT} more` : '';
  return `, and not the content ${named}${more}, which must be loaded again or come from a backup`;
}

/** Seqs of the last events that name and erase a content; 0 for none. */
interface NamedAt {
  named: number;
  erased: number;
}

/** Whole events and content, found in any order, each any number of times. */
class FoundRows {
  /** A bit for each seq that was found. */
  #found = new Uint8Array(1_024);
  #last = 0;
  /** Where the transaction of the last event ends. */
  #end = 0;
  count = 0;
  readonly #names = new Map<Digest, NamedAt>();
  readonly #contents = new Set<Digest>();

  take(key: Uint8Array, value: Uint8Array): void {
    if (key[0] === EVENT_PREFIX && key.length === EVENT_KEY_BYTES) {
      for (const { event } of wholeEntries([key, value])) this.#takeEvent(event);
    } else if (key[0] === CONTENT_PREFIX && key.length === 1 + HASH_BYTES) {
      const digest = digestFromHash(key, 1);
      if (!this.#contents.has(digest) && digestOf(value) === digest) this.#contents.add(digest);
    }
  }

  /** Returns the ranges of events that were not found, up to `expected` or the end of the last transaction. */
  lostEvents(expected: number): SeqRange[] {
    const goal = Math.max(expected, this.#end);
    const lost: SeqRange[] = [];
    let first = 0;
    for (let seq = 1; seq <= goal + 1; seq++) {
      const isLost = seq <= goal && !this.#has(seq);
      if (isLost && first === 0) first = seq;
      if (isLost || first === 0) continue;
      lost.push({ first, last: seq - 1 });
      first = 0;
    }
    return lost;
  }

  /** Returns the content that events name and that was not found. */
  lostContent(): Digest[] {
    return [...this.#names]
      .filter(([digest, { named, erased }]) => named > erased && !this.#contents.has(digest))
      .map(([digest]) => digest);
  }

  #takeEvent(event: StoredEvent): void {
    const { seq, transaction } = event;
    if (this.#has(seq)) return;
    this.#mark(seq);
    if (seq > this.#last) {
      this.#last = seq;
      this.#end = transaction.first + transaction.count - 1;
    }
    const { content, erases } = factsOf(event);
    const [named, erased] = [content(event)?.digest, erases(event)];
    if (named !== undefined) this.#at(named).named = Math.max(this.#at(named).named, seq);
    if (erased !== undefined) this.#at(erased).erased = Math.max(this.#at(erased).erased, seq);
  }

  #at(digest: Digest): NamedAt {
    const known = this.#names.get(digest) ?? { named: 0, erased: 0 };
    this.#names.set(digest, known);
    return known;
  }

  #has(seq: number): boolean {
    return ((this.#found[seq >>> 3] ?? 0) & (1 << (seq & 7))) !== 0;
  }

  #mark(seq: number): void {
    const at = seq >>> 3;
    if (at >= this.#found.length) {
      const larger = new Uint8Array(2 * (at + 1));
      larger.set(this.#found);
      this.#found = larger;
    }
    this.#found[at] = (this.#found[at] as number) | (1 << (seq & 7));
    this.count += 1;
  }
}

/** Seqs of events, both ends inclusive. */
export interface SeqRange {
  readonly first: number;
  readonly last: number;
}

/** Ranges that a message names. */
const NAMED_RANGES = 20;

/** Returns `event 5`, or `events 5 to 7, 9`. There must be a range. */
export function eventsText(ranges: readonly SeqRange[]): string {
  const texts = ranges
    .slice(0, NAMED_RANGES)
    .map(({ first, last }) => (first === last ? `${first}` : `${first} to ${last}`));
  if (ranges.length > NAMED_RANGES) texts.push(`and ${ranges.length - NAMED_RANGES} more ranges`);
  const isOne = ranges.length === 1 && ranges[0]?.first === ranges[0]?.last;
  return `${isOne ? 'event' : 'events'} ${texts.join(', ')}`;
}

/** A row that one of the files of a database has; others may have older and newer ones of its key. */
interface LooseRow {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

const TABLE_FILE = /^\d+\.(?:ldb|sst)$/;
const NO_KEY = new Uint8Array();
/** No block is read twice. */
const NO_CACHE = 0;

/**
 * Yields what can be read of the files of the database at `location` without a MANIFEST, like
 * LevelDB's repair: rows of all tables and write-ahead logs, a page for each block or log, past any
 * damage. Changes nothing.
 * @throws {StoreError} IO_FAILED and system errors when a file cannot be read
 */
function* looseRows(location: string): Generator<readonly LooseRow[]> {
  const files = filesIn(location);
  for (const [name, { isFile }] of files) if (isFile && TABLE_FILE.test(name)) yield* rowsOfTable(location, name);
  const regular = new Map([...files].filter(([, { isFile }]) => isFile));
  for (const { records } of readLogs(location, regular)) {
    const rows: LooseRow[] = [];
    for (const { bytes } of records) {
      readWriteBatch(bytes, ({ key, value }) => {
        if (value !== undefined) rows.push({ key, value });
      });
    }
    yield rows;
  }
}

/**
 * Whether a block of a table does not match its checksum. `looseRows` yields what it can decode of
 * it, and LevelDB may still not find it: by a key of the index, or for a kind it does not know.
 */
function hasDamagedTable(location: string): boolean {
  for (const [name, { isFile }] of filesIn(location)) {
    if (!isFile || !TABLE_FILE.test(name)) continue;
    const file = openDatabaseFile(location, name);
    try {
      if (tableFaults(file.read(0, file.sizeBytes)).length > 0) return true;
    } finally {
      file.close();
    }
  }
  return false;
}

function filesIn(location: string): ReturnType<typeof databaseFiles> {
  try {
    return databaseFiles(location);
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(systemCode(error))) return new Map();
    throw error;
  }
}

function* rowsOfTable(location: string, name: string): Generator<readonly LooseRow[]> {
  const file = openDatabaseFile(location, name);
  try {
    const table = new TableReader(file, { smallest: NO_KEY, largest: NO_KEY }, new BlockCache(NO_CACHE));
    for (const { bytes, keys, areDeleted, valueStarts, valueEnds } of table.looseBlocks()) {
      const rows = keys.map((key, at) => ({ key, value: bytes.subarray(valueStarts[at], valueEnds[at]) }));
      yield rows.filter((_, at) => areDeleted[at] !== true);
    }
  } finally {
    file.close();
  }
}
