import type { Views } from '../../../projections/views.js';
import type { Digest } from '../../model/digest.js';
import { mustBeFunction, mustBeObject, mustBeSignal, mustBeString, mustBeText } from '../argument-types.js';
import { Mutex } from '../files/files.js';
import type { BlobStore } from '../layers/blob-store.js';
import type { BackupOptions, BackupReport } from './backup-layout.js';
import type { BackupParts, FixedStore } from './write-backup.js';
import { loadCode } from '../../errors.js';

interface StoreBackupsParts extends Pick<BackupParts, 'directory' | 'sidecar' | 'log' | 'checkpointAt'> {
  readonly views: Views;
  readonly blobs: BlobStore;
  readonly isBlobNeeded: (digest: Digest) => boolean;
  /** Calls `look` when nothing is on its way into the log, and every view has folded what is in it. */
  readonly whenStill: <Result>(look: () => Result) => Promise<Result>;
}

/** The backups of an open store, one after another: two that go to one directory would meet there. */
export class StoreBackups {
  readonly #parts: StoreBackupsParts;
  readonly #writing = new Mutex();

  constructor(parts: StoreBackupsParts) {
    this.#parts = parts;
  }

  /** Writes a backup when those before are done. */
  write(target: string, options: BackupOptions): Promise<BackupReport> {
    mustBeString('target', target);
    mustBeText('target', target);
    mustBeObject('options', options);
    if (options.onProgress !== undefined) mustBeFunction('onProgress', options.onProgress);
    mustBeSignal('signal', options.signal);
    const { whenStill, blobs } = this.#parts;
    return this.#writing.run(async () => {
      const { writeBackup } = await loadCode('that backs up', import('./write-backup.js'));
      return writeBackup(target, options, {
        ...this.#parts,
        fix: () => whenStill(() => this.#fix()),
        release: (fixed) => this.#release(fixed),
        readBlob: (digest) => blobs.read(digest),
      });
    });
  }

  /** Resolves when every backup that was asked for is written or failed. */
  settled(): Promise<void> {
    return this.#writing.settled();
  }

  // All of it in one turn: head, content and blobs are of one moment, and none of them can go before the backup has it.
  #fix(): FixedStore {
    const { log, views, blobs } = this.#parts;
    const needed = new Map<Digest, number>();
    for (const [digest, { size }] of views.blobs.byDigest) needed.set(digest, size);
    const content = log.openContent();
    for (const digest of needed.keys()) blobs.pin(digest);
    return { head: log.head, content, blobs: needed };
  }

  async #release({ content, blobs: needed }: FixedStore): Promise<void> {
    const { blobs, isBlobNeeded } = this.#parts;
    try {
      await content.close();
    } finally {
      for (const digest of needed.keys()) blobs.unpin(digest);
      await blobs.removeUnneeded(needed.keys(), isBlobNeeded);
    }
  }
}
