import type { Writable } from 'node:stream';
import { MAX_FEED_CHUNK_BYTES } from '../../limits.js';
import { isStoreError } from '../../errors.js';
import type { EventFilter, StoreLog } from '../../store/follow/event-filter.js';
import { answerTo } from '../failure.js';
import type { Channel, ChannelClient } from './channel.js';
import type { FeedFormat } from './feed-format.js';
import type { Beating, ReaderSlots, Servable, Turns } from './turns.js';

/** Time for which a client that takes nothing keeps its place among the readers of the log. */
const PATIENCE_MS = 100;
/** Processor time to read, encode and send a chunk from the log: 90 events. */
const CHUNK_MS = 2;

/** What clients share. */
export interface ClientSurroundings {
  readonly log: () => StoreLog;
  readonly slots: ReaderSlots;
  readonly turns: Turns;
  readonly onFailure: (error: unknown) => void;
  /** Called once, when the client is gone. */
  readonly onGone: (client: FeedClient) => void;
}

/** What a client gets. */
interface ClientOptions {
  readonly out: Writable;
  readonly format: FeedFormat;
  readonly filter: EventFilter | undefined;
  /** Begins with the event after this one. */
  readonly position: number;
  /** Last seq of a bounded read; undefined to follow `channel`. */
  readonly to: number | undefined;
  readonly channel: Channel | undefined;
  /** Most events to send; Infinity for all. */
  readonly limit: number;
}

/**
 * One answer of the feed. Reads the log until it lacks no event that its channel dropped, then takes
 * events from there: each once, in order. Sends only what the connection takes: a slow client costs
 * no more memory than one chunk, and is never dropped.
 */
export class FeedClient implements ChannelClient, Servable, Beating {
  readonly #shared: ClientSurroundings;
  readonly #options: ClientOptions;
  /** Head of the log at the request: having reached it, the client is caught up. */
  readonly #head: number;
  #position: number;
  #left: number;
  #isMarked = false;
  #isLive = false;
  #isBlocked = false;
  #hasSent = false;
  #isOver = false;
  #isGone = false;
  #reading: AbortController | undefined;
  #resume: (() => void) | undefined;

  constructor(shared: ClientSurroundings, options: ClientOptions) {
    this.#shared = shared;
    this.#options = options;
    this.#position = options.position;
    this.#left = options.limit;
    this.#head = shared.log().head.seq;
    options.out.on('drain', () => this.#drained());
    options.out.on('close', () => this.#gone());
    // A connection that breaks closes too.
    options.out.on('error', () => undefined);
    options.channel?.join(this);
    this.#send(options.format.begin() + this.#mark());
    void this.#run();
  }

  get position(): number {
    return this.#position;
  }

  get channel(): Channel | undefined {
    return this.#options.channel;
  }

  get isOver(): boolean {
    return this.#isOver;
  }

  /** Ends the answer: the client has all of it up to its last event, and may ask for the rest. */
  end(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#options.out.end();
    this.#gone();
  }

  sourceEnded(error: unknown): void {
    if (error === undefined) this.end();
    else this.#fail(error);
  }

  flush(): void {
    const { channel } = this.#options;
    if (channel === undefined) return;
    while (this.#isLive && !this.#isBlocked && !this.#isOver) {
      if (this.#position < channel.dropped) {
        this.#isLive = false;
        channel.fallBehind(this);
        void this.#run();
        return;
      }
      const chunk = channel.after(this.#position, this.#left);
      if (chunk === undefined) return;
      this.#position = chunk.last;
      this.#left -= chunk.count;
      this.#send(chunk.bytes);
      if (this.#left === 0) this.end();
    }
  }

  serve(): boolean {
    this.flush();
    return true;
  }

  beat(): void {
    if (this.#isOver || this.#isBlocked) return;
    const hasSent = this.#hasSent;
    const passed = this.#isLive ? this.#options.channel?.passed(this) : undefined;
    const hasMoved = passed !== undefined && passed > this.#position;
    if (hasMoved) this.#position = passed;
    if (hasMoved || !hasSent) this.#send(this.#options.format.heartbeat(hasMoved ? passed : undefined));
    this.#hasSent = false;
  }

  /** Reads the log until the channel has all that is left, or to the end of a bounded read. */
  async #run(): Promise<void> {
    const { channel, to } = this.#options;
    try {
      while (!this.#isOver) {
        if (channel !== undefined && this.#position >= channel.dropped && this.#position >= this.#head) {
          this.#isLive = true;
          channel.goLive(this);
          return;
        }
        const end = to ?? this.#shared.log().head.seq;
        if (to !== undefined && this.#position >= to) return this.end();
        await this.#read(end);
        this.#send(this.#mark());
        if (this.#isBlocked) await this.#unblocked();
      }
    } catch (error) {
      this.#fail(error);
    }
  }

  async #read(end: number): Promise<void> {
    const { slots } = this.#shared;
    await slots.enter();
    try {
      if (!this.#isOver) await this.#readUpTo(end);
    } finally {
      slots.leave();
    }
  }

  async #readUpTo(end: number): Promise<void> {
    const { format, filter } = this.#options;
    this.#reading = new AbortController();
    const range = { from: this.#position + 1, to: end, filter, signal: this.#reading.signal };
    let text = '';
    let position = this.#position;
    for await (const event of this.#shared.log().read(range)) {
      text += format.event(event);
      position = event.seq;
      this.#left -= 1;
      if (this.#left > 0 && text.length < MAX_FEED_CHUNK_BYTES) continue;
      this.#send(text);
      this.#position = position;
      text = '';
      if (this.#left === 0) return this.end();
      // Who takes nothing gives its place to others, and reads on from here later.
      if (this.#isBlocked && !(await this.#unblocked(PATIENCE_MS))) return;
      await this.#shared.turns.spend(CHUNK_MS);
      if (this.#isOver) return;
    }
    this.#send(text);
    this.#position = end;
  }

  /** Returns the mark that the client is caught up, when it first is. */
  #mark(): string {
    if (this.#isMarked || this.#options.channel === undefined || this.#position < this.#head) return '';
    this.#isMarked = true;
    return this.#options.format.caughtUp(this.#position);
  }

  #send(data: string | Buffer): void {
    if (data.length === 0 || this.#isOver) return;
    this.#hasSent = true;
    if (!this.#options.out.write(data)) this.#isBlocked = true;
  }

  #drained(): void {
    this.#isBlocked = false;
    this.#resume?.();
    if (this.#isLive) this.#shared.turns.add(this);
  }

  /** Resolves with true when the connection takes more or is gone, with false after `patienceMs`. */
  async #unblocked(patienceMs?: number): Promise<boolean> {
    if (this.#isOver || !this.#isBlocked) return true;
    return new Promise((resolve) => {
      const timer = patienceMs === undefined ? undefined : setTimeout(() => settle(false), patienceMs);
      const settle = (isDrained: boolean): void => {
        clearTimeout(timer);
        this.#resume = undefined;
        resolve(isDrained);
      };
      this.#resume = () => settle(true);
    });
  }

  #fail(error: unknown): void {
    if (this.#isOver) return;
    const { out, format } = this.#options;
    if (isStoreError(error, 'STORE_CLOSED')) {
      this.end();
      return;
    }
    this.#shared.onFailure(error);
    const [{ code, message }] = answerTo(error).body.errors;
    const text = format.failure(code, message);
    // A part of an answer must not look whole.
    if (text === undefined) out.destroy();
    else this.#send(text);
    this.end();
  }

  #gone(): void {
    if (this.#isGone) return;
    this.#isGone = true;
    this.#isOver = true;
    this.#isLive = false;
    this.#reading?.abort();
    this.#resume?.();
    this.#options.channel?.leave(this);
    this.#shared.onGone(this);
  }
}
