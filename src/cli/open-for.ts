import { openStore } from '../store/open-store.js';
import type { EventStore } from '../store/store.js';
import type { CommandContext } from './context.js';

/**
 * Opens the store for a command; the caller closes it. `read` and `write` need
 * a store that is there, `create` makes it when it is missing.
 * @throws {StoreError} STORE_NOT_FOUND, STORE_LOCKED, and whatever opening meets
 */
export async function openFor(context: CommandContext, use: 'read' | 'write' | 'create'): Promise<EventStore> {
  return openStore(context.directory, {
    create: use === 'create',
    readOnly: use === 'read',
    // `log --actor` asks whose events to show: nobody writes there.
    actor: use === 'read' ? undefined : context.write.actor,
    now: context.io.now,
    signal: context.signal,
  });
}
