import type { Decide } from '../decide/decision.js';
import type { Origin } from './envelope.js';

/** One change that a caller asks for. */
export interface Command<Result> {
  readonly decide: Decide<Result>;
  readonly origin: Origin;
  /** Called when the command is decided and before it is durable; from then on later decisions must reckon with it. */
  readonly accepted?: ((result: Result) => void) | undefined;
  /** Called when the command's events are durable and folded, with the seq of the last; not when it had none. */
  readonly committed?: ((lastSeq: number) => void) | undefined;
  /** Called when an accepted command did not become durable: takes back what `accepted` did. */
  readonly withdrawn?: ((result: Result) => void) | undefined;
}

/** Takes commands one after another and makes their decisions durable. */
export interface CommandPort {
  /**
   * Resolves with the command's result when its events are durable and every view has folded them.
   * @throws {StoreError} what the decision threw; OUTCOME_UNKNOWN, LOG_FAILED, STORE_READ_ONLY, STORE_CLOSED
   */
  submit<Result>(command: Command<Result>): Promise<Result>;
}
