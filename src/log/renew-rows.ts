import { indexSubjects } from './index-subjects.js';
import type { Head, RenewOptions } from './log.js';
import type { LogSource, WriteBatch } from './log-source.js';
import { renewTreeRows } from './renew-tree-rows.js';

/** The log whose rows are made anew, while it is read. */
export interface RenewedLog {
  readonly source: LogSource;
  readonly head: Head;
  readonly write: WriteBatch;
  /** Resolves when nobody reads the subject index any more, and nobody will. */
  readonly withoutIndex: () => Promise<void>;
}

/**
 * Makes the rows that follow from the events of a log anew: first those of its tree, and when these are what they should be, the
 * subject index.
 * @throws {StoreError} LOG_CORRUPT, ABORTED; whatever `write` throws
 */
export async function renewRows(
  { source, head, write, withoutIndex }: RenewedLog,
  { onProgress, signal }: RenewOptions,
): Promise<void> {
  await renewTreeRows(source, head, { write, signal });
  await withoutIndex();
  await indexSubjects(source, head, { write, signal, onIndexed: (seq) => onProgress?.(seq, head.seq) });
}
