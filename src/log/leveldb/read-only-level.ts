import { AbstractIterator, AbstractLevel, AbstractSnapshot } from 'abstract-level';
import type { Database } from '../log-source.js';
import { type KeyBounds, RowCursor, type Runs, valueIn } from './level-view.js';

/** Bytes of rows that a page has at least, when the reader does not say and does not end it before. */
const PAGE_BYTES = 16 * 1024;

/**
 * A LevelDB database for reading, as it was at one moment: what `level` gives, without LevelDB, which cannot open a database without
 * writing to it. Every block is checked; damage is an error with the code LEVEL_CORRUPTION. A write is refused.
 */
export class ReadOnlyLevel extends AbstractLevel<Uint8Array, Uint8Array, Uint8Array> {
  readonly #runs: Runs;

  /** Owns the tables of `runs`: they are closed with it. */
  constructor(runs: Runs) {
    super(
      { encodings: { view: true }, implicitSnapshots: true, explicitSnapshots: true, seek: false },
      { keyEncoding: 'view', valueEncoding: 'view' },
    );
    this.#runs = runs;
  }

  async _open(): Promise<void> {
    // Its files are open already.
  }

  async _close(): Promise<void> {
    for (const run of this.#runs) for (const table of run) table.close();
  }

  async _get(key: Uint8Array): Promise<Uint8Array | undefined> {
    return valueIn(this.#runs, key);
  }

  _getSync(key: Uint8Array): Uint8Array | undefined {
    return valueIn(this.#runs, key);
  }

  async _getMany(keys: readonly Uint8Array[]): Promise<(Uint8Array | undefined)[]> {
    return keys.map((key) => valueIn(this.#runs, key));
  }

  _iterator(options: IteratorOptions): RowIterator {
    return new RowIterator(this, this.#runs, options);
  }

  _snapshot(): AbstractSnapshot {
    // The database itself never changes.
    return Reflect.construct(AbstractSnapshot, [{ owner: this }]) as AbstractSnapshot;
  }

  async _put(): Promise<void> {
    throw readOnlyError();
  }

  async _del(): Promise<void> {
    throw readOnlyError();
  }

  async _batch(): Promise<void> {
    throw readOnlyError();
  }

  async _clear(): Promise<void> {
    throw readOnlyError();
  }
}

interface IteratorOptions extends KeyBounds {
  readonly reverse?: boolean;
  readonly keys?: boolean;
  readonly values?: boolean;
  readonly highWaterMarkBytes?: number;
}

/** Gives copies of rows in pages; a page ends when it has the bytes that the reader asked for. */
class RowIterator extends AbstractIterator<ReadOnlyLevel, Uint8Array, Uint8Array> {
  readonly #runs: Runs;
  readonly #options: IteratorOptions;
  #cursor: RowCursor | undefined;

  constructor(db: ReadOnlyLevel, runs: Runs, options: IteratorOptions) {
    super(db, options as never);
    this.#runs = runs;
    this.#options = options;
  }

  async _next(): Promise<[Uint8Array | undefined, Uint8Array | undefined] | undefined> {
    return this.#row();
  }

  async _nextv(size: number): Promise<[Uint8Array | undefined, Uint8Array | undefined][]> {
    const { highWaterMarkBytes = PAGE_BYTES } = this.#options;
    const page: [Uint8Array | undefined, Uint8Array | undefined][] = [];
    for (let bytes = 0; page.length < size && bytes < highWaterMarkBytes; ) {
      const row = this.#row();
      if (row === undefined) break;
      bytes += (row[0]?.length ?? 0) + (row[1]?.length ?? 0);
      page.push(row);
    }
    return page;
  }

  #row(): [Uint8Array | undefined, Uint8Array | undefined] | undefined {
    const { keys, values, reverse = false } = this.#options;
    this.#cursor ??= new RowCursor(this.#runs, this.#options, reverse);
    const row = this.#cursor.next();
    return row && [keys === false ? undefined : row[0], values === false ? undefined : row[1]];
  }
}

function readOnlyError(): Error {
  return Object.assign(new Error('the database was opened for reading only'), { code: 'LEVEL_READ_ONLY' });
}

/** Returns the view as the code that reads a log knows a database. */
export function asDatabase(view: ReadOnlyLevel): Database {
  return view as unknown as Database;
}
