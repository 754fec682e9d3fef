import { join } from 'node:path';
import { Level } from 'level';
import {
  CONTENT_PREFIX,
  contentKey,
  EVENT_PREFIX,
  parseEventRow,
  seqOfKey,
  SUBJECT_PREFIX,
  TREE_PREFIX,
} from '../../../src/log/rows.js';
import { TILE_WIDTH } from '../../../src/log/merkle.js';

/** A database of `level` as the store has it: binary keys and values. */
export type RowDatabase = Level<Uint8Array, Uint8Array>;

/** A row of the database of a log. */
export interface Row {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}

/** Opens the database in `directory`, made when it is missing, with the settings of `level` that the store's has. */
export async function openRows(directory: string): Promise<RowDatabase> {
  const database: RowDatabase = new Level(directory, { keyEncoding: 'view', valueEncoding: 'view' });
  await database.open();
  return database;
}

/**
 * Resolves with every row that a closed store wrote from event `from` on, those of each batch together: of the events, their content, the index and the
 * tree. It must have written `eventsPerBatch` in each, and kept nothing else.
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
  // Content stands before events in the order of keys.
  for await (const [key, value] of database.iterator()) {
    const row = { key, value };
    if (key[0] === CONTENT_PREFIX) contents.set(hexOf(key), row);
    else add(seqOfRow(key), row);
    if (key[0] !== EVENT_PREFIX) continue;
    const event = parseEventRow(value, seqOfKey(key));
    const content = event.type === 'ImageCreated' ? contents.get(hexOf(contentKey(event.image))) : undefined;
    if (content !== undefined) add(event.seq, content);
  }
  await database.close();
  return batches;
}

/** Returns all bytes of `rows` as one row with the key of the first: the least that a database can be given of them. */
export function joinRows(rows: readonly Row[]): Row {
  const [first, ...others] = rows;
  if (first === undefined) throw new RangeError('rows must not be empty');
  return { key: first.key, value: Buffer.concat([first.value, ...others.flatMap(({ key, value }) => [key, value])]) };
}

/** Puts each of `batches` as an array of operations, durable on return: how the documentation of `level` writes many rows. */
export async function putArrays(database: RowDatabase, batches: readonly (readonly Row[])[]): Promise<void> {
  for (const rows of batches) {
    await database.batch(
      rows.map((row) => ({ type: 'put' as const, ...row })),
      { sync: true },
    );
  }
}

/**
 * Puts each of `batches` as a chained batch, durable on return: rows go straight into LevelDB's own batch, one native call each, as the store's
 * do. It is the least that `level` can take for them.
 */
export async function putChained(database: RowDatabase, batches: readonly (readonly Row[])[]): Promise<void> {
  for (const rows of batches) {
    const batch = database.batch();
    for (const { key, value } of rows) batch.put(key, value);
    await batch.write({ sync: true });
  }
}

/** Returns the seq of the event in whose batch a row was written. */
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
