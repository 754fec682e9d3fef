import type { BlobsView } from '../../../projections/blobs.js';
import type { Page } from '../../../projections/live-view.js';
import type { Digest } from '../../model/digest.js';
import type { BlobStore } from './blob-store.js';

/** Removes blob files when the events that free them are durable. */
export class BlobCleaner {
  readonly #blobs: BlobStore;
  readonly #view: () => BlobsView;
  #running: Promise<void> = Promise.resolve();

  constructor(blobs: BlobStore, view: () => BlobsView) {
    this.#blobs = blobs;
    this.#view = view;
  }

  isNeeded(digest: Digest): boolean {
    return this.#view().byDigest.has(digest);
  }

  /** Folds a durable page by `fold`, and then starts to remove the blobs that it freed. */
  cleanAfter(page: Page, fold: (page: Page) => void): void {
    const candidates = this.#freedBy(page);
    fold(page);
    if (candidates.size === 0) return;
    const isNeeded = (digest: Digest): boolean => this.isNeeded(digest);
    // Asked for at once: whoever looks for one of them after the fold finds its removal done.
    this.#running = this.#blobs.removeUnneeded(candidates, isNeeded);
  }

  /** Resolves when every removal that was started is done. */
  async settled(): Promise<void> {
    await this.#running;
  }

  // Asked before the fold: the view forgets which blobs the manifests of a deleted image named.
  #freedBy(page: Page): Set<Digest> {
    const freed = new Set<Digest>();
    for (const event of page) {
      if (event.type === 'LayerRemoved') freed.add(event.blob.digest);
      if (event.type !== 'ImageDeleted') continue;
      for (const { digest } of this.#view().ofImage.get(event.image) ?? []) freed.add(digest);
    }
    return freed;
  }
}
