import { homedir } from 'node:os';
import { isAbsolute, join, resolve } from 'node:path';

/**
 * Returns the store's directory: `given`, else `$IMAGELOG_STORE`, else
 * `imagelog` in the user's data directory (XDG Base Directory Specification:
 * `$XDG_DATA_HOME` when it is absolute, else `~/.local/share`).
 */
export function storeDirectory(given: string | undefined, env: Readonly<Record<string, string | undefined>>): string {
  const named = given ?? nonEmpty(env['IMAGELOG_STORE']);
  if (named !== undefined) return resolve(named);
  const dataHome = nonEmpty(env['XDG_DATA_HOME']);
  if (dataHome !== undefined && isAbsolute(dataHome)) return join(dataHome, 'imagelog');
  return join(nonEmpty(env['HOME']) ?? homedir(), '.local', 'share', 'imagelog');
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === '' ? undefined : text;
}
