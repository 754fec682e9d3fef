import { throwIfAborted } from '../../abort.js';
import { parsePosition } from '../../log/consumer-position.js';
import { CONTENT_PREFIX, EVENT_PREFIX, POSITION_PREFIX } from '../../log/keys.js';
import type { Database } from '../../log/log-source.js';
import { openLevel } from '../../log/open-level.js';
import { readFailure } from '../../log/read-failure.js';
import { rowsOfKind, type StoredRow, StoredRows } from '../../log/stored-rows.js';
import { type Digest, digestFromHash, digestOf } from '../../model/digest.js';
import { nodeSha256 } from '../files/node-hash.js';
import type { ExaminedLog } from './examined-log.js';
import type { RebuildOptions } from './rebuild.js';

/** Bytes of rows that are written at a time. */
const BATCH_BYTES = 4 * 1024 * 1024;

/**
 * Writes into a new database at `to` what is worth keeping of `from`, whose events are whole: these, the content that they name and
 * that has its digest, and the positions of consumers. What was erased and comes back from LevelDB's old files is left behind.
 * Returns the content that is lost. Durable on return.
 */
export async function salvageRows(
  from: Database,
  to: string,
  { last, named }: ExaminedLog,
  options: RebuildOptions,
): Promise<Digest[]> {
  const fresh = await openLevel(to, true);
  const rows = new StoredRows({ database: from, failure: (cause) => readFailure(cause, false) });
  try {
    const writer = new RowWriter(fresh, options.signal);
    let done = 0;
    for await (const row of rows.read(rowsOfKind(EVENT_PREFIX), () => undefined)) {
      await writer.put(row);
      options.onProgress?.({ what: 'log', done: ++done, total: last });
    }
    for await (const row of rows.read(rowsOfKind(CONTENT_PREFIX), () => undefined)) {
      const digest = digestFromHash(row[0], 1);
      if (digestOf(row[1], nodeSha256) === digest && named.take(digest)) await writer.put(row);
    }
    for await (const row of rows.read(rowsOfKind(POSITION_PREFIX), () => undefined)) {
      if (isPosition(row, last)) await writer.put(row);
    }
    await writer.end();
    return [...named.left()];
  } finally {
    await rows.close();
    await fresh.close();
  }
}

// A consumer whose position is lost begins anew, which it must bear anyway.
function isPosition([, value]: StoredRow, last: number): boolean {
  try {
    return parsePosition(value).seq <= last;
  } catch {
    // Damaged, whatever it was.
    return false;
  }
}

/** Writes rows in batches of some size. */
class RowWriter {
  readonly #database: Database;
  readonly #signal: AbortSignal | undefined;
  #rows: StoredRow[] = [];
  #bytes = 0;

  constructor(database: Database, signal: AbortSignal | undefined) {
    this.#database = database;
    this.#signal = signal;
  }

  async put(row: StoredRow): Promise<void> {
    this.#rows.push(row);
    this.#bytes += row[1].length;
    if (this.#bytes >= BATCH_BYTES) await this.end();
  }

  async end(): Promise<void> {
    throwIfAborted(this.#signal);
    const batch = this.#database.batch();
    for (const [key, value] of this.#rows) batch.put(key, value);
    this.#rows = [];
    this.#bytes = 0;
    await batch.write({ sync: true });
  }
}
