import type { Page } from '../../projections/live-view.js';
import { MAX_KEPT_CONFIG_BYTES } from '../limits.js';
import type { Digest } from '../model/digest.js';
import { StoredConfig } from '../model/stored-config.js';

/**
 * Configs that were read and checked: who asks for one again gets it without the database, and decoded if it was. It has two halves;
 * when the newer is full, the older is forgotten, and what is asked for in the older passes to the newer. So
 * what was not asked for lately goes, and an answer moves nothing most of the time.
 *
 * It says nothing of whether an image is there, now or in the past: that is asked before.
 */
export class ConfigCache {
  readonly #maxHalfBytes: number;
  #newer = new Map<Digest, StoredConfig>();
  #older = new Map<Digest, StoredConfig>();
  #newerBytes = 0;

  constructor(maxBytes = MAX_KEPT_CONFIG_BYTES) {
    this.#maxHalfBytes = maxBytes / 2;
  }

  /** Returns the config called `id`, read by `read` when it is not here. @throws what `read` throws */
  get(id: Digest, read: () => Uint8Array): StoredConfig {
    const newer = this.#newer.get(id);
    if (newer !== undefined) return newer;
    const config = this.#older.get(id) ?? new StoredConfig(read());
    this.#keep(id, config);
    return config;
  }

  /** Forgets what events removed: the bytes of an image that is erased must leave the memory too. */
  forgetRemoved(page: Page): void {
    for (const event of page) {
      if (event.type === 'ImageDeleted') this.#forget(event.image);
      else if (event.type === 'ContentErased') this.#forget(event.digest);
    }
  }

  #keep(id: Digest, config: StoredConfig): void {
    if (config.size > this.#maxHalfBytes) return;
    if (this.#newerBytes + config.size > this.#maxHalfBytes) {
      this.#older = this.#newer;
      this.#newer = new Map();
      this.#newerBytes = 0;
    }
    this.#older.delete(id);
    this.#newer.set(id, config);
    this.#newerBytes += config.size;
  }

  #forget(id: Digest): void {
    this.#older.delete(id);
    this.#newerBytes -= this.#newer.get(id)?.size ?? 0;
    this.#newer.delete(id);
  }
}
