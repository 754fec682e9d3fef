import { CONTENT_PREFIX, EVENT_KEY_BYTES, eventKey, seqOfKey } from './rows.js';
import type { ContentReader, LogSource, StoredContent } from './log.js';
import { digestFromHash } from '../model/digest.js';

/** Key and value of a row, each in its own buffer. */
export type StoredRow = readonly [key: Uint8Array, value: Uint8Array];

/** Keys from `gte` up to and without `lt`. */
export interface KeyRange {
  readonly gte: Uint8Array;
  readonly lt: Uint8Array;
}

type RowSource = Pick<LogSource, 'database' | 'failure'>;
type Snapshot = ReturnType<LogSource['database']['snapshot']>;

/** Returns the range of all keys with this first byte. */
export function rowsOfKind(prefix: number): KeyRange {
  return { gte: Uint8Array.of(prefix), lt: Uint8Array.of(prefix + 1) };
}

type RowRange = KeyRange | { readonly gt: Uint8Array; readonly lt: Uint8Array };

/** Rows per page: about 200 KiB of records. */
const PAGE_ROWS = 1_000;
/** Bytes per LevelDB call; more than a page or a batch has, so that each is one call. */
export const READ_AHEAD_BYTES = 1024 * 1024;

/** Unchecked snapshot of all rows, to scan past damage. It stays on disk until `close`. */
export class StoredRows {
  readonly #source: RowSource;
  readonly #onClosed: () => Promise<void>;
  readonly #snapshot: Snapshot;

  /** `onClosed` is called by `close`. @throws {StoreError} STORE_CLOSED, LOG_FAILED */
  constructor(source: RowSource, onClosed: () => Promise<void> = async () => undefined) {
    this.#source = source;
    this.#onClosed = onClosed;
    this.#snapshot = makeOr(source.failure, () => source.database.snapshot());
  }

  /**
   * Yields a range in key order. Skips damage, and reports it to `onDamage` after the last row.
   * @throws {StoreError} STORE_CLOSED, LOG_FAILED
   */
  async *read(range: KeyRange, onDamage: (why: string) => void): AsyncGenerator<StoredRow> {
    for await (const page of this.pages(range, onDamage)) yield* page;
  }

  /** Like `read`, in pages of about a MiB at most: a turn for each row would cost as much as the row. */
  async *pages(range: KeyRange, onDamage: (why: string) => void): AsyncGenerator<readonly StoredRow[]> {
    let left: RowRange = range;
    for (const pageSize of [PAGE_ROWS, 1]) {
      try {
        for await (const page of this.#pages(left, pageSize)) {
          const last = page.at(-1);
          if (last !== undefined) left = { gt: last[0], lt: range.lt };
          yield page;
        }
        return;
      } catch (cause) {
        const failure = this.#source.failure(cause);
        if (failure.code !== 'LOG_CORRUPT') throw failure;
        // LevelDB reports damage only at the end, and drops the current page: retry row by row.
        if (pageSize === 1) onDamage(failure.message);
      }
    }
  }

  /** Seq of the last event, 0 for none. @throws {StoreError} STORE_CLOSED, LOG_FAILED */
  async lastSeq(): Promise<number> {
    const range = { gte: eventKey(1), lt: eventKey(Number.MAX_SAFE_INTEGER) };
    let last = 0;
    for await (const [key] of this.read({ ...range, gte: await this.#nearLast(range) }, () => undefined)) {
      if (isEventKey(key)) last = seqOfKey(key);
    }
    return last;
  }

  /** Releases the snapshot, so that LevelDB may drop rows overwritten or deleted since. */
  async close(): Promise<void> {
    await this.#snapshot.close();
    await this.#onClosed();
  }

  /** Last key of a range; if damage hides it, the start of the range. */
  async #nearLast(range: KeyRange): Promise<Uint8Array> {
    try {
      const { database } = this.#source;
      const [key] = await database.keys({ ...range, reverse: true, limit: 1, snapshot: this.#snapshot }).all();
      return key !== undefined && isEventKey(key) ? key : range.gte;
    } catch (cause) {
      const failure = this.#source.failure(cause);
      if (failure.code !== 'LOG_CORRUPT') throw failure;
      return range.gte;
    }
  }

  async *#pages(range: RowRange, pageSize: number): AsyncGenerator<readonly StoredRow[]> {
    const iterator = this.#source.database.iterator({
      ...range,
      snapshot: this.#snapshot,
      highWaterMarkBytes: READ_AHEAD_BYTES,
    });
    try {
      for (;;) {
        const page = await iterator.nextv(pageSize);
        if (page.length === 0) return;
        yield page;
      }
    } finally {
      await iterator.close();
    }
  }
}

function isEventKey(key: Uint8Array): boolean {
  return key.length === EVENT_KEY_BYTES;
}

/** Opens a reader over a snapshot of the content rows, which LevelDB takes with the iterator. */
export function openContentRows({ database, failure }: LogSource): ContentReader {
  const range = rowsOfKind(CONTENT_PREFIX);
  const rows = makeOr(failure, () => database.iterator({ ...range, highWaterMarkBytes: READ_AHEAD_BYTES }));
  return {
    async *pages(): AsyncGenerator<readonly StoredContent[]> {
      for (;;) {
        const page = await rows.nextv(PAGE_ROWS).catch((cause: unknown) => {
          throw failure(cause);
        });
        if (page.length === 0) return;
        yield page.map(([key, bytes]) => ({ digest: digestFromHash(key, 1), bytes }));
      }
    },
    close: () => rows.close(),
  };
}

function makeOr<Rows>(failure: LogSource['failure'], make: () => Rows): Rows {
  try {
    return make();
  } catch (cause) {
    throw failure(cause);
  }
}
