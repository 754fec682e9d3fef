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
    for (const event of page) {
      for (const follower of this.#concerned(event)) if (follower.wants(event)) woken.add(follower);
    }
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

  *#concerned(event: StoredEvent): Generator<ParkedFollower> {
    yield* this.#all;
    yield* this.#byType.at(event.type);
    yield* this.#byActor.at(event.actor);
    if ('reference' in event) yield* this.#byReference.at(event.reference);
    if (this.#byImage.isEmpty && this.#byChain.isEmpty) return;
    const { images, chains } = subjectsOf(event);
    for (const image of images) yield* this.#byImage.at(image);
    for (const chain of chains) yield* this.#byChain.at(chain);
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

/** Where a follower is kept. */
interface Place {
  readonly shelf: Shelf;
  readonly key: string;
}

function isUnsorted({ filter: { subjects, types } }: ParkedFollower): boolean {
  return subjects === undefined && types === undefined;
}

const NOBODY: ReadonlySet<ParkedFollower> = new Set();

/** Followers by one kind of key. */
class Shelf {
  readonly #byKey = new Map<string, Set<ParkedFollower>>();

  get isEmpty(): boolean {
    return this.#byKey.size === 0;
  }

  at(key: string): ReadonlySet<ParkedFollower> {
    return this.#byKey.get(key) ?? NOBODY;
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
