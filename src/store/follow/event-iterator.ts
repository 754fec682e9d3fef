import type { Page } from '../../../projections/views.js';
import type { Log } from '../../log/log.js';
import type { StoredEvent, Subject } from '../../model/events.js';
import { aborted, StoreError } from '../../errors.js';

/** What is to be called when a signal is aborted. */
const callsOf = new WeakMap<AbortSignal, Set<() => void>>();

/**
 * Calls `call` when `signal` is aborted, unless the function that is returned was called before. However many wait for one
 * signal, it has one listener: Node warns of a leak at the eleventh, and a thousand followers may end with one program.
 */
function callOnAbort(signal: AbortSignal, call: () => void): () => void {
  let calls = callsOf.get(signal);
  if (calls === undefined) {
    const created = new Set<() => void>();
    signal.addEventListener('abort', () => runAll(created), { once: true });
    callsOf.set(signal, created);
    calls = created;
  }
  const waiting = calls.add(call);
  return () => {
    waiting.delete(call);
  };
}

function runAll(calls: Set<() => void>): void {
  for (const call of [...calls]) call();
  calls.clear();
}

/** A piece of the log that was looked through. */
export interface Stretch {
  /** The events of it that may pass the reader's filter, in the reader's direction. */
  readonly events: Page;
  /** The seq at which the piece ends, in the reader's direction. */
  readonly end: number;
}

/** Which stretch to read. */
interface StretchRange {
  /** First and last seq, inclusive, whatever the direction: at least one event. */
  readonly first: number;
  readonly last: number;
  readonly reverse: boolean;
  /** Events of it at the most. */
  readonly size: number;
  readonly signal: AbortSignal | undefined;
}

/** Subjects that are looked up in the index: each of them costs an iterator, and for more the whole log is read. */
const MAX_INDEXED_SUBJECTS = 64;

/**
 * Reads one stretch, from the beginning of the range: by the subject index when the log has it and `subjects` names few.
 * Nothing stays open in the database: an iterator that waits for a slow reader keeps files that were replaced long ago.
 */
export function readStretch(log: Log, subjects: readonly Subject[] | undefined, range: StretchRange): Promise<Stretch> {
  const isIndexed = subjects !== undefined && subjects.length <= MAX_INDEXED_SUBJECTS && log.hasSubjectIndex;
  return isIndexed ? readIndexed(log, subjects, range) : readAll(log, range);
}

async function readAll(log: Log, { first, last, reverse, size, signal }: StretchRange): Promise<Stretch> {
  const from = reverse ? Math.max(first, last - size + 1) : first;
  const to = reverse ? last : Math.min(last, first + size - 1);
  const events = await firstPage(log.pages({ from, to, reverse, pageSize: size, signal }));
  return { events, end: events.at(-1)?.seq ?? (reverse ? from : to) };
}

async function readIndexed(
  log: Log,
  subjects: readonly Subject[],
  { first, last, reverse, size, signal }: StretchRange,
): Promise<Stretch> {
  const pages = log.subjectPages(subjects, { from: first, to: last, reverse, pageSize: size, signal });
  const events = await firstPage(pages);
  return { events, end: events.at(-1)?.seq ?? (reverse ? first : last) };
}

async function firstPage(pages: AsyncIterable<Page>): Promise<Page> {
  for await (const page of pages) return page;
  return [];
}

type Result = IteratorResult<StoredEvent, undefined>;

/** Where an iterator takes its events from. */
export interface StretchSource {
  /** Resolves with the next stretch, or undefined at the end. Not called again before it is settled. */
  next(): Promise<Stretch | undefined>;
  /** Events up to here were passed over while the reader waited. */
  readonly passed: number;
  /** Whether the source ends here and now: what was read ahead is not given any more. */
  readonly isClosed: boolean;
  /** Called once when the iteration is over. A `next` that waits is left, or resolves with undefined. */
  end(): void;
}

/** Told how an iteration goes on, in its midst: it must be brief and not throw. */
export interface IterationWatcher {
  /** An event passes and is given next, before the position moves to it. */
  giving(event: StoredEvent): void;
  /** The stretch at hand is used up: everything up to the position was given or passed over. */
  usedUp(): void;
}

export interface EventIteratorOptions {
  readonly source: StretchSource;
  /** Which events of a stretch to give; undefined for all. */
  readonly passes: ((event: StoredEvent) => boolean) | undefined;
  /** Events to give at the most. */
  readonly limit: number;
  /** Seq that counts as passed before anything is read. */
  readonly position: number;
  readonly signal: AbortSignal | undefined;
  readonly watcher?: IterationWatcher | undefined;
}

/** A promise that somebody waits for. */
interface Waiting<Value> {
  readonly resolve: (value: Value) => void;
  readonly reject: (error: unknown) => void;
}

/** Somebody who waits until the position is `seq`. */
interface Reaching extends Waiting<void> {
  readonly seq: number;
}

const END: Result = { value: undefined, done: true };

/**
 * Gives the events of a source one by one. Most calls of `next` find one in the stretch at hand and are answered at once;
 * the others wait in a queue for the next stretch.
 */
export class EventIterator implements AsyncIterableIterator<StoredEvent>, AsyncDisposable {
  readonly #source: StretchSource;
  readonly #passes: ((event: StoredEvent) => boolean) | undefined;
  readonly #signal: AbortSignal | undefined;
  readonly #watcher: IterationWatcher | undefined;
  /** The stretch at hand, and where in it the next event is. */
  #events: Page = [];
  #at = 0;
  #end: number;
  #position: number;
  #left: number;
  #waiting: Waiting<Result>[] = [];
  #reaching: Reaching[] = [];
  #isReading = false;
  #hasBegun = false;
  #forgetSignal: (() => void) | undefined;
  /** Why it gives no more, for those who waited for more. */
  #over: unknown;
  /** What the next call of `next` throws. */
  #failure: unknown;

  constructor({ source, passes, limit, position, signal, watcher }: EventIteratorOptions) {
    this.#source = source;
    this.#passes = passes;
    this.#left = limit;
    this.#position = position;
    this.#end = position;
    this.#signal = signal;
    this.#watcher = watcher;
  }

  /** Every event up to here was given or passed over. */
  get position(): number {
    return Math.max(this.#position, this.#source.passed);
  }

  /** Whether it gives nothing more. */
  get isOver(): boolean {
    return this.#over !== undefined;
  }

  next(): Promise<Result> {
    if (!this.#hasBegun) this.#begin();
    if (this.#waiting.length === 0) {
      const event = this.#take();
      if (event !== undefined) return Promise.resolve({ value: event, done: false });
      if (this.#over !== undefined) return this.#afterEnd();
    }
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      if (!this.#isReading) void this.#read();
    });
  }

  /** Ends the iteration at once; calls of `next` that wait are answered with the end. */
  async return(): Promise<Result> {
    this.#finish(ended());
    this.#failure = undefined;
    return END;
  }

  [Symbol.asyncIterator](): this {
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.return();
  }

  /** Resolves when every event up to `seq` was given or passed over; rejects with why the iteration ended before. */
  protected reach(seq: number): Promise<void> {
    if (this.position >= seq) return Promise.resolve();
    if (!this.#hasBegun) this.#begin();
    if (this.#over !== undefined) return Promise.reject(this.#over);
    return new Promise((resolve, reject) => {
      this.#reaching.push({ seq, resolve, reject });
    });
  }

  /** Ends the iteration because the store is closed. */
  protected close(): void {
    this.#finish(closed());
  }

  // Not before somebody iterates or waits: an iterator that was made and forgotten must not be kept alive by its signal.
  #begin(): void {
    this.#hasBegun = true;
    const signal = this.#signal;
    if (signal === undefined) return;
    if (signal.aborted) this.#fail(aborted(signal));
    else this.#forgetSignal = callOnAbort(signal, () => this.#fail(aborted(signal)));
  }

  #afterEnd(): Promise<Result> {
    const failure = this.#failure;
    if (failure === undefined) return Promise.resolve(END);
    this.#failure = undefined;
    return Promise.reject(failure);
  }

  /** The next event of the stretch at hand that passes. */
  #take(): StoredEvent | undefined {
    if (this.#left === 0) this.#finish(ended());
    if (this.#source.isClosed) this.#drop();
    const events = this.#events;
    const passes = this.#passes;
    while (this.#at < events.length) {
      const event = events[this.#at++] as StoredEvent;
      if (passes !== undefined && !passes(event)) continue;
      this.#watcher?.giving(event);
      this.#moveTo(event.seq);
      this.#left--;
      return event;
    }
    this.#moveTo(this.#end);
    return undefined;
  }

  /** Answers the calls that wait, in order, and reads a stretch whenever the one at hand is used up. */
  async #read(): Promise<void> {
    this.#isReading = true;
    while (this.#waiting.length > 0) {
      const event = this.#take();
      if (event !== undefined) this.#waiting.shift()?.resolve({ value: event, done: false });
      else if (this.#over === undefined) await this.#readStretch();
    }
    this.#isReading = false;
  }

  async #readStretch(): Promise<void> {
    this.#watcher?.usedUp();
    try {
      const stretch = await this.#source.next();
      if (this.#over !== undefined) return;
      if (stretch === undefined) {
        if (this.#source.isClosed) this.close();
        else this.#finish(ended());
        return;
      }
      this.#events = stretch.events;
      this.#at = 0;
      this.#end = stretch.end;
    } catch (error) {
      this.#fail(error);
    }
  }

  #moveTo(seq: number): void {
    this.#position = seq;
    if (this.#reaching.length === 0) return;
    const reached = this.#reaching.filter((each) => each.seq <= seq);
    this.#reaching = this.#reaching.filter((each) => each.seq > seq);
    // A turn later: the event that reaches it is given first.
    for (const { resolve } of reached) void Promise.resolve().then(resolve);
  }

  #fail(error: unknown): void {
    if (this.#over !== undefined) return;
    const first = this.#waiting.shift();
    if (first === undefined) this.#failure = error;
    else first.reject(error);
    this.#finish(error);
  }

  #finish(why: unknown): void {
    if (this.#over !== undefined) return;
    this.#over = why;
    this.#drop();
    this.#forgetSignal?.();
    this.#source.end();
    for (const { resolve } of this.#waiting.splice(0)) resolve(END);
    for (const { reject } of this.#reaching.splice(0)) reject(why);
  }

  #drop(): void {
    this.#events = [];
    this.#at = 0;
    this.#end = this.#position;
  }
}

function ended(): StoreError {
  return new StoreError('ABORTED', 'the iteration was ended');
}

function closed(): StoreError {
  return new StoreError('STORE_CLOSED', 'the iteration ended: the store was closed');
}
