import { join } from 'node:path';
import { Level } from 'level';
import { spanOfKey, wholeEntries } from '../../../src/log/event-rows.js';
import {
  CONTENT_PREFIX,
  contentKey,
  EVENT_PREFIX,
  seqOfKey,
  SUBJECT_PREFIX,
  TREE_PREFIX,
} from '../../../src/log/rows.js';
import { TILE_WIDTH } from '../../../src/log/merkle.js';
import { HASH_BYTES } from '../../../src/model/digest.js';

/** A `level` database configured like the store's: binary keys and values. */
export type RowDatabase = Level<Uint8Array, Uint8Array>;

/** A row of a log's database. */
export interface Row {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

/** Opens the database in `directory` (created if missing) with the store's settings. */
export async function openRows(directory: string): Promise<RowDatabase> {
  const database: RowDatabase = new Level(directory, { keyEncoding: 'view', valueEncoding: 'view' });
  await database.open();
  return database;
}

/**
 * Resolves with the rows a closed store wrote from event `from` on, by batch: events, content,
 * index and tree. It must have written `eventsPerBatch` in each, and nothing else.
 */
export async function writtenRows(directory: string, eventsPerBatch: number, from = 1): Promise<Row[][]> {
  const batches: Row[][] = [];
  const contents = new Map<string, Row>();
  const add = (seq: number, row: Row): void => {
    if (seq < from) return;
    const batch = Math.floor((seq - from) / eventsPerBatch);
    batches[batch] ??= [];
    batches[batch]?.push(row);
  };
  const database = await openRows(join(directory, 'log'));
  // Content keys sort before event keys.
  for await (const [key, value] of database.iterator()) {
    const row = { key, value };
    if (key[0] === CONTENT_PREFIX) contents.set(hexOf(key), row);
    else add(seqOfRow(key), row);
    if (key[0] !== EVENT_PREFIX) continue;
    for (const { event } of wholeEntries([key, value])) {
      const content = event.type === 'ImageCreated' ? contents.get(hexOf(contentKey(event.image))) : undefined;
      if (content !== undefined) add(event.seq, content);
    }
  }
  await database.close();
  return batches;
}

/** Bytes of an event row before its records, or before their lengths of two bytes: checksum and level. */
const BEFORE_RECORDS_BYTES = HASH_BYTES + 1;
const LENGTH_BYTES = 2;

/** Returns the records of an event row, unchecked. */
export function recordsOfRow(key: Uint8Array, row: Uint8Array): Uint8Array[] {
  const { first, last } = spanOfKey(row, seqOfKey(key));
  const count = last - first + 1;
  if (count === 1) return [row.subarray(BEFORE_RECORDS_BYTES)];
  const lengths = new DataView(row.buffer, row.byteOffset + BEFORE_RECORDS_BYTES);
  let end = BEFORE_RECORDS_BYTES + LENGTH_BYTES * count;
  return Array.from({ length: count }, (_, index) => {
    // A zero byte precedes each.
    const begin = end + 1;
    end = begin + lengths.getUint16(LENGTH_BYTES * index);
    return row.subarray(begin, end);
  });
}

/** Joins all bytes of `rows` into one row under the first key: the least work for a database. */
export function joinRows(rows: readonly Row[]): Row {
  const [first, ...others] = rows;
  if (first === undefined) throw new RangeError('rows must not be empty');
  return { key: first.key, value: Buffer.concat([first.value, ...others.flatMap(({ key, value }) => [key, value])]) };
}

/** Writes each batch as an array of operations, durable on return: the usual form for `level`. */
export async function putArrays(database: RowDatabase, batches: readonly (readonly Row[])[]): Promise<void> {
  for (const rows of batches) {
    await database.batch(
      rows.map((row) => ({ type: 'put' as const, ...row })),
      { sync: true },
    );
  }
}

/**
 * Writes each batch as a chained batch, durable on return: one native call per row, straight into
 * LevelDB's batch, as in the store. The least work for `level`.
 */
export async function putChained(database: RowDatabase, batches: readonly (readonly Row[])[]): Promise<void> {
  for (const rows of batches) {
    const batch = database.batch();
    for (const { key, value } of rows) batch.put(key, value);
    await batch.write({ sync: true });
  }
}

/** Returns the seq of the event whose batch wrote the row. */
function seqOfRow(key: Uint8Array): number {
  switch (key[0]) {
    case EVENT_PREFIX:
    case SUBJECT_PREFIX:
      return seqOfKey(key);
    case TREE_PREFIX:
      return (seqOfKey(key) + 1) * TILE_WIDTH ** (key[1] ?? 0);
    default:
      throw new RangeError(`no event writes the row ${hexOf(key)}`);
  }
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}
