import type { EventStore } from '../store/event-store.js';
import type { Access } from './access/access.js';
import type { WebhookOptions } from './feed/webhook-options.js';
import type { Webhooks } from './feed/webhooks.js';

/** Options of `createServer`. */
export interface ServerOptions {
  /** Decides who may what; default: everything for clients of this machine, nothing for others. */
  readonly access?: Access | undefined;
  /** Targets to which events are sent. */
  readonly webhooks?: readonly WebhookOptions[] | undefined;
  /** Receives unexpected failures of handlers, and notices of webhooks; default a process warning. */
  readonly onFailure?: ((error: unknown) => void) | undefined;
}

/** What every part of the server has. */
export interface Service {
  readonly store: EventStore;
  readonly access: Access;
  readonly onFailure: (error: unknown) => void;
  readonly webhooks: Webhooks;
  /** Aborts when the server closes: long answers end. */
  readonly signal: AbortSignal;
}
