import { Level } from 'level';
import type { Database } from '../../src/log/log.js';

/** What becomes of a write: it happens, it fails before it happened, or it happens and is reported as failed. */
export type WriteFate = 'written' | 'lost' | 'unsure';

/** Opens databases for a log that fail on demand, and watches that none is written to after it failed. */
export class FailingDatabases {
  /** Fates of the next writes; later ones are written. */
  readonly fates: WriteFate[] = [];
  /** How many times opening fails from now on. */
  failingOpens = 0;
  /** Batches that were written or tried. */
  batches = 0;
  /** Called after each batch that was written, before its writer continues. */
  onWritten: () => Promise<void> = async () => undefined;
  /** Databases opened. */
  opened = 0;
  #writesAfterFailure = 0;

  /** To be passed to a log as its `openDatabase`. */
  readonly open = async (location: string, createIfMissing: boolean): Promise<Database> => {
    if (this.failingOpens > 0) {
      this.failingOpens--;
      throw new Error('the test lets no database open');
    }
    const database: Database = new Level(location, { keyEncoding: 'view', valueEncoding: 'view', createIfMissing });
    await database.open();
    this.opened++;
    this.#watch(database);
    return database;
  };

  /** Throws when a database was written to after a write to it had failed: for the teardown of a test. */
  verify(): void {
    if (this.#writesAfterFailure > 0) throw new Error(`${this.#writesAfterFailure} writes to a failed database`);
  }

  #watch(database: Database): void {
    let hasFailed = false;
    const begin = database.batch.bind(database) as () => ReturnType<Database['batch']>;
    const watched = (): ReturnType<Database['batch']> => {
      const batch = begin();
      const write = batch.write.bind(batch) as (options: { sync: boolean }) => Promise<void>;
      const failing = async (options: { sync: boolean }): Promise<void> => {
        if (hasFailed) this.#writesAfterFailure++;
        this.batches++;
        const fate = this.fates.shift() ?? 'written';
        if (fate !== 'lost') await write(options);
        else await batch.close();
        if (fate === 'written') return this.onWritten();
        hasFailed = true;
        throw new Error(`the test fails this write: ${fate}`);
      };
      return Object.assign(batch, { write: failing });
    };
    Object.assign(database, { batch: watched });
  }
}
