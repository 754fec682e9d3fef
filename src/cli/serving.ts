import { StoreError } from '../errors.js';
import { isAnswering } from '../server/service/socket.js';
import { socketPathOf } from './store-directory.js';
import type { CommandContext } from './context.js';

/* What a command says that finds its store held by a server. */

/**
 * Returns a STORE_LOCKED error that tells of the server that holds the store; undefined if none does,
 * as then the holder may end soon.
 */
export async function heldByServer(
  error: StoreError,
  { directory, may }: CommandContext,
): Promise<StoreError | undefined> {
  if (error.data['directory'] !== directory) return undefined;
  const socket = socketPathOf(directory);
  if (!(await isAnswering(socket).catch(() => false))) return undefined;
  const hint =
    may === undefined
      ? 'this command needs the store for itself: stop the server first'
      : 'without --no-host the command runs in that server, if it is `imagelog serve`; else stop it first';
  const data = { ...error.data, socket, hint };
  return new StoreError('STORE_LOCKED', `${error.message}, which serves it at ${socket}`, { cause: error, data });
}
