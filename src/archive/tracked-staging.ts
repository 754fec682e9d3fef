import type { StagedFile, Staging } from './archive.js';

/** A staging area that remembers its files, so that none is left behind whatever happens. */
export class TrackedStaging implements Staging {
  readonly #staging: Staging;
  readonly #files = new Set<StagedFile>();

  constructor(staging: Staging) {
    this.#staging = staging;
  }

  async create(): Promise<StagedFile> {
    const file = await this.#staging.create();
    this.#files.add(file);
    return file;
  }

  /**
   * Discards every file but those in `keep`. Each is tried even when another
   * fails; the first failure is thrown at the end.
   */
  async discard(keep: ReadonlySet<StagedFile> = new Set()): Promise<void> {
    const unneeded = [...this.#files].filter((file) => !keep.has(file));
    for (const file of unneeded) this.#files.delete(file);
    const results = await Promise.allSettled(unneeded.map((file) => file.discard()));
    const failure = results.find((result) => result.status === 'rejected');
    if (failure !== undefined) throw failure.reason;
  }
}
