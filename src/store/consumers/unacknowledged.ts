/** The events that a consumer was given and whose acknowledgement is not durable, by seq and in order. */
export class Unacknowledged {
  /** Given, and not acknowledged. */
  readonly #waiting = new Set<number>();
  /** Acknowledged, and not yet durable. */
  readonly #writing = new Set<number>();
  /** To wait again, in no order: many writes fail together, and their events are put in order once. */
  #restored: number[] = [];

  /** How many wait for an acknowledgement. */
  get count(): number {
    return this.#waiting.size + this.#restored.length;
  }

  /** The event that is to be acknowledged next. */
  get oldest(): number | undefined {
    this.#putInOrder();
    return firstOf(this.#waiting);
  }

  /** The oldest event whose acknowledgement is not durable. */
  get oldestUndurable(): number | undefined {
    this.#putInOrder();
    // One that failed to become durable waits again, before or after others that are being written.
    const [waiting, writing] = [firstOf(this.#waiting), firstOf(this.#writing)];
    return waiting === undefined || writing === undefined ? (waiting ?? writing) : Math.min(waiting, writing);
  }

  /** Notes that an event is given; each is later than those before. */
  give(seq: number): void {
    this.#waiting.add(seq);
  }

  /** Notes that the oldest event is acknowledged, and that this is being written. */
  acknowledge(seq: number): void {
    this.#waiting.delete(seq);
    this.#writing.add(seq);
  }

  /** Notes that a position is durable: every event up to there is done with. */
  settle(position: number): void {
    this.#putInOrder();
    for (const seqs of [this.#writing, this.#waiting]) {
      for (const seq of seqs) {
        if (seq > position) break;
        seqs.delete(seq);
      }
    }
  }

  /** Notes that an acknowledgement may not be durable: the event waits for another one. */
  restore(seq: number): void {
    if (this.#writing.delete(seq)) this.#restored.push(seq);
  }

  #putInOrder(): void {
    if (this.#restored.length === 0) return;
    const waiting = [...this.#waiting, ...this.#restored].sort((a, b) => a - b);
    this.#restored = [];
    this.#waiting.clear();
    for (const seq of waiting) this.#waiting.add(seq);
  }
}

function firstOf(seqs: ReadonlySet<number>): number | undefined {
  for (const seq of seqs) return seq;
  return undefined;
}
