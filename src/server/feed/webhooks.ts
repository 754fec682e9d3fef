import { setTimeout as sleep } from 'node:timers/promises';
import { WEBHOOK_CLOSE_MS } from '../../limits.js';
import type { Consumer } from '../../store/consumers/consumer.js';
import type { EventStore } from '../../store/event-store.js';
import { checkStart } from './feed-query.js';
import { Webhook, type WebhookState } from './webhook.js';
import { checkedWebhooks, type WebhookOptions } from './webhook-options.js';

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
