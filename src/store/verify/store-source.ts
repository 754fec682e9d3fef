import type { StoredRows } from '../../log/stored-rows.js';
import type { Digest } from '../../model/digest.js';
import { LogRows } from './log-rows.js';
import type { StoreFiles } from './store-files.js';
import type { LiveViews, Reading, SourceIdentity, StoredSnapshot, VerifySource } from './verify-source.js';

/** What a store is verified from. */
export interface StoreSourceParts {
  readonly identity: SourceIdentity | undefined;
  /** Those of one moment. */
  readonly rows: StoredRows;
  readonly files: StoreFiles;
  /** Taken before the rows were: what a file says of the log must be in them. */
  readonly checkpoint: VerifySource['checkpoint'];
  readonly snapshots: readonly StoredSnapshot[];
  /** Absent when they have a subject index, or should; `false` when a rebuild that was given up left none. */
  readonly hasSubjectIndex?: boolean | undefined;
  readonly liveViews?: LiveViews | undefined;
  readonly isInFlight?: ((digest: Digest) => Promise<boolean>) | undefined;
}

/** Resolves with a store as verification asks for it. The caller closes the rows. */
export async function storeSource(parts: StoreSourceParts): Promise<VerifySource> {
  const { rows, files, snapshots, isInFlight, hasSubjectIndex = true, ...rest } = parts;
  const log = new LogRows(rows);
  return {
    ...rest,
    size: await rows.lastSeq(),
    damagedLogs: files.damagedLogs(),
    records: (reading) => log.records(reading),
    hashes: (level, reading) => log.hashes(level, reading),
    contents: (reading) => log.contents(reading),
    positions: (reading) => log.positions(reading),
    blobs: () => files.blobs(),
    async *snapshots(): AsyncGenerator<StoredSnapshot> {
      yield* snapshots;
    },
    async reportStrays(reading: Reading): Promise<void> {
      await log.reportStrays(reading);
      await files.reportStrays(reading);
    },
    ...(hasSubjectIndex ? { indexRows: (reading: Reading) => log.indexRows(reading) } : {}),
    ...(isInFlight === undefined ? {} : { isInFlight }),
  };
}
