import { MAX_FEED_CHANNEL_EVENTS, MAX_FEED_CHUNK_BYTES, MAX_FEED_EVENTS } from '../../limits.js';
import type { StoredEvent } from '../../model/events.js';
import type { Follower } from '../../store/follow/event-filter.js';
import type { FeedFormat } from './feed-format.js';
import type { Servable, Turns } from './turns.js';

/** A client of a channel. */
export interface ChannelClient {
  /** Every event up to here was sent to it or filtered out. */
  readonly position: number;
  /** Sends what the channel has for it, as far as its connection takes it. */
  flush(): void;
  /** Ends it because the log failed; without an error because the store closed. */
  sourceEnded(error: unknown): void;
}

/** Encoded events in a row. */
interface Chunk {
  /** The events after this seq. */
  readonly after: number;
  readonly bytes: Buffer;
  readonly last: number;
  readonly count: number;
}

/** Counts the events that all channels keep. */
export interface KeptEvents {
  count: number;
}

interface ChannelOptions {
  /** Of its filter and format. */
  readonly key: string;
  /** From the event after `position` on. */
  readonly follower: Follower;
  readonly position: number;
  readonly format: FeedFormat;
  readonly turns: Turns;
  readonly kept: KeptEvents;
}

/**
 * One follower of the head for all clients with one filter and format. Keeps the events that live
 * clients lack; a client that lacks events dropped here reads them from the log.
 */
export class Channel implements Servable {
  readonly #options: ChannelOptions;
  readonly #clients = new Set<ChannelClient>();
  /** Those of the clients that get their events from here. */
  readonly #live = new Set<ChannelClient>();
  #events: StoredEvent[] = [];
  #dropped: number;
  #chunk: Chunk | undefined;
  #round: { readonly clients: Iterator<ChannelClient>; readonly last: number } | undefined;
  #isEnded = false;

  constructor(options: ChannelOptions) {
    this.#options = options;
    this.#dropped = options.position;
    void this.#run();
  }

  get key(): string {
    return this.#options.key;
  }

  /** The newest event that is no longer here: a client that lacks it must read the log. */
  get dropped(): number {
    return this.#dropped;
  }

  /** Every event up to here was filtered out or is here, for the client that has all of these. */
  passed(client: ChannelClient): number | undefined {
    const last = this.#events.at(-1)?.seq ?? this.#dropped;
    return client.position < last ? undefined : this.#options.follower.position;
  }

  get isEmpty(): boolean {
    return this.#clients.size === 0;
  }

  join(client: ChannelClient): void {
    this.#clients.add(client);
  }

  /** Gives events to `client`, which must lack none of those dropped. */
  goLive(client: ChannelClient): void {
    this.#live.add(client);
    if (client.position < (this.#events.at(-1)?.seq ?? 0)) this.#options.turns.add(this);
  }

  /** Stops giving events to a client that fell behind. */
  fallBehind(client: ChannelClient): void {
    this.#live.delete(client);
  }

  leave(client: ChannelClient): void {
    this.#clients.delete(client);
    this.#live.delete(client);
    if (this.isEmpty) this.#stop();
  }

  /** Returns at most `limit` events after `position`, encoded; undefined without any. */
  after(position: number, limit: number): Chunk | undefined {
    const isWhole = limit === Number.POSITIVE_INFINITY;
    if (isWhole && this.#chunk?.after === position) return this.#chunk;
    const last = this.#events.at(-1)?.seq ?? 0;
    if (last <= position) return undefined;
    const chunk = this.#encode(position, limit);
    // Most clients are at the same event.
    if (isWhole) this.#chunk = chunk;
    return chunk;
  }

  serve(isOver: () => boolean): boolean {
    const last = this.#events.at(-1)?.seq ?? 0;
    this.#round ??= { clients: this.#live.values(), last };
    for (;;) {
      const next = this.#round.clients.next();
      if (next.done === true) break;
      next.value.flush();
      if (isOver()) return false;
    }
    const isDone = last === this.#round.last;
    this.#round = undefined;
    this.#chunk = undefined;
    this.#forgetSent();
    return isDone;
  }

  async #run(): Promise<void> {
    let failure: unknown;
    try {
      for await (const event of this.#options.follower) this.#take(event);
    } catch (error) {
      failure = error;
    }
    this.#isEnded = true;
    for (const client of [...this.#clients]) client.sourceEnded(failure);
    this.#stop();
  }

  #take(event: StoredEvent): void {
    const { kept, turns } = this.#options;
    this.#events.push(event);
    kept.count += 1;
    if (this.#events.length > MAX_FEED_CHANNEL_EVENTS || kept.count > MAX_FEED_EVENTS) this.#drop(1);
    turns.add(this);
  }

  #drop(count: number): void {
    if (count === 0) return;
    const dropped = this.#events.splice(0, count);
    this.#options.kept.count -= dropped.length;
    this.#dropped = dropped.at(-1)?.seq ?? this.#dropped;
    this.#chunk = undefined;
  }

  /** Drops what all have, unless a client that reads the log will want to join here. */
  #forgetSent(): void {
    if (this.#live.size < this.#clients.size) return;
    let least = Number.POSITIVE_INFINITY;
    for (const { position } of this.#live) least = Math.min(least, position);
    const left = this.#events.findIndex(({ seq }) => seq > least);
    this.#drop(left === -1 ? this.#events.length : left);
  }

  #encode(after: number, limit: number): Chunk {
    const { format } = this.#options;
    let [text, count, last] = ['', 0, after];
    for (const event of this.#events) {
      if (event.seq <= after) continue;
      text += format.event(event);
      last = event.seq;
      count += 1;
      if (count === limit || text.length >= MAX_FEED_CHUNK_BYTES) break;
    }
    return { after, bytes: Buffer.from(text), last, count };
  }

  #stop(): void {
    this.#drop(this.#events.length);
    if (this.#isEnded) return;
    this.#isEnded = true;
    void this.#options.follower.return();
  }
}
