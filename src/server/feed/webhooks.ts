import { setTimeout as sleep } from 'node:timers/promises';
import { isStoreError, thrownText } from '../../errors.js';
import { MAX_DEAD_LETTERS, WEBHOOK_CLOSE_MS } from '../../limits.js';
import type { StoredEvent } from '../../model/events.js';
import type { Consumer } from '../../store/consumers/consumer.js';
import type { EventStore } from '../../store/event-store.js';
import { jsonOf } from './feed-format.js';
import { checkStart } from './feed-query.js';
import { checkedWebhooks, type Target, type WebhookOptions } from './webhook-options.js';
import { retryAfterMs, signedHeaders, TargetConnection } from './webhook-request.js';

/** An event that a target did not get. The event itself is in the log. */
interface DeadLetter {
  readonly seq: number;
  readonly attempts: number;
  readonly error: string;
  /** RFC 3339. */
  readonly at: string;
}

/** What a webhook does. */
interface WebhookState {
  /** Without credentials and query. */
  readonly url: string;
  readonly state: 'waiting' | 'delivering' | 'retrying' | 'stopped';
  /** Since the server started. */
  readonly delivered: number;
  readonly skipped: number;
  /** Failed attempts of what it delivers now. */
  readonly attempts: number;
  readonly lastError: string | null;
  /** When it tries again, RFC 3339. */
  readonly retryAt: string | null;
  /** The newest MAX_DEAD_LETTERS of those skipped. */
  readonly deadLetters: readonly DeadLetter[];
}

interface WebhookSurroundings {
  readonly storeId: string;
  /** Opens the consumer that keeps its position. */
  readonly open: () => Consumer;
  /** Receives unexpected failures. */
  readonly onFailure: (error: unknown) => void;
  /** Receives what an operator should know: a target that fails, an event that was skipped, a webhook that stopped. */
  readonly onNotice: (notice: string) => void;
}

type Outcome =
  | { readonly kind: 'done' }
  | { readonly kind: 'gone'; readonly error: string }
  | { readonly kind: 'failed'; readonly error: string; readonly waitMs: number };

/** Sends the events of a consumer to a target, in order, and acknowledges each that was taken. */
class Webhook {
  readonly #target: Target;
  readonly #shared: WebhookSurroundings;
  readonly #json: (event: StoredEvent) => object;
  readonly #connection: TargetConnection;
  readonly #closing = new AbortController();
  readonly #running: Promise<void>;
  #consumer: Consumer;
  readonly #deadLetters: DeadLetter[] = [];
  #state: WebhookState['state'] = 'waiting';
  #isFailing = false;
  #delivered = 0;
  #skipped = 0;
  #attempts = 0;
  #lastError: string | undefined;
  #retryAtMs: number | undefined;
  /** Least time between deliveries, which the target asked for. */
  #intervalMs = 0;
  #sentAtMs = 0;

  constructor(target: Target, shared: WebhookSurroundings) {
    this.#target = target;
    this.#shared = shared;
    this.#json = jsonOf(target.data, shared.storeId);
    this.#connection = new TargetConnection(target.url);
    this.#consumer = shared.open();
    this.#running = this.#run();
  }

  get state(): WebhookState {
    const { origin, pathname } = this.#target.url;
    return {
      url: origin + pathname,
      state: this.#state,
      delivered: this.#delivered,
      skipped: this.#skipped,
      attempts: this.#attempts,
      lastError: this.#lastError ?? null,
      retryAt: this.#retryAtMs === undefined ? null : new Date(this.#retryAtMs).toISOString(),
      deadLetters: [...this.#deadLetters],
    };
  }

  /** Ends the delivery; what was not acknowledged is delivered after the next start. */
  async close(): Promise<void> {
    this.#closing.abort();
    // Ends the wait for an event. A position that was not written delivers its events again.
    await this.#consumer.close().catch(this.#shared.onFailure);
    await this.#running;
    this.#connection.close();
  }

  async #run(): Promise<void> {
    try {
      // Closing writes the position of a new target: a crash before its first event loses none of them.
      await this.#consumer.close();
      if (this.#closing.signal.aborted) return;
      this.#consumer = this.#shared.open();
      if (this.#target.origin !== undefined && !(await this.#isAllowed(this.#target.origin))) return;
      for await (const event of this.#consumer) {
        if (!(await this.#deliver(event)) || !(await this.#acknowledge(event))) return;
        this.#state = 'waiting';
      }
    } catch (error) {
      if (!this.#closing.signal.aborted) this.#stop(thrownText(error));
    }
  }

  /** Resolves with whether to continue: false once stopped or closing. */
  async #deliver(event: StoredEvent): Promise<boolean> {
    const body = JSON.stringify(this.#json(event));
    const { attempts, ageMs, beyond } = this.#target.limit;
    const isLast = (): boolean => this.#attempts >= attempts || Date.now() - event.time >= ageMs;
    const outcome = await this.#repeat(() => this.#post(event.seq, body), isLast);
    if (outcome === undefined) return false;
    if (outcome.kind === 'done') {
      this.#delivered += 1;
      return true;
    }
    const what = `event ${event.seq} was not delivered after ${this.#attempts} attempts: ${outcome.error}`;
    if (outcome.kind === 'gone' || beyond === 'stop') return this.#stop(what);
    this.#skip(event.seq, outcome.error);
    return true;
  }

  /** Asks until the target takes events of this origin. */
  async #isAllowed(origin: string): Promise<boolean> {
    const outcome = await this.#repeat(
      () => this.#ask(origin),
      () => false,
    );
    if (outcome?.kind === 'gone') return this.#stop(outcome.error);
    return outcome?.kind === 'done';
  }

  /** Attempts until done, gone or `isLast`; undefined when closing. */
  async #repeat(attempt: () => Promise<Outcome>, isLast: () => boolean): Promise<Outcome | undefined> {
    this.#attempts = 0;
    for (;;) {
      this.#state = 'delivering';
      if (!(await this.#pause(this.#sentAtMs + this.#intervalMs - Date.now()))) return undefined;
      this.#sentAtMs = Date.now();
      const outcome = await attempt();
      if (this.#closing.signal.aborted) return outcome.kind === 'done' ? outcome : undefined;
      if (outcome.kind === 'done') {
        this.#attempts = 0;
        this.#lastError = undefined;
        this.#isFailing = false;
        return outcome;
      }
      this.#attempts += 1;
      this.#lastError = outcome.error;
      if (outcome.kind === 'gone' || isLast()) return outcome;
      this.#noticeFailing(outcome.error);
      if (!(await this.#backOff(outcome.waitMs))) return undefined;
    }
  }

  /** Waits a random time, longer with each attempt, and at least `leastMs`. */
  async #backOff(leastMs: number): Promise<boolean> {
    const { baseMs, capMs } = this.#target;
    const mostMs = Math.min(capMs, baseMs * 2 ** Math.min(this.#attempts - 1, 30));
    // The whole of it is random: targets that failed together are not tried together.
    const waitMs = Math.max(leastMs, Math.random() * mostMs);
    this.#state = 'retrying';
    this.#retryAtMs = Date.now() + waitMs;
    const isOn = await this.#pause(waitMs);
    this.#retryAtMs = undefined;
    return isOn;
  }

  async #post(seq: number, body: string): Promise<Outcome> {
    const { secrets, data, headers } = this.#target;
    const id = `${this.#shared.storeId}/${seq}`;
    const timestamp = Math.floor(Date.now() / 1_000);
    const type = data === 'event' ? 'application/json' : 'application/cloudevents+json; charset=utf-8';
    const signed = signedHeaders({ id, timestamp, body }, secrets);
    return this.#send('POST', { ...headers, 'content-type': type, ...signed }, body);
  }

  async #ask(origin: string): Promise<Outcome> {
    const headers = { ...this.#target.headers, 'webhook-request-origin': origin };
    return this.#send('OPTIONS', headers, undefined, (answer) => {
      const allowed = answer['webhook-allowed-origin'];
      const rate = Number(answer['webhook-allowed-rate']);
      // Events a minute.
      if (rate > 0) this.#intervalMs = 60_000 / rate;
      return allowed === '*' || allowed === origin ? undefined : `the target does not allow ${origin}`;
    });
  }

  async #send(
    method: 'POST' | 'OPTIONS',
    headers: Record<string, string>,
    body: string | undefined,
    objection: (answer: Readonly<Record<string, string | string[] | undefined>>) => string | undefined = () =>
      undefined,
  ): Promise<Outcome> {
    const { timeoutMs } = this.#target;
    try {
      const request = { method, headers, body, timeoutMs, signal: this.#closing.signal };
      const answer = await this.#connection.send(request);
      const { status } = answer;
      if (status === 410) return { kind: 'gone', error: 'the target is gone (410)' };
      const isTaken = status >= 200 && status < 300;
      const error = isTaken ? objection(answer.headers) : `the target answered ${status}`;
      if (error === undefined) return { kind: 'done' };
      return { kind: 'failed', error, waitMs: retryAfterMs(answer.headers['retry-after'], Date.now()) };
    } catch (error) {
      return { kind: 'failed', error: thrownText(error), waitMs: 0 };
    }
  }

  /** Resolves with false once the store or the consumer is closed: the event is then delivered again. */
  async #acknowledge(event: StoredEvent): Promise<boolean> {
    this.#attempts = 0;
    for (;;) {
      try {
        await this.#consumer.ack(event);
        return true;
      } catch (error) {
        if (isStoreError(error, 'STORE_CLOSED') || isStoreError(error, 'CONSUMER_CLOSED')) return false;
        // As on a full disk: the target has the event, and gets it no second time from this process.
        this.#attempts += 1;
        this.#lastError = thrownText(error);
        this.#shared.onFailure(error);
        if (!(await this.#backOff(this.#target.baseMs))) return false;
      }
    }
  }

  /** At the first failure; the next notice comes after the target took something. */
  #noticeFailing(error: string): void {
    if (!this.#isFailing) this.#shared.onNotice(`${this.#target.consumer} fails and is tried again: ${error}`);
    this.#isFailing = true;
  }

  #skip(seq: number, error: string): void {
    this.#skipped += 1;
    this.#deadLetters.push({ seq, attempts: this.#attempts, error, at: new Date().toISOString() });
    if (this.#deadLetters.length > MAX_DEAD_LETTERS) this.#deadLetters.shift();
    const { consumer } = this.#target;
    this.#shared.onNotice(`${consumer}: event ${seq} was skipped after ${this.#attempts} attempts: ${error}`);
  }

  #stop(why: string): false {
    this.#state = 'stopped';
    this.#lastError = why;
    this.#shared.onNotice(`${this.#target.consumer} stopped until the server starts again: ${why}`);
    return false;
  }

  /** Resolves with false when closing. */
  async #pause(ms: number): Promise<boolean> {
    const { signal } = this.#closing;
    if (ms > 0) await sleep(ms, undefined, { signal }).catch(() => undefined);
    return !signal.aborted;
  }
}

interface WebhooksSurroundings {
  readonly store: EventStore;
  readonly onFailure: (error: unknown) => void;
  readonly onNotice: (notice: string) => void;
}

/** The webhooks of a server. Each goes its own way: a slow target holds up no other. */
export class Webhooks {
  readonly #webhooks = new Map<string, Webhook>();
  readonly #onNotice: (notice: string) => void;

  /**
   * Begins to deliver.
   * @throws {StoreError} CONSUMER_INVALID, CONSUMER_TAKEN, STORE_READ_ONLY, TIME_OUT_OF_RANGE, those of filters
   * @throws {TypeError} for a wrong type or name of an option; RangeError for a wrong value
   */
  constructor({ store, onFailure, onNotice }: WebhooksSurroundings, options: readonly WebhookOptions[]) {
    this.#onNotice = onNotice;
    const targets = checkedWebhooks(options);
    if (targets.length === 0) return;
    const { storeId } = store.stats();
    try {
      for (const target of targets) {
        const { from = store.log.head.seq + 1, filter } = target;
        const start = checkStart(from, store.log.head.seq);
        const open = (): Consumer => store.consumer(target.consumer, { from: start, filter });
        this.#webhooks.set(target.consumer, new Webhook(target, { storeId, open, onFailure, onNotice }));
      }
    } catch (error) {
      void this.close();
      throw error;
    }
  }

  /** Returns what the webhook of this consumer does; undefined if it has none. */
  state(consumer: string): WebhookState | undefined {
    return this.#webhooks.get(consumer)?.state;
  }

  /** Returns how many there are in a state; undefined without any webhook. */
  countOf(state: WebhookState['state']): number | undefined {
    if (this.#webhooks.size === 0) return undefined;
    return [...this.#webhooks.values()].filter((webhook) => webhook.state.state === state).length;
  }

  /** Resolves when all have ended, at the latest after `timeoutMs`: a disk may hang. */
  async close(timeoutMs = WEBHOOK_CLOSE_MS): Promise<void> {
    const ended = new AbortController();
    const closing = Promise.all([...this.#webhooks.values()].map((webhook) => webhook.close()));
    const late = sleep(timeoutMs, 'late', { signal: ended.signal }).catch(() => undefined);
    const outcome = await Promise.race([closing, late]);
    ended.abort();
    if (outcome === 'late') this.#onNotice('webhooks did not end in time: their last events may be delivered again');
  }
}
