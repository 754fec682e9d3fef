import type { Page } from '../../../projections/live-view.js';
import type { StoredEvent } from '../../model/events.js';
import { type Subject, subjectsOf } from '../../model/subjects.js';
import type { CompiledFilter } from './event-filter.js';

/** A follower that has caught up and waits. */
export interface ParkedFollower {
  readonly filter: CompiledFilter;
  /** Whether it wants the event: a follower of the future wants none before its first. */
  wants(event: StoredEvent): boolean;
  /** Called with the first page that has an event it wants; it is parked no more. */
  wake(page: Page): void;
  /** Called when no more pages will come. */
  end(): void;
}

/**
 * Followers that wait for an event, kept by what their filters can match: a page looks up what its events are about, so that
 * a thousand followers of other things cost it nothing.
 */
export class ParkedFollowers {
  readonly #byImage = new Shelf();
  readonly #byReference = new Shelf();
  readonly #byChain = new Shelf();
  readonly #byActor = new Shelf();
  readonly #byType = new Shelf();
  readonly #all = new Set<ParkedFollower>();

  park(follower: ParkedFollower): void {
    for (const place of this.#placesOf(follower)) place.shelf.put(place.key, follower);
    if (isUnsorted(follower)) this.#all.add(follower);
  }

  /** Forgets a follower; nothing happens when it is not parked. */
  unpark(follower: ParkedFollower): void {
    for (const place of this.#placesOf(follower)) place.shelf.take(place.key, follower);
    this.#all.delete(follower);
  }

  /** Wakes the followers that want an event of `page`, in no order. */
  wake(page: Page): void {
    const woken = new Set<ParkedFollower>();
    for (const event of page) this.#choose(event, woken);
    for (const follower of woken) {
      this.unpark(follower);
      follower.wake(page);
    }
  }

  /** Ends every follower. */
  end(): void {
    const shelves = [this.#byImage, this.#byReference, this.#byChain, this.#byActor, this.#byType];
    const parked = new Set([...this.#all, ...shelves.flatMap((shelf) => shelf.followers())]);
    for (const follower of parked) {
      this.unpark(follower);
      follower.end();
    }
  }

  #choose(event: StoredEvent, woken: Set<ParkedFollower>): void {
    chooseFrom(this.#all, event, woken);
    chooseFrom(this.#byType.at(event.type), event, woken);
    chooseFrom(this.#byActor.at(event.actor), event, woken);
    if ('reference' in event) chooseFrom(this.#byReference.at(event.reference), event, woken);
    if (this.#byImage.isEmpty && this.#byChain.isEmpty) return;
    const { images, chains } = subjectsOf(event);
    for (const image of images) chooseFrom(this.#byImage.at(image), event, woken);
    for (const chain of chains) chooseFrom(this.#byChain.at(chain), event, woken);
  }

  #placesOf({ filter: { subjects, types } }: ParkedFollower): Place[] {
    if (subjects !== undefined) return subjects.map((subject) => this.#placeOf(subject));
    return [...(types ?? [])].map((key) => ({ shelf: this.#byType, key }));
  }

  #placeOf(subject: Subject): Place {
    if ('image' in subject) return { shelf: this.#byImage, key: subject.image };
    if ('reference' in subject) return { shelf: this.#byReference, key: subject.reference };
    if ('chainId' in subject) return { shelf: this.#byChain, key: subject.chainId };
    return { shelf: this.#byActor, key: subject.actor };
  }
}

function chooseFrom(
  followers: ReadonlySet<ParkedFollower> | undefined,
  event: StoredEvent,
  woken: Set<ParkedFollower>,
): void {
  if (followers === undefined) return;
  for (const follower of followers) if (!woken.has(follower) && follower.wants(event)) woken.add(follower);
}

/** Where a follower is kept. */
interface Place {
  readonly shelf: Shelf;
  readonly key: string;
}

function isUnsorted({ filter: { subjects, types } }: ParkedFollower): boolean {
  return subjects === undefined && types === undefined;
}

/** Followers by one kind of key. */
class Shelf {
  readonly #byKey = new Map<string, Set<ParkedFollower>>();

  get isEmpty(): boolean {
    return this.#byKey.size === 0;
  }

  at(key: string): ReadonlySet<ParkedFollower> | undefined {
    return this.#byKey.get(key);
  }

  put(key: string, follower: ParkedFollower): void {
    const followers = this.#byKey.get(key);
    if (followers === undefined) this.#byKey.set(key, new Set([follower]));
    else followers.add(follower);
  }

  take(key: string, follower: ParkedFollower): void {
    const followers = this.#byKey.get(key);
    if (followers?.delete(follower) === true && followers.size === 0) this.#byKey.delete(key);
  }

  followers(): ParkedFollower[] {
    return [...this.#byKey.values()].flatMap((followers) => [...followers]);
  }
}
