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
