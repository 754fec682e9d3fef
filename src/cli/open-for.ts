import { setTimeout as delay } from 'node:timers/promises';
import { isStoreError } from '../errors.js';
import { openStore } from '../store/open/open-store.js';
import type { EventStore } from '../store/event-store.js';
import { readSigner } from '../store/keys/checkpoint-signer.js';
import type { CommandContext } from './context.js';
import { noticeLine } from './failure.js';

/** How long a command waits for another process that has the store open: most commands are done in less. */
const LOCK_PATIENCE_MS = 1_000;
const LOCK_RETRY_MS = 50;

/** What a command does with the store: `create` makes it when it is missing, `free` makes room in it, on a full disk too. */
export type StoreUse = 'read' | 'write' | 'free' | 'create';

/**
 * Opens the store for a command; the caller closes it. Waits a second for another command to close it.
 * @throws {StoreError} STORE_NOT_FOUND, STORE_LOCKED, and whatever opening meets
 */
export async function openFor(context: CommandContext, use: StoreUse): Promise<EventStore> {
  return whenUnlocked(context, () => openNow(context, use));
}

/** Resolves with what `attempt` does; tries for a second when another process has the store open. */
export async function whenUnlocked<Result>(
  { signal }: CommandContext,
  attempt: () => Promise<Result>,
): Promise<Result> {
  for (let waitedMs = 0; waitedMs < LOCK_PATIENCE_MS; waitedMs += LOCK_RETRY_MS) {
    try {
      return await attempt();
    } catch (error) {
      if (!isStoreError(error, 'STORE_LOCKED')) throw error;
    }
    await delay(LOCK_RETRY_MS, undefined, { signal });
  }
  return attempt();
}

async function openNow(context: CommandContext, use: StoreUse): Promise<EventStore> {
  const { directory, write, keyFile, io, err, errColors, signal } = context;
  // Whoever only reads signs nothing, and need not have the key.
  const signer = use === 'read' || keyFile === undefined ? undefined : await readSigner(keyFile);
  return openStore(directory, {
    create: use === 'create',
    readOnly: use === 'read',
    useReserve: use === 'free',
    // `log --actor` asks whose events to show: nobody writes there.
    actor: use === 'read' ? undefined : write.actor,
    signer,
    now: io.now,
    onNotice: (notice) => err.post(noticeLine(notice, errColors)),
    signal,
  });
}
