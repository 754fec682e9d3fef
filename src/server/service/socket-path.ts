import { join } from 'node:path';

/** Returns the path of the socket of the server that has the store in `directory` open. */
export function socketPathOf(directory: string): string {
  return join(directory, 'serve.sock');
}
