import type { EventStore } from '../store/event-store.js';
import type { Access } from './access/access.js';
import type { RunCommand } from './command/command-service.js';

/** Options of `createServer`. */
export interface ServerOptions {
  /** Decides who may what; default: everything for clients of this machine, nothing for others. */
  readonly access?: Access | undefined;
  /** Receives unexpected failures of handlers; default a process warning. */
  readonly onFailure?: ((error: unknown) => void) | undefined;
  /** Runs command lines for clients, as `imagelog serve` does; without it there is no `/command`. */
  readonly runCommand?: RunCommand | undefined;
}

/** What every part of the server has. */
export interface Service {
  readonly store: EventStore;
  readonly access: Access;
  readonly onFailure: (error: unknown) => void;
  /** Aborts when the server closes: long answers end. */
  readonly signal: AbortSignal;
}
