import { MAX_SIGHTED_TAGS } from '../../limits.js';
import type { Digest } from '../../model/digest.js';
import { RecentMap } from '../../model/recent-map.js';

/** What a tag was upstream when it was last looked up. */
export interface Sighted {
  /** Undefined if it was never there. */
  readonly upstream: Digest | undefined;
  /** How it differed from what was here: `up/app:1 moved upstream from A to B`. */
  readonly difference?: string | undefined;
  /** What its readers are told while the sighting is fresh. */
  readonly warning?: string | undefined;
}

interface Entry extends Sighted {
  readonly atMs: number;
}

/** What tags were upstream when they were last looked up; of more than MAX_SIGHTED_TAGS the newest. */
export class Sightings {
  readonly #now: () => number;
  readonly #seen = new RecentMap<string, Entry>(MAX_SIGHTED_TAGS);

  constructor(now: () => number) {
    this.#now = now;
  }

  /** Remembers what a tag is upstream. One that is `stale` is looked up again at once. */
  note(repository: string, tag: string, sighted: Sighted, { stale = false }: { readonly stale?: boolean } = {}): void {
    this.#seen.set(`${repository}:${tag}`, { ...sighted, atMs: stale ? -Infinity : this.#now() });
  }

  /** Returns the last sighting of a tag, however old. */
  last(repository: string, tag: string): Sighted | undefined {
    return this.#seen.get(`${repository}:${tag}`);
  }

  /** Returns the sighting of a tag that is younger than `freshMs`. */
  fresh(repository: string, tag: string, freshMs: number): Sighted | undefined {
    const entry = this.#seen.get(`${repository}:${tag}`);
    return entry !== undefined && this.#now() - entry.atMs < freshMs ? entry : undefined;
  }
}
