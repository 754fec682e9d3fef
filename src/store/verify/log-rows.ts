import {
  CONTENT_PREFIX,
  EVENT_PREFIX,
  nameOfPositionKey,
  POSITION_PREFIX,
  seqOfKey,
  REMOVED_PREFIX,
  SUBJECT_PREFIX,
  TREE_PREFIX,
} from '../../log/keys.js';
import { MAX_TILE_LEVEL } from '../../log/merkle/tile.js';
import { LEAF_PREFIX } from '../../log/leaf-hash.js';
import { type KeyRange, rowsOfKind, type StoredRow, type StoredRows } from '../../log/stored-rows.js';
import type { IndexRow } from '../../log/subject-index.js';
import { bytesToHex, digestFromHash, HASH_BYTES } from '../../model/digest.js';
import type { Reading, StoredContent, StoredHash, StoredPosition, StoredRecord } from './verify-source.js';

/** Bytes of each kind of key, and how it is called; undefined for keys of any length. */
const KINDS = [
  { prefix: CONTENT_PREFIX, keyBytes: 1 + HASH_BYTES, name: 'content' },
  { prefix: EVENT_PREFIX, keyBytes: 9, name: 'events' },
  { prefix: POSITION_PREFIX, keyBytes: undefined, name: 'positions of consumers' },
  { prefix: SUBJECT_PREFIX, keyBytes: 18, name: 'the subject index' },
  { prefix: TREE_PREFIX, keyBytes: 10, name: 'the Merkle tree' },
  // What is being removed from the disk: the next open goes on with it.
  { prefix: REMOVED_PREFIX, keyBytes: 1 + HASH_BYTES + 8, name: 'removals' },
] as const;

type Kind = (typeof KINDS)[number];

/** The rows of a log's database, each kind as verification asks for it. */
export class LogRows {
  readonly #rows: StoredRows;

  constructor(rows: StoredRows) {
    this.#rows = rows;
  }

  async *records(reading: Reading): AsyncGenerator<StoredRecord> {
    for await (const [key, row] of this.#ofKind(EVENT_PREFIX, reading)) {
      const seq = seqOfKey(key);
      // A row too short for a record still stands in the place of one. One whose byte before the record is another is hashed with it.
      const start = row[HASH_BYTES] === LEAF_PREFIX ? HASH_BYTES + 1 : HASH_BYTES;
      const leafHash = row.length < HASH_BYTES ? undefined : row.subarray(0, HASH_BYTES);
      yield { seq, record: row.subarray(start), leafHash, place: `event ${seq}` };
    }
  }

  async *hashes(level: number, reading: Reading): AsyncGenerator<StoredHash> {
    if (level === 0) {
      for await (const { seq, leafHash, place } of this.records(reading)) {
        if (leafHash !== undefined) yield { index: seq - 1, hash: leafHash, place };
      }
      return;
    }
    for await (const [key, hash] of this.#ofKind(TREE_PREFIX, reading, level)) {
      const index = seqOfKey(key);
      yield { index, hash, place: `tile ${level}/${index}` };
    }
  }

  async *contents(reading: Reading): AsyncGenerator<StoredContent> {
    for await (const [key, bytes] of this.#ofKind(CONTENT_PREFIX, reading)) {
      const digest = digestFromHash(key, 1);
      yield { digest, bytes, place: `content ${digest}` };
    }
  }

  indexRows(reading: Reading): AsyncGenerator<IndexRow> {
    return this.#ofKind(SUBJECT_PREFIX, reading);
  }

  async *positions(reading: Reading): AsyncGenerator<StoredPosition> {
    for await (const [key, row] of this.#ofKind(POSITION_PREFIX, reading)) yield { name: nameOfPositionKey(key), row };
  }

  /** Reports rows of no known kind. */
  async reportStrays({ report }: Reading): Promise<void> {
    const ignore = (): void => undefined;
    for (const range of strayRanges()) {
      for await (const [key] of this.#rows.read(range, ignore)) {
        const place = `row ${bytesToHex(key.subarray(0, 40))}`;
        report({ code: 'ROW_UNKNOWN', place, message: `the ${place} is of no kind that this version knows` });
      }
    }
  }

  async *#ofKind(prefix: Kind['prefix'], { report }: Reading, level?: number): AsyncGenerator<StoredRow> {
    const { name, keyBytes } = KINDS.find((kind) => kind.prefix === prefix) as Kind;
    const range = level === undefined ? rowsOfKind(prefix) : rowsOfLevel(level);
    const onDamage = (why: string): void =>
      report({ code: 'ROWS_UNREADABLE', place: name, message: `some rows of ${name} cannot be read: ${why}` });
    for await (const row of this.#rows.read(range, onDamage)) {
      if (keyBytes === undefined || row[0].length === keyBytes) {
        yield row;
        continue;
      }
      const place = `row ${bytesToHex(row[0].subarray(0, 40))}`;
      const message = `the ${place} has a key of ${row[0].length} bytes, expected ${keyBytes} for one of ${name}`;
      report({ code: 'ROW_UNKNOWN', place, message, expected: keyBytes, found: row[0].length });
    }
  }
}

/** The ranges of keys in which nobody writes. */
function* strayRanges(): Generator<KeyRange> {
  let gte = Uint8Array.of(0);
  for (const { prefix } of KINDS) {
    yield { gte, lt: Uint8Array.of(prefix) };
    gte = Uint8Array.of(prefix + 1);
  }
  yield { gte, lt: new Uint8Array(32).fill(0xff) };
  // Leaves stand with their events, and no tree has more levels.
  yield { gte: Uint8Array.of(TREE_PREFIX), lt: Uint8Array.of(TREE_PREFIX, 1) };
  yield { gte: Uint8Array.of(TREE_PREFIX, MAX_TILE_LEVEL + 1), lt: Uint8Array.of(TREE_PREFIX + 1) };
}

function rowsOfLevel(level: number): KeyRange {
  return { gte: Uint8Array.of(TREE_PREFIX, level), lt: Uint8Array.of(TREE_PREFIX, level + 1) };
}
