import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';
import { nonEmpty } from './settings.js';

/**
 * Returns the store directory: `given`, `$IMAGELOG_STORE`, or `imagelog` in the user data directory
 * (XDG Base Directory Specification: `$XDG_DATA_HOME` if absolute, else `~/.local/share`).
 */
export function storeDirectory(given: string | undefined, env: Readonly<Record<string, string | undefined>>): string {
  const named = given ?? nonEmpty(env['IMAGELOG_STORE']);
  if (named !== undefined) return resolve(named);
  const dataHome = nonEmpty(env['XDG_DATA_HOME']);
  if (dataHome !== undefined && isAbsolute(dataHome)) return join(dataHome, 'imagelog');
  return join(nonEmpty(env['HOME']) ?? homedir(), '.local', 'share', 'imagelog');
}

/** Returns the path of the socket of the server that has the store in `directory` open. */
export function socketPathOf(directory: string): string {
  return join(directory, 'serve.sock');
}
