import { mergeMap, type Observable } from 'rxjs';
import type { Head, Log } from '../../log/log.js';
import type { Page } from '../../../projections/projection.js';
import type { StoredEvent } from '../../model/events.js';
import { factsOf } from '../../model/event-table.js';
import { type Subject, subjectsOf } from '../../model/subjects.js';
import { mustBeBoolean, mustBeCount, mustBeFunction, mustBeOptions, mustBeSignal } from '../argument-types.js';
import {
  type CompiledFilter,
  compileFilter,
  type EventFilter,
  type Follower,
  type FollowOptions,
  followOptionNames,
  type ReadOptions,
  readOptionNames,
  type StoreLog,
} from './event-filter.js';
import {
  EventIterator,
  type EventIteratorOptions,
  givenEvent,
  type IterationWatcher,
  type StretchSource,
} from './event-iterator.js';
import { MAX_PAGE_EVENTS } from '../../limits.js';
import { isStoreError, StoreError } from '../../errors.js';
import { type SearchableLog, type Stretch, StretchReader, wayTo } from './stretch-reader.js';

/**
 * Returns the last event up to `headSeq` at or before `time`, milliseconds since the epoch; 0 if
 * none. A binary search. Never splits a transaction, as its events share one time.
 */
export function lastSeqBy(log: Log, headSeq: number, time: number): number {
  let low = 0;
  let high = headSeq;
  while (low < high) {
    const middle = Math.ceil((low + high) / 2);
    if ((log.event(middle)?.time ?? Number.POSITIVE_INFINITY) <= time) low = middle;
    else high = middle - 1;
  }
  return low;
}

/** As `lastSeqBy`, but strictly before `time`. */
function lastSeqBefore(log: Log, headSeq: number, time: number): number {
  // Event times are whole milliseconds.
  return lastSeqBy(log, headSeq, Math.ceil(time) - 1);
}

/** A timer that only keeps the process alive; any time will do. */
const KEEP_ALIVE_MS = 3_600_000;

/** A caught-up follower waiting for an event. */
export interface ParkedFollower {
  readonly filter: CompiledFilter;
  /** Whether it wants the event; one that starts in the future does not before its first seq. */
  wants(event: StoredEvent): boolean;
  /** Called with the first page that has a wanted event, after unparking. */
  wake(page: Page): void;
  /** Called when no more pages will come. */
  end(): void;
}

/**
 * Waiting followers, indexed by what their filters can match: a page looks up only its own
 * subjects, so a thousand followers of other things cost it nothing.
 */
export class ParkedFollowers {
  readonly #byImage = new Shelf();
  readonly #byReference = new Shelf();
  readonly #byChain = new Shelf();
  readonly #byActor = new Shelf();
  readonly #byType = new Shelf();
  readonly #all = new Set<ParkedFollower>();
  readonly #parked = new Set<ParkedFollower>();
  #keepAlive: NodeJS.Timeout | undefined;

  /** Keeps the process alive while a follower waits, as a service that only subscribes needs. */
  park(follower: ParkedFollower): void {
    this.#parked.add(follower);
    this.#keepAlive = this.#keepAlive?.ref() ?? setInterval(() => undefined, KEEP_ALIVE_MS);
    for (const place of this.#placesOf(follower)) place.shelf.put(place.key, follower);
    if (isUnsorted(follower)) this.#all.add(follower);
  }

  /** Removes a follower; no-op if not parked. */
  unpark(follower: ParkedFollower): void {
    for (const place of this.#placesOf(follower)) place.shelf.take(place.key, follower);
    this.#all.delete(follower);
    this.#parked.delete(follower);
    if (this.#parked.size === 0) this.#keepAlive?.unref();
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

  end(): void {
    for (const follower of [...this.#parked]) {
      this.unpark(follower);
      follower.end();
    }
    clearInterval(this.#keepAlive);
    this.#keepAlive = undefined;
  }

  #choose(event: StoredEvent, woken: Set<ParkedFollower>): void {
    chooseFrom(this.#all, event, woken);
    chooseFrom(this.#byType.at(event.type), event, woken);
    chooseFrom(this.#byActor.at(event.actor), event, woken);
    for (const name of factsOf(event).references(event)) chooseFrom(this.#byReference.at(name), event, woken);
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
}

/** The newest folded page and the followers waiting for more. */
class LogFeed {
  readonly parked = new ParkedFollowers();
  readonly #log: Pick<Log, 'head'>;
  #head: Head;
  #newest: Page = [];
  readonly #whenClosed = new Set<() => void>();
  #isClosed = false;

  /** Starts at the head of `log`; `folded$` delivers later pages and completes at close. */
  constructor(log: Pick<Log, 'head'>, folded$: Observable<Page>) {
    this.#log = log;
    this.#head = log.head;
    folded$.subscribe({ next: (page) => this.#take(page), complete: () => this.#end() });
  }

  /** The last event folded into every view. */
  get head(): Head {
    return this.#head;
  }

  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Calls `listener` once closed, or now if it is. Returns a function that removes it. */
  whenClosed(listener: () => void): () => void {
    if (this.#isClosed) listener();
    else this.#whenClosed.add(listener);
    return () => this.#whenClosed.delete(listener);
  }

  /** Returns up to one page of the events after `position` if they are still in memory. */
  newestAfter(position: number): Stretch | undefined {
    const first = this.#newest[0]?.seq;
    return first === undefined || first > position + 1 ? undefined : pageAfter(this.#newest, position);
  }

  #take(page: Page): void {
    const last = page.at(-1);
    if (last === undefined) return;
    // One writer appends and folds in turn, so no event comes in between.
    const { head } = this.#log;
    if (head.seq !== last.seq)
      throw new StoreError('INTERNAL', `event ${last.seq} is folded, the log is at ${head.seq}`);
    this.#head = head;
    // A load may bring a hundred thousand events at once; do not keep them all in memory.
    this.#newest = page.slice(-MAX_PAGE_EVENTS);
    this.parked.wake(page);
  }

  #end(): void {
    this.#isClosed = true;
    this.parked.end();
    for (const listener of this.#whenClosed) listener();
  }
}

/** Returns up to MAX_PAGE_EVENTS events of `page` after `position`; undefined without any. */
function pageAfter(page: Page, position: number): Stretch | undefined {
  const start = Math.max(0, position + 1 - (page[0]?.seq ?? 0));
  const events = page.slice(start, start + MAX_PAGE_EVENTS);
  const last = events.at(-1);
  return last === undefined ? undefined : { events, end: last.seq };
}

/** Validated options of `follow`. */
interface CheckedFollowOptions {
  readonly from: number;
  readonly filter: CompiledFilter;
  readonly signal: AbortSignal | undefined;
  readonly watcher?: IterationWatcher | undefined;
}

interface LiveSourceOptions extends Omit<CheckedFollowOptions, 'watcher'>, SearchableLog {
  readonly feed: LogFeed;
}

/**
 * Endless stretches of a log from one seq on: from the database while behind, from memory when only
 * the newest page is missing, and at the head parked until an event passes the filter.
 */
class LiveSource implements StretchSource {
  readonly #log: Log;
  readonly #feed: LogFeed;
  readonly #filter: CompiledFilter;
  readonly #reader: StretchReader;
  readonly #signal: AbortSignal | undefined;
  /** End of the last stretch. */
  #end: number;
  #passed = 0;
  #parked: ParkedFollower | undefined;
  #hasSkipped = false;
  #isClosed = false;

  constructor({ log, references, feed, filter, from, signal }: LiveSourceOptions) {
    this.#log = log;
    this.#feed = feed;
    this.#filter = filter;
    this.#reader = new StretchReader({ log, references }, filter);
    this.#end = from - 1;
    this.#signal = signal;
  }

  get passed(): number {
    return this.#parked === undefined ? this.#passed : this.#feed.head.seq;
  }

  get isClosed(): boolean {
    return this.#isClosed || this.#feed.isClosed;
  }

  async next(): Promise<Stretch | undefined> {
    if (this.#feed.isClosed) return undefined;
    const stretch = this.#end >= this.#feed.head.seq ? await this.#park() : await this.#behind();
    if (stretch !== undefined) this.#end = stretch.end;
    return stretch;
  }

  end(): void {
    if (this.#parked === undefined) return;
    this.#feed.parked.unpark(this.#parked);
    this.#parked.end();
  }

  // Event times never decrease: skip what is before `since`.
  #skipEarlier(): void {
    const { since } = this.#filter;
    if (since === undefined || this.#hasSkipped) return;
    this.#hasSkipped = true;
    this.#end = Math.max(this.#end, lastSeqBefore(this.#log, this.#feed.head.seq, since));
  }

  #park(): Promise<Stretch | undefined> {
    const from = this.#end + 1;
    const { passes } = this.#filter;
    return new Promise((resolve) => {
      this.#parked = {
        filter: this.#filter,
        wants: (event) => event.seq >= from && (passes === undefined || passes(event)),
        wake: (page) => {
          this.#parked = undefined;
          this.#passed = (page[0]?.seq ?? 1) - 1;
          resolve(pageAfter(page, this.#end));
        },
        end: () => {
          this.#passed = this.passed;
          this.#parked = undefined;
          resolve(undefined);
        },
      };
      this.#feed.parked.park(this.#parked);
    });
  }

  async #behind(): Promise<Stretch | undefined> {
    const newest = this.#feed.newestAfter(this.#end);
    if (newest !== undefined) return newest;
    try {
      this.#skipEarlier();
      const range = { first: this.#end + 1, last: this.#feed.head.seq, reverse: false, size: MAX_PAGE_EVENTS };
      if (range.first > range.last) return { events: [], end: this.#end };
      return await this.#reader.read({ ...range, signal: this.#signal });
    } catch (error) {
      // A follower that is behind when the store closes ends like one that waits.
      if (!isStoreError(error, 'STORE_CLOSED')) throw error;
      this.#isClosed = true;
      return undefined;
    }
  }
}

/** An endless iterator over the log from one seq on. */
export class LogFollower extends EventIterator implements Follower {
  readonly #feed: LogFeed;

  constructor(options: Omit<EventIteratorOptions, 'limit'>, feed: LogFeed) {
    super({ ...options, limit: Number.POSITIVE_INFINITY });
    this.#feed = feed;
  }

  get head(): number {
    return this.#feed.head.seq;
  }

  async caughtUp(): Promise<void> {
    // Without an iterating reader, only this notices that the store closed.
    const forget = this.#feed.whenClosed(() => this.close());
    try {
      await this.reach(this.#feed.head.seq);
    } finally {
      forget();
    }
  }
}

/** Size of the first stretch; it doubles from there, as most reads want only a few events. */
const FIRST_STRETCH_EVENTS = 32;

interface RangeSourceOptions extends SearchableLog {
  readonly filter: CompiledFilter;
  /** First and last seq, inclusive, in either direction. */
  readonly first: number;
  readonly last: number;
  readonly reverse: boolean;
  readonly onProgress: ReadOptions['onProgress'];
  readonly signal: AbortSignal | undefined;
}

/** Stretches of an existing range of the log. */
class RangeSource implements StretchSource {
  readonly passed = 0;
  // A read must fail when the store closes: ending quietly would look complete.
  readonly isClosed = false;
  readonly #options: RangeSourceOptions;
  readonly #reader: StretchReader;
  #first: number;
  #last: number;
  #size = FIRST_STRETCH_EVENTS;
  #isNarrowed = false;
  #total = 0;

  constructor(options: RangeSourceOptions) {
    this.#options = options;
    this.#reader = new StretchReader(options, options.filter);
    this.#first = options.first;
    this.#last = options.last;
  }

  async next(): Promise<Stretch | undefined> {
    if (!this.#isNarrowed) this.#narrow();
    if (this.#first > this.#last) return undefined;
    const { reverse, onProgress, signal } = this.#options;
    const range = { first: this.#first, last: this.#last, reverse, size: this.#size, signal };
    const stretch = await this.#reader.read(range);
    if (reverse) this.#last = stretch.end - 1;
    else this.#first = stretch.end + 1;
    this.#size = Math.min(MAX_PAGE_EVENTS, 2 * this.#size);
    onProgress?.(this.#total - (this.#last - this.#first + 1), this.#total);
    return stretch;
  }

  end(): void {
    this.#first = this.#last + 1;
  }

  #narrow(): void {
    const { first, last } = narrowed(this.#options);
    this.#first = first;
    this.#last = last;
    this.#isNarrowed = true;
    this.#total = Math.max(0, this.#last - this.#first + 1);
  }
}

/** Returns the part of a range that is in the times of its filter. */
function narrowed({ log, filter: { since, until }, ...range }: RangeSourceOptions): {
  readonly first: number;
  readonly last: number;
} {
  // Event times never decrease: skip what is out of range.
  const last = until === undefined ? range.last : lastSeqBy(log, range.last, until);
  const first = since === undefined ? range.first : Math.max(range.first, lastSeqBefore(log, last, since) + 1);
  return { first, last };
}

/** The read side of a store's log: pages from the database and live events. */
export class EventReader implements StoreLog {
  readonly events$: Observable<StoredEvent>;
  readonly #log: Log;
  readonly #references: () => Iterable<string>;
  readonly #feed: LogFeed;
  readonly #now: () => number;

  /**
   * `log` must be folded up to its head; `folded$` delivers the pages after that. Filters with words
   * are read by the clock `now`.
   */
  constructor(
    { log, references, now = Date.now }: SearchableLog & { readonly now?: () => number },
    folded$: Observable<Page>,
  ) {
    this.#log = log;
    this.#now = now;
    this.#references = references;
    this.#feed = new LogFeed(log, folded$);
    this.events$ = folded$.pipe(mergeMap((page) => page.map(givenEvent)));
  }

  get head(): Head {
    return this.#feed.head;
  }

  read(options: ReadOptions = {}): EventIterator {
    const range = this.#rangeOf(options);
    const { limit = Number.POSITIVE_INFINITY } = options;
    if (limit !== Number.POSITIVE_INFINITY) mustBeCount('limit', limit);
    const { passes } = range.filter;
    return new EventIterator({ source: new RangeSource(range), passes, limit, position: 0, signal: range.signal });
  }

  explain(options: ReadOptions = {}): ReturnType<StoreLog['explain']> {
    const range = this.#rangeOf(options);
    const { first, last } = narrowed(range);
    const events = Math.max(0, last - first + 1);
    if (events === 0) return { by: 'scan', events };
    return wayTo(this.#log, range.filter, { first, last }) === undefined ? { by: 'scan', events } : { by: 'index' };
  }

  #rangeOf(options: ReadOptions): RangeSourceOptions {
    mustBeOptions(options, readOptionNames);
    const { from = 1, to = this.head.seq, reverse, onProgress, signal } = options;
    mustBeBoolean('reverse', reverse);
    if (onProgress !== undefined) mustBeFunction('onProgress', onProgress);
    mustBeSignal('signal', signal);
    mustBeCount('from', from);
    mustBeCount('to', to);
    return {
      log: this.#log,
      references: this.#references,
      filter: this.compiled(options.filter),
      first: Math.max(1, from),
      last: Math.min(to, this.head.seq),
      reverse: reverse ?? false,
      onProgress,
      signal,
    };
  }

  follow(options: FollowOptions = {}): LogFollower {
    mustBeOptions(options, followOptionNames);
    const { from = this.head.seq + 1, signal } = options;
    mustBeCount('from', from);
    mustBeSignal('signal', signal);
    return this.follower({ from, filter: this.compiled(options.filter), signal });
  }

  /** Compiles a filter as of now and of the head. @throws as `compileFilter` */
  compiled(filter: EventFilter | undefined): CompiledFilter {
    return compileFilter(filter, this.#now, this.head.time);
  }

  /** Returns a follower for validated options. */
  follower({ from, filter, signal, watcher }: CheckedFollowOptions): LogFollower {
    const first = Math.max(1, from);
    const [log, references] = [this.#log, this.#references];
    const source = new LiveSource({ log, references, feed: this.#feed, filter, from: first, signal });
    const options = { source, passes: filter.passes, position: first - 1, signal, watcher };
    return new LogFollower(options, this.#feed);
  }
  /** Yields the events after `position` that may pass: by the index for any number of subjects. */
  async *pagesAfter(position: number, filter: CompiledFilter): AsyncGenerator<Page> {
    const [first, last] = [position + 1, this.head.seq];
    const { subjects } = filter;
    if (subjects !== undefined && this.#log.hasSubjectIndex) {
      yield* this.#log.subjectPages(subjects, { from: first, to: last });
      return;
    }
    const reader = new StretchReader({ log: this.#log, references: this.#references }, filter);
    for (let at = first; at <= last; ) {
      const range = { first: at, last, reverse: false, size: MAX_PAGE_EVENTS, signal: undefined };
      const { events, end } = await reader.read(range);
      yield events;
      at = end + 1;
    }
  }
}
