import { setTimeout as delay } from 'node:timers/promises';
import { aborted, StoreError, throwIfAborted } from '../errors.js';
import {
  MAX_REGISTRY_ATTEMPTS,
  MAX_RETRY_AFTER_MS,
  MIN_REGISTRY_PROGRESS_BYTES,
  REGISTRY_RETRY_MAX_MS,
  REGISTRY_RETRY_MIN_MS,
} from '../limits.js';

/** A failure that may be gone at the next attempt: a broken connection, a busy registry. */
export class TransientFailure extends Error {
  override readonly name = 'TransientFailure';
  /** When the registry wants to be asked again, milliseconds from now. */
  readonly retryAfterMs: number | undefined;

  constructor(message: string, options: ErrorOptions & { readonly retryAfterMs?: number | undefined } = {}) {
    super(message, options);
    this.retryAfterMs = options.retryAfterMs;
  }
}

/** Waits so many milliseconds; rejects when the signal aborts. */
export type Wait = (durationMs: number, signal: AbortSignal | undefined) => Promise<void>;

/** Waits by the clock. @throws {StoreError} ABORTED */
export const waitByClock: Wait = async (durationMs, signal) => {
  try {
    await delay(durationMs, undefined, { signal });
  } catch (error) {
    if (signal?.aborted === true) throw aborted(signal);
    throw error;
  }
};

/** Counts attempts without progress, and waits between them: longer each time, by chance in part. */
export class Attempts {
  readonly #wait: Wait;
  readonly #signal: AbortSignal | undefined;
  #failed = 0;
  #bytes = 0;

  constructor(wait: Wait, signal: AbortSignal | undefined) {
    this.#wait = wait;
    this.#signal = signal;
  }

  /** Notes that bytes came: after enough of them the next failure is the first again. */
  progress(bytes: number): void {
    this.#bytes += bytes;
    if (this.#bytes < MIN_REGISTRY_PROGRESS_BYTES) return;
    this.#bytes = 0;
    this.#failed = 0;
  }

  /**
   * Waits before the attempt that follows `failure`.
   * @throws {StoreError} REGISTRY_UNAVAILABLE after too many, or when the registry asks for too long
   *   a wait; ABORTED
   */
  async after(failure: TransientFailure): Promise<void> {
    throwIfAborted(this.#signal);
    this.#failed += 1;
    const { retryAfterMs } = failure;
    if (this.#failed >= MAX_REGISTRY_ATTEMPTS) {
      throw unavailable(`${failure.message}, in ${this.#failed} attempts`, failure);
    }
    if (retryAfterMs !== undefined && retryAfterMs > MAX_RETRY_AFTER_MS) {
      const seconds = Math.ceil(retryAfterMs / 1_000);
      throw unavailable(`${failure.message}, and wants to be asked again in ${seconds} s`, failure);
    }
    const longest = Math.min(REGISTRY_RETRY_MAX_MS, REGISTRY_RETRY_MIN_MS * 2 ** (this.#failed - 1));
    await this.#wait(retryAfterMs ?? longest * (0.5 + Math.random() / 2), this.#signal);
  }
}

/**
 * Runs `attempt` until it does not fail with a TransientFailure.
 * @throws {StoreError} REGISTRY_UNAVAILABLE, ABORTED, and what `attempt` throws otherwise
 */
export async function retried<Result>(attempts: Attempts, attempt: () => Promise<Result>): Promise<Result> {
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (!(error instanceof TransientFailure)) throw error;
      await attempts.after(error);
    }
  }
}

function unavailable(message: string, cause: TransientFailure): StoreError {
  return new StoreError('REGISTRY_UNAVAILABLE', message, { cause });
}
