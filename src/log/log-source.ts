import type { Level } from 'level';
import type { StoreError } from '../errors.js';
import type { Sha256 } from '../model/digest.js';

/** The database of a log. */
export type Database = Level<Uint8Array, Uint8Array> & {
  /** Rewrites the rows from `start` to `end` without those that were removed; only LevelDB on a disk has it. */
  compactRange?(start: Uint8Array, end: Uint8Array): Promise<void>;
  /** Returns about how many bytes of tables the rows from `start` to `end` have. */
  approximateSize?(start: Uint8Array, end: Uint8Array): Promise<number>;
};

/** Rows on their way into the database: those of one batch are there together or not at all. */
export type Batch = ReturnType<Database['batch']>;

/** Writes a batch, durable on return. */
export type WriteBatch = (batch: Batch) => Promise<void>;

/** An iterator: until it is closed, LevelDB keeps all that was there when it was made. */
export interface OpenRows {
  close(): Promise<void>;
}

/** What the reading of a log's rows needs. */
export interface LogSource {
  readonly database: Database;
  readonly hash: Sha256;
  /** Returns what the database threw as the error that a caller can act on. */
  readonly failure: (cause: unknown) => StoreError;
  /** Called with each iterator that may stay open for long, and gives it back. It may be closed under its reader. */
  readonly opened: <Rows extends OpenRows>(rows: Rows) => Rows;
}

/** A range of seqs, both ends inclusive, and how it is read. */
export interface PageRange {
  readonly first: number;
  readonly last: number;
  readonly reverse?: boolean | undefined;
  /** Events of one page at the most. */
  readonly pageSize?: number | undefined;
  readonly signal?: AbortSignal | undefined;
}
