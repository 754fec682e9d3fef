import type { UnderlyingSource } from 'node:stream/web';
import { eventToJSON } from '../log/event-json.js';
import type { StoredEvent } from '../model/events.js';
import type { OptionNames } from '../model/option-names.js';
import { mustBeFunction, mustBeObject, mustBeOptions, mustBeSignal, mustBeString } from './argument-types.js';
import type { Consumer } from './consumers/consumer.js';
import type { Follower } from './follow/event-filter.js';

/** Options of `toEventStream` and `eventStreamResponse`. */
export interface EventStreamOptions {
  /**
   * The request's `Last-Event-ID`: events up to it are not sent. A consumer acknowledges them: their
   * receiver has them.
   */
  readonly lastEventId?: string | null | undefined;
  /** Milliseconds without an event after which a comment is sent; default 15,000. */
  readonly heartbeatMs?: number | undefined;
  /** Ends the stream. */
  readonly signal?: AbortSignal | undefined;
  /** Returns the `data` of an event, for JSON, at once; default `eventToJSON`. */
  readonly data?: ((event: StoredEvent) => unknown) | undefined;
}

const eventStreamOptionNames: OptionNames<EventStreamOptions> = {
  lastEventId: true,
  heartbeatMs: true,
  signal: true,
  data: true,
};

/** Proxies close connections that are silent for 30 to 60 seconds. */
const HEARTBEAT_MS = 15_000;

/** Longest delay of a timer; a longer one would fire at once. */
const MAX_HEARTBEAT_MS = 2 ** 31 - 1;

/** Sources that a stream owns. */
const owned = new WeakSet<object>();

/**
 * Returns the seq of the first event that the sender of this `Last-Event-ID` lacks, for `from` of
 * `log.follow`; undefined without one, which follows new events only.
 * @throws {RangeError} when it is not a seq
 */
export function seqAfter(lastEventId: string | null | undefined): number | undefined {
  if (lastEventId === undefined || lastEventId === null || lastEventId === '') return undefined;
  mustBeString('lastEventId', lastEventId);
  const seq = /^\d{1,16}$/.test(lastEventId) ? Number(lastEventId) : Number.NaN;
  if (Number.isSafeInteger(seq)) return seq + 1;
  throw new RangeError(`lastEventId must be a seq: ${JSON.stringify(lastEventId.slice(0, 100))}`);
}

/**
 * Returns the events of a follower or consumer as server-sent events (WHATWG HTML, "Server-sent
 * events"), in UTF-8: `id` is the seq, `data` the event in JSON on one line. Begins with a comment,
 * so that headers are sent at once; sends one after each `heartbeatMs` without an event.
 *
 * Reads an event when the stream is read, so a slow client slows no one and costs no memory. The
 * stream owns `source` and closes it when it ends, is cancelled or fails, and when this throws;
 * `signal`, the end of the source and the close of the store end it. It fails as the iteration of
 * `source` does, and as `data` does.
 * @throws {RangeError} when `lastEventId` is not a seq, is after the head, which is the id of
 *   another history, or `source` follows only from a later event on: follow from
 *   `seqAfter(lastEventId)`
 * @throws {TypeError} also for a source that another stream has
 */
export function toEventStream(
  source: Follower | Consumer,
  options: EventStreamOptions = {},
): ReadableStream<Uint8Array> {
  mustBeSource(source);
  try {
    const events = new EventStream(source, options);
    owned.add(source);
    return new ReadableStream(events, { highWaterMark: 0 });
  } catch (error) {
    // Nobody else would free the name of a consumer whose client sent a wrong Last-Event-ID.
    void Promise.resolve(source[Symbol.asyncDispose]()).catch(() => undefined);
    throw error;
  }
}

/**
 * Returns a Response, status 200, whose body is `toEventStream(source, options)`, with the headers
 * that browsers, caches and proxies need for it.
 * @throws {RangeError} as `toEventStream`
 */
export function eventStreamResponse(source: Follower | Consumer, options: EventStreamOptions = {}): Response {
  return new Response(toEventStream(source, options), {
    headers: {
      'content-type': 'text/event-stream; charset=utf-8',
      'cache-control': 'no-store',
      // nginx would buffer it.
      'x-accel-buffering': 'no',
    },
  });
}

function mustBeSource(source: Follower | Consumer): void {
  mustBeObject('source', source);
  if (typeof source[Symbol.asyncIterator] !== 'function' || typeof source[Symbol.asyncDispose] !== 'function') {
    throw new TypeError('source must be a follower or a consumer');
  }
  if (owned.has(source)) throw new TypeError('source belongs to another stream: each would get some of its events');
}

/** A comment. */
const HEARTBEAT = ':\n\n';

type Next = IteratorResult<StoredEvent, undefined>;

class EventStream implements UnderlyingSource<Uint8Array> {
  readonly #source: Follower | Consumer;
  readonly #events: AsyncIterator<StoredEvent, undefined>;
  readonly #after: number;
  readonly #heartbeatMs: number;
  readonly #data: (event: StoredEvent) => unknown;
  readonly #signal: AbortSignal | undefined;
  /** The event asked for and not sent yet. */
  #next: Promise<Next> | undefined;
  #hasBegun = false;
  #isOver = false;
  #forgetSignal: () => void = () => undefined;

  constructor(source: Follower | Consumer, options: EventStreamOptions) {
    mustBeOptions(options, eventStreamOptionNames);
    const { lastEventId, heartbeatMs = HEARTBEAT_MS, signal, data = eventToJSON } = options;
    if (typeof heartbeatMs !== 'number') throw new TypeError('heartbeatMs must be a number');
    if (!(heartbeatMs >= 1 && heartbeatMs <= MAX_HEARTBEAT_MS)) {
      throw new RangeError(`heartbeatMs must be 1 to ${MAX_HEARTBEAT_MS}: ${heartbeatMs}`);
    }
    mustBeSignal('signal', signal);
    mustBeFunction('data', data);
    const first = seqAfter(lastEventId);
    // A log that was restored from an older backup writes other events under these ids.
    if (first !== undefined && first > source.head + 1) {
      throw new RangeError(`the client has event ${first - 1}, and the log ends at event ${source.head}`);
    }
    // What lies between would be missing, and nobody would know.
    if (first !== undefined && !('ackThrough' in source) && source.position >= first) {
      throw new RangeError(`source follows from event ${source.position + 1} on, and the client has no event ${first}`);
    }
    this.#after = (first ?? 1) - 1;
    this.#source = source;
    this.#events = source[Symbol.asyncIterator]() as AsyncIterator<StoredEvent, undefined>;
    this.#heartbeatMs = heartbeatMs;
    this.#data = data;
    this.#signal = signal;
  }

  start(controller: ReadableStreamDefaultController<Uint8Array>): void {
    const signal = this.#signal;
    if (signal === undefined) return;
    // A consumer's position that could not be written is of no matter: its events are delivered again.
    const end = (): void => void this.#close(controller).catch(() => undefined);
    if (signal.aborted) end();
    else signal.addEventListener('abort', end, { once: true });
    this.#forgetSignal = () => signal.removeEventListener('abort', end);
  }

  async pull(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    try {
      const text = this.#hasBegun ? await this.#text() : HEARTBEAT;
      this.#hasBegun = true;
      if (this.#isOver) return;
      if (text === undefined) await this.#close(controller);
      else controller.enqueue(new TextEncoder().encode(text));
    } catch (error) {
      await this.#end().catch(() => undefined);
      throw error;
    }
  }

  async cancel(): Promise<void> {
    await this.#end();
  }

  /** Resolves with the next event or a heartbeat, undefined at the end. */
  async #text(): Promise<string | undefined> {
    for (;;) {
      if (this.#next === undefined) {
        this.#next = this.#events.next();
        // It may fail during a heartbeat; the next read reports it.
        this.#next.catch(() => undefined);
      }
      const next = await this.#unlessSilent(this.#next);
      if (next === undefined) return HEARTBEAT;
      this.#next = undefined;
      if (next.done === true) return undefined;
      const event = next.value;
      // JSON has no line feed outside its strings, and there it is escaped.
      if (event.seq > this.#after) return `id: ${event.seq}\ndata: ${this.#json(event)}\n\n`;
      if ('ackThrough' in this.#source) await this.#source.ackThrough(event);
    }
  }

  #json(event: StoredEvent): string {
    const data = this.#data(event);
    if (data instanceof Promise) throw new TypeError('data must return at once, not a promise');
    const text = JSON.stringify(data) as string | undefined;
    if (text === undefined) throw new TypeError(`data must return what has JSON, found ${typeof data}`);
    return text;
  }

  /** Resolves with undefined if `next` takes longer than the heartbeat. */
  async #unlessSilent(next: Promise<Next>): Promise<Next | undefined> {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const silence = new Promise<undefined>((resolve) => {
      timer = setTimeout(() => resolve(undefined), this.#heartbeatMs);
    });
    try {
      return await Promise.race([next, silence]);
    } finally {
      clearTimeout(timer);
    }
  }

  async #close(controller: ReadableStreamDefaultController<Uint8Array>): Promise<void> {
    if (this.#isOver) return;
    controller.close();
    await this.#end();
  }

  async #end(): Promise<void> {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#forgetSignal();
    await this.#source[Symbol.asyncDispose]();
  }
}
