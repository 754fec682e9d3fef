/** Something that has work to do for clients. */
export interface Servable {
  /** Works until done or `isOver`; returns whether it is done. Does not throw. */
  serve(isOver: () => boolean): boolean;
}

/** Longest piece of work without a pause for others. */
const TURN_MS = 5;
/** The part of the time that clients take while the log grows: its writer keeps the rest. */
const SHARE = 0.1;
/** Work without a rest, for an event that few follow. */
const BURST_MS = 10;
/** Time after an event for which the log counts as growing. */
const GROWING_MS = 50;

/** Shares the time of the process between the clients of a feed and the writer. */
export class Turns {
  readonly #head: () => number;
  readonly #queue = new Set<Servable>();
  #timer: NodeJS.Timeout | undefined;
  #immediate: NodeJS.Immediate | undefined;
  #creditMs = BURST_MS;
  #creditAt = performance.now();
  #lastHead: number;
  #grewAt = Number.NEGATIVE_INFINITY;

  /** `head` returns the last seq of the log. */
  constructor(head: () => number) {
    this.#head = head;
    this.#lastHead = head();
  }

  /** Has `servable` served soon. */
  add(servable: Servable): void {
    this.#queue.add(servable);
    if (this.#timer !== undefined || this.#immediate !== undefined) return;
    const restMs = this.#restMs();
    if (restMs > 0) this.#timer = setTimeout(this.#run, restMs);
    else this.#immediate = setImmediate(this.#run);
  }

  /** Records work done outside of a turn, and resolves when more may be done. */
  async spend(ms: number): Promise<void> {
    this.#creditMs -= ms;
    const restMs = this.#restMs();
    await new Promise<void>((resolve) => {
      if (restMs > 0) setTimeout(resolve, restMs);
      else setImmediate(resolve);
    });
  }

  end(): void {
    this.#queue.clear();
    clearTimeout(this.#timer);
    if (this.#immediate !== undefined) clearImmediate(this.#immediate);
    this.#timer = undefined;
    this.#immediate = undefined;
  }

  readonly #run = (): void => {
    this.#timer = undefined;
    this.#immediate = undefined;
    const start = performance.now();
    const isOver = (): boolean => performance.now() - start >= TURN_MS;
    for (const servable of this.#queue) {
      this.#queue.delete(servable);
      // One that is not done comes last: others wait no longer than for a turn of it.
      if (!servable.serve(isOver)) this.#queue.add(servable);
      if (isOver()) break;
    }
    this.#creditMs -= performance.now() - start;
    const [next] = this.#queue;
    if (next !== undefined) this.add(next);
  };

  /** Returns how long to leave the time to the writer; 0 while nothing is written. */
  #restMs(): number {
    const now = performance.now();
    this.#creditMs = Math.min(BURST_MS, this.#creditMs + (now - this.#creditAt) * SHARE);
    this.#creditAt = now;
    const head = this.#head();
    if (head !== this.#lastHead) {
      this.#lastHead = head;
      this.#grewAt = now;
    }
    if (now - this.#grewAt >= GROWING_MS) {
      // Work that slowed nobody is not owed.
      this.#creditMs = Math.max(0, this.#creditMs);
      return 0;
    }
    return Math.max(0, -this.#creditMs / SHARE);
  }
}

/** Something that sends a heartbeat unless it sent something else lately. */
export interface Beating {
  beat(): void;
}

/** Which part of the interval a member is called in. */
export type BeatPlace = number;

/** Parts of an interval: ten thousand heartbeats are not sent at once. */
const PARTS = 60;

/** Calls each member once an interval, spread over it, with one timer. */
export class Heartbeats {
  readonly #parts: readonly Set<Beating>[] = Array.from({ length: PARTS }, () => new Set<Beating>());
  readonly #partMs: number;
  #timer: NodeJS.Timeout | undefined;
  #size = 0;
  #at = 0;

  constructor(intervalMs: number) {
    this.#partMs = Math.max(1, intervalMs / PARTS);
  }

  /** Adds a member, first called an interval from now. Returns its place, for `remove`. */
  add(member: Beating): BeatPlace {
    this.#parts[this.#at]?.add(member);
    this.#size += 1;
    this.#timer ??= setInterval(() => this.#beat(), this.#partMs).unref();
    return this.#at;
  }

  remove(member: Beating, place: BeatPlace): void {
    if (this.#parts[place]?.delete(member) !== true) return;
    this.#size -= 1;
    if (this.#size > 0) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
  }

  #beat(): void {
    this.#at = (this.#at + 1) % PARTS;
    for (const member of this.#parts[this.#at] as Set<Beating>) member.beat();
  }
}

/** Lets a bounded number of clients read the log at once; the others wait in order. */
export class ReaderSlots {
  #free: number;
  readonly #waiting: (() => void)[] = [];

  constructor(count: number) {
    this.#free = count;
  }

  /** Resolves with a slot, which the caller must leave. */
  async enter(): Promise<void> {
    if (this.#free > 0) {
      this.#free -= 1;
      return;
    }
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
  }

  leave(): void {
    const next = this.#waiting.shift();
    if (next === undefined) this.#free += 1;
    else next();
  }
}
