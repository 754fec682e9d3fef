import { setTimeout as delay } from 'node:timers/promises';
import { isStoreError, type StoreError, throwIfAborted } from '../../errors.js';
import { LOCK_POLL_MAX_MS, LOCK_POLL_MIN_MS } from '../../limits.js';

/** How long to wait for a lock, and who hears of it. */
export interface LockWait {
  /** Milliseconds until the attempt fails; 0, the default, does not wait. */
  readonly lockTimeoutMs?: number | undefined;
  readonly signal?: AbortSignal | undefined;
  /** Called before each pause, with the error that names the holder and the time waited so far. */
  readonly onWait?: (error: StoreError, waitedMs: number) => void;
}

/**
 * Checks a timeout for a lock.
 * @throws {TypeError} unless it is undefined or a whole number of milliseconds, 0 or more
 */
export function checkLockTimeout(lockTimeoutMs: unknown): void {
  if (lockTimeoutMs === undefined || (Number.isSafeInteger(lockTimeoutMs) && Number(lockTimeoutMs) >= 0)) return;
  throw new TypeError('lockTimeoutMs must be a whole number, 0 or more');
}

/**
 * Returns what `attempt` gives, retrying it while another process, or another part of this one,
 * holds the lock. Pauses grow from LOCK_POLL_MIN_MS to LOCK_POLL_MAX_MS, at random in their upper
 * half: processes that started together do not retry together, and none is starved for long.
 * @throws {StoreError} STORE_LOCKED of the last attempt; ABORTED
 */
export async function whenUnlocked<Result>(
  attempt: () => Promise<Result>,
  { lockTimeoutMs = 0, signal, onWait }: LockWait,
): Promise<Result> {
  const startedMs = monotonicMs();
  for (let longestMs = LOCK_POLL_MIN_MS; ; longestMs = Math.min(longestMs * 2, LOCK_POLL_MAX_MS)) {
    try {
      return await attempt();
    } catch (error) {
      const waitedMs = monotonicMs() - startedMs;
      if (!isStoreError(error, 'STORE_LOCKED') || waitedMs >= lockTimeoutMs) throw error;
      onWait?.(error, waitedMs);
      const pauseMs = (longestMs * (1 + Math.random())) / 2;
      // An abort ends the pause; the check below reports it.
      await delay(Math.min(pauseMs, lockTimeoutMs - waitedMs), undefined, { signal }).catch(() => undefined);
      throwIfAborted(signal);
    }
  }
}

// Not `performance.now`: its first use loads code for 2 ms, and every command passes here.
function monotonicMs(): number {
  return Number(process.hrtime.bigint() / 1_000_000n);
}
