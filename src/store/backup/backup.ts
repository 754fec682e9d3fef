/** How a backup is written. */
export interface BackupOptions {
  /** Called as bytes are written. `total` grows while the log is read, as nobody knows before how long its events are. */
  readonly onProgress?: ((bytes: number, total: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What a backup came to. Sizes are bytes. */
export interface BackupReport {
  /** Absolute path of the backup. */
  readonly directory: string;
  readonly storeId: string;
  /** Events of the backup: those up to the head when it began. */
  readonly events: number;
  /** Text of its checkpoint. */
  readonly checkpoint: string;
  /** Files that were written: what the backup before had is not written again. */
  readonly filesWritten: number;
  readonly bytesWritten: number;
  /** Files that were removed: tiles that are full by now, and what the store no longer has. */
  readonly filesRemoved: number;
  /** All files of the backup. */
  readonly files: number;
  readonly bytes: number;
}

/** How a backup is restored. */
export interface RestoreOptions {
  /** Texts of checkpoints that the backup must contain, beside its own; signed or not. */
  readonly against?: string | readonly string[] | undefined;
  /** The key (Go note format: `NAME+hash+key`) that must have signed each checkpoint. */
  readonly key?: string | undefined;
  /** Called as bytes are read, first to verify the backup and then to write the store; `total` is of both. */
  readonly onProgress?: ((bytes: number, total: number) => void) | undefined;
  /** Called with what is no damage but should be known: an interrupted run left files. */
  readonly onNotice?: ((notice: string) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

/** What a restore brought. */
export interface RestoreReport {
  /** Absolute path of the store. */
  readonly directory: string;
  readonly storeId: string;
  /** The log's name in checkpoints. */
  readonly origin: string;
  readonly events: number;
  /** Text of the checkpoint that the store has now. */
  readonly checkpoint: string;
  /** Layer files and their bytes. */
  readonly blobs: number;
  readonly blobBytes: number;
}
