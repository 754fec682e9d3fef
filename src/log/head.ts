import { StoreError } from '../errors.js';
import { parseEventRow } from './event-row.js';
import { eventKey, seqOfKey } from './keys.js';
import type { Head, LogPoint } from './log.js';
import type { Database, LogSource } from './log-source.js';
import type { Frontier } from './merkle/frontier.js';

/** Returns the head at a point of the log, where `tree` is its tree, which must not grow from then on, or why there is none. */
export function headAt({ seq, time }: LogPoint, tree: Frontier | StoreError): Head {
  let root: Uint8Array | undefined;
  return {
    seq,
    time,
    get root() {
      if (tree instanceof StoreError) throw tree;
      // Most heads are only asked for their seq: a root is some hashes more.
      root ??= tree.root();
      return new Uint8Array(root);
    },
  };
}

/**
 * Resolves with the last event of a log that was just opened.
 * @throws {StoreError} LOG_CORRUPT when it is damaged, or not the last one of its transaction
 */
export async function readEnd({ database, hash, failure }: LogSource): Promise<LogPoint> {
  const [row] = await lastEventRow(database).catch((cause: unknown) => {
    throw failure(cause);
  });
  if (row === undefined) return { seq: 0, time: 0 };
  const { seq, time, transaction } = parseEventRow(row[1], seqOfKey(row[0]), hash);
  const end = transaction.first + transaction.count - 1;
  if (seq === end) return { seq, time };
  throw new StoreError('LOG_CORRUPT', `the log ends at seq ${seq}, inside a transaction that ends at ${end}`, {
    data: { seq, transaction },
  });
}

function lastEventRow(database: Database): Promise<[Uint8Array, Uint8Array][]> {
  const range = { gte: eventKey(1), lte: eventKey(Number.MAX_SAFE_INTEGER), reverse: true, limit: 1 };
  return database.iterator(range).all();
}
