import type { EventStore } from '../store/event-store.js';
import type { Access, Refusal } from './access/access.js';

/** Options of `createServer`. */
export interface ServerOptions {
  /** Decides who may what; default: everything for clients of this machine, nothing for others. */
  readonly access?: Access | undefined;
  /** Receives each refused request: for an access log. Default: nothing is reported. */
  readonly onRefusal?: ((refusal: Refusal) => void) | undefined;
  /** Receives unexpected failures of handlers; default a process warning. */
  readonly onFailure?: ((error: unknown) => void) | undefined;
}

/** What every part of the server has. */
export interface Service {
  readonly store: EventStore;
  readonly access: Access;
  readonly onRefusal: (refusal: Refusal) => void;
  readonly onFailure: (error: unknown) => void;
  /** Aborts when the server closes: long answers end. */
  readonly signal: AbortSignal;
}
