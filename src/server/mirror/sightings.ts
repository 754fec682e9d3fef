import { MAX_SIGHTED_TAGS } from '../../limits.js';
import { RecentMap } from '../../model/recent-map.js';

/** When tags were last seen upstream as they are here; of more than MAX_SIGHTED_TAGS the newest. */
export class Sightings {
  readonly #now: () => number;
  readonly #seen = new RecentMap<string, number>(MAX_SIGHTED_TAGS);

  constructor(now: () => number) {
    this.#now = now;
  }

  note(repository: string, tag: string): void {
    this.#seen.set(`${repository}:${tag}`, this.#now());
  }

  /** Returns the milliseconds since a tag was seen; infinite for one that was not. */
  ageMs(repository: string, tag: string): number {
    return this.#now() - (this.#seen.get(`${repository}:${tag}`) ?? -Infinity);
  }
}
