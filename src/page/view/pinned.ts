/* The key of each log as this browser saw it first. A browser that keeps nothing for a page pins nothing. */

const PREFIX = 'imagelog key ';

/** Returns the key by which this log was signed when it was first seen here. */
export function pinnedKey(origin: string): string | undefined {
  try {
    return localStorage.getItem(PREFIX + origin) ?? undefined;
  } catch {
    return undefined;
  }
}

/** Keeps the key of a log, unless one is kept. */
export function rememberKey(origin: string, key: string): void {
  try {
    if (localStorage.getItem(PREFIX + origin) === null) localStorage.setItem(PREFIX + origin, key);
  } catch {
    return;
  }
}
