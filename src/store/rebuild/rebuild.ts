import type { ViewName } from '../../../projections/store-projections.js';
import type { Digest } from '../../model/digest.js';
import type { OpenOptions } from '../event-store.js';

/** How far a rebuild is. */
export interface RebuildProgress {
  /** The copy of a log that is looked at, its events, those that are written or indexed again, and what is folded from them. */
  readonly what: 'copy' | 'events' | 'log' | 'views';
  /** Bytes of the copy, or events. */
  readonly done: number;
  /** Of how many, where that is known. */
  readonly total: number | undefined;
}

/** How an open store is rebuilt. */
export interface OpenRebuildOptions {
  /** Called as events are read. */
  readonly onProgress?: ((progress: RebuildProgress) => void) | undefined;
  /** Gives up, until snapshots and checkpoint are written. */
  readonly signal?: AbortSignal | undefined;
}

/** How a closed store is rebuilt. */
export interface RebuildOptions extends Pick<OpenOptions, 'signer' | 'onNotice'> {
  /** Called as events are read. */
  readonly onProgress?: ((progress: RebuildProgress) => void) | undefined;
  /** Gives up, until the new log takes the place of the old. */
  readonly signal?: AbortSignal | undefined;
}

/** What a rebuild found and did. Subject index, tree, snapshots and checkpoint are new in any case. */
export interface RebuildResult {
  /** Events of the log: all that there were. */
  readonly events: number;
  /** Root of their tree. */
  readonly root: Uint8Array;
  /** `kept`: LevelDB had all events; `salvaged`: they were read from what LevelDB's repair found, into a new database. */
  readonly log: 'kept' | 'salvaged';
  /** Where the damaged log is now, for whoever wants to look at it; of a salvaged one. */
  readonly damagedLog?: string | undefined;
  /** Content that events name and that is gone, of a salvaged log: load it again, or restore a backup. */
  readonly lostContent: readonly Digest[];
  /** Live views of an open store that were not those of the events, and are replaced. */
  readonly replacedViews: readonly ViewName[];
}
