import type { OpenRows } from './log-source.js';

/** What a read meets that was told to begin anew. */
class Interrupted extends Error {}

/** One read of events, which can be told to begin anew from where it is. */
export class EventRead {
  readonly #rows = new Set<OpenRows>();
  #wasInterrupted = false;

  /** Whether its iterators were closed under it. */
  get wasInterrupted(): boolean {
    return this.#wasInterrupted;
  }

  /** To be passed on as `opened` of its source. Throws when the read was to begin anew before this iterator was made. */
  readonly opened = <Rows extends OpenRows>(rows: Rows): Rows => {
    if (this.#wasInterrupted) {
      void rows.close();
      throw new Interrupted();
    }
    this.#rows.add(rows);
    return rows;
  };

  async interrupt(): Promise<void> {
    this.#wasInterrupted = true;
    await Promise.all([...this.#rows].map((rows) => rows.close()));
    this.#rows.clear();
  }
}

/**
 * The reads of a log that may last. LevelDB keeps for an iterator all that was there when it was made, also what was removed
 * since: so they are interrupted, or waited for, when removed bytes have to leave the disk.
 */
export class OpenReads {
  readonly #events = new Set<EventRead>();
  readonly #content = new Set<OpenRows>();
  #waiting: (() => void)[] = [];
  #isEnded = false;

  beginEvents(): EventRead {
    const read = new EventRead();
    this.#events.add(read);
    return read;
  }

  endEvents(read: EventRead): void {
    this.#events.delete(read);
  }

  /** Resolves with what a short read gives, which is waited for. */
  async short<Result>(read: () => Promise<Result>): Promise<Result> {
    const held = this.content({ close: async () => undefined });
    try {
      return await read();
    } finally {
      await held.close();
    }
  }

  /** Takes note of a reader of content, which cannot go on elsewhere; returns it with a close that is noticed. */
  content<Rows extends OpenRows>(rows: Rows): Rows {
    const reader: Rows = {
      ...rows,
      close: async () => {
        await rows.close();
        this.#content.delete(reader);
        this.#tell();
      },
    };
    this.#content.add(reader);
    return reader;
  }

  /** Resolves when no read holds what was there before this call; with false when they are no longer waited for. */
  async letGo(): Promise<boolean> {
    // Readers that come later hold what is there now: waiting for them too might never end.
    const before = [...this.#content];
    while (!this.#isEnded && before.some((reader) => this.#content.has(reader))) {
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    if (this.#isEnded) return false;
    await this.interruptEvents();
    return true;
  }

  /** Has every read of events begin anew from where it is. */
  async interruptEvents(): Promise<void> {
    await Promise.all([...this.#events].map((read) => read.interrupt()));
  }

  /** From now on nobody waits for a read. */
  end(): void {
    this.#isEnded = true;
    this.#tell();
  }

  #tell(): void {
    for (const told of this.#waiting.splice(0)) told();
  }
}
