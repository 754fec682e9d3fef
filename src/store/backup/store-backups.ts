import type { Digest } from '../../model/digest.js';
import { mustBeFunction, mustBeObject, mustBeSignal, mustBeString, mustBeText } from '../argument-types.js';
import { Mutex } from '../files/files.js';
import type { StoreContext } from '../context.js';
import type { BackupOptions, BackupReport } from './backup-layout.js';
import type { FixedStore } from './write-backup.js';
import { loadCode } from '../../errors.js';

/** Serializes the backups of an open store: two to one directory would race. */
export class StoreBackups {
  readonly #context: StoreContext;
  readonly #writing = new Mutex();

  constructor(context: StoreContext) {
    this.#context = context;
  }

  /** Writes a backup once earlier ones are done. */
  write(target: string, options: BackupOptions): Promise<BackupReport> {
    mustBeString('target', target);
    mustBeText('target', target);
    mustBeObject('options', options);
    if (options.onProgress !== undefined) mustBeFunction('onProgress', options.onProgress);
    mustBeSignal('signal', options.signal);
    const { directory, sidecar, log, checkpoints, blobs, readOnly } = this.#context;
    return this.#writing.run(async () => {
      const { writeBackup } = await loadCode('that backs up', import('./write-backup.js'));
      return writeBackup(target, options, {
        directory,
        sidecar,
        log,
        checkpointAt: async (head) => (readOnly ? checkpoints.unwritten() : checkpoints.at(head)),
        fix: () => this.#fixWhenStill(),
        release: (fixed) => this.#release(fixed),
        readBlob: (digest) => blobs.read(digest),
      });
    });
  }

  /** Resolves when every requested backup has ended. */
  settled(): Promise<void> {
    return this.#writing.settled();
  }

  // A command is decided after all earlier appends are folded, and before any later one.
  async #fixWhenStill(): Promise<FixedStore> {
    if (this.#context.readOnly) return this.#fix();
    return this.#context.submit(() => ({ events: [], result: this.#fix() }));
  }

  // In one turn: head, content and blobs are of one moment, and stay for the backup.
  #fix(): FixedStore {
    const { log, views, blobs } = this.#context;
    const needed = new Map<Digest, number>();
    for (const [digest, { size }] of views.blobs.byDigest) needed.set(digest, size);
    const content = log.openContent();
    for (const digest of needed.keys()) blobs.pin(digest);
    return { head: log.head, content, blobs: needed };
  }

  async #release({ content, blobs: needed }: FixedStore): Promise<void> {
    const { blobs, isBlobNeeded } = this.#context;
    try {
      await content.close();
    } finally {
      for (const digest of needed.keys()) blobs.unpin(digest);
      await blobs.removeUnneeded(needed.keys(), isBlobNeeded);
    }
  }
}
