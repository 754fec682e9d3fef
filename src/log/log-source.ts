import type { Level } from 'level';
import type { StoreError } from '../errors.js';
import type { Sha256 } from '../model/digest.js';

/** The database of a log. */
export type Database = Level<Uint8Array, Uint8Array>;
/** Rows on their way into the database: those of one batch are there together or not at all. */
export type Batch = ReturnType<Database['batch']>;

/** What the reading of a log's rows needs. */
export interface LogSource {
  readonly database: Database;
  readonly hash: Sha256;
  /** Returns what the database threw as the error that a caller can act on. */
  readonly failure: (cause: unknown) => StoreError;
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
