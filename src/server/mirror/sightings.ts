import { MAX_SIGHTED_TAGS } from '../../limits.js';
import { type Digest, isDigest } from '../../model/digest.js';
import { RecentMap } from '../../model/collections.js';
import { familiarReference } from '../../model/reference.js';
import type { EventStore } from '../../store/event-store.js';

/** What a tag was upstream when it was last looked up. */
export interface Sighted {
  /** Undefined if it was never there. */
  readonly upstream: Digest | undefined;
  /** Why the tag here is not that: `up/app:1 moved upstream from A to B`. Absent when it became that. */
  readonly difference?: string | undefined;
  /** What its readers are told while the sighting is fresh. */
  readonly warning?: string | undefined;
}

/** A tag upstream, beside what it was there before and what it is here. */
interface Comparison {
  /** Canonical. */
  readonly reference: string;
  readonly found: Digest;
  readonly before: Digest | undefined;
  readonly here: Digest | undefined;
}

/** What came of a sighting that the tag here did not follow. */
export type NotFollowed = 'refused' | 'not copied';

/**
 * Returns what a sighting is in words; in the reason of its event they keep what was seen. What is
 * here may have come from elsewhere: only what was seen upstream before has moved there.
 */
export function sightingText({ reference, found, before, here }: Comparison): string {
  const name = familiarReference(reference);
  if (before !== undefined && before !== found) return `${name} moved upstream from ${before} to ${found}`;
  if (here === undefined || here === found) return `${name} is ${found} upstream`;
  return `${name} differs here: upstream has ${found}, and this server ${here}`;
}

/** Reads what `sightingText` wrote, behind a word of `NotFollowed` or alone; undefined for another reason. */
function sightingIn(reason: string, reference: string): Sighted | undefined {
  const [, notFollowed, text = ''] = /^(?:(refused|not copied): )?(.*)$/s.exec(reason) ?? [];
  const name = familiarReference(reference);
  if (!text.startsWith(`${name} `)) return undefined;
  const what = text.slice(name.length + 1);
  const [, upstream = ''] = /^(?:is|moved upstream from \S+ to|differs here: upstream has) ([^\s,]+)/.exec(what) ?? [];
  if (!isDigest(upstream)) return undefined;
  return notFollowed === undefined ? { upstream } : { upstream, difference: text };
}

/**
 * What tags were upstream when they were last looked up. Each that differed from the one before is
 * an event of the tag with `via: mirror`, where a restart finds it; memory has the last
 * MAX_SIGHTED_TAGS with their time.
 */
export class Sightings {
  readonly #store: Pick<EventStore, 'log'>;
  readonly #now: () => number;
  readonly #seen = new RecentMap<string, Sighted & { readonly atMs: number }>(MAX_SIGHTED_TAGS);

  constructor(store: Pick<EventStore, 'log'>, now: () => number) {
    this.#store = store;
    this.#now = now;
  }

  /** Remembers what a tag is upstream. One that is `stale` is looked up again at once. */
  note(reference: string, sighted: Sighted, { stale = false }: { readonly stale?: boolean } = {}): void {
    this.#seen.set(reference, { ...sighted, atMs: stale ? -Infinity : this.#now() });
  }

  /** Resolves with the last sighting of a tag, however old. */
  async last(reference: string): Promise<Sighted | undefined> {
    const seen = this.#seen.get(reference);
    if (seen !== undefined) return seen;
    // The event of a platform that came later sets the tag too, and has another reason or none.
    const filter = { reference, via: 'mirror', reasonIncludes: familiarReference(reference) } as const;
    for await (const { reason = '' } of this.#store.log.read({ filter, reverse: true })) {
      const sighted = sightingIn(reason, reference);
      if (sighted !== undefined) return sighted;
    }
    return undefined;
  }

  /** Returns the sighting of a tag that is younger than `freshMs`. */
  fresh(reference: string, freshMs: number): Sighted | undefined {
    const entry = this.#seen.get(reference);
    return entry !== undefined && this.#now() - entry.atMs < freshMs ? entry : undefined;
  }
}
