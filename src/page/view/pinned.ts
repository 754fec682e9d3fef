import type { SeenHead } from '../questions.js';

/* What this browser saw of each log before. A browser that keeps nothing for a page remembers nothing. */

const KEY = 'imagelog key ';
const HEAD = 'imagelog head ';

/** Returns the key by which this log was signed when it was first seen here. */
export function pinnedKey(origin: string): string | undefined {
  return read(KEY + origin);
}

/** Keeps the key of a log, unless one is kept. */
export function rememberKey(origin: string, key: string): void {
  if (pinnedKey(origin) === undefined) write(KEY + origin, key);
}

/** Returns the longest state of this log that was verified here. */
export function seenHead(origin: string): SeenHead | undefined {
  const [size, root] = read(HEAD + origin)?.split(' ') ?? [];
  return size === undefined || root === undefined ? undefined : { size: Number(size), root };
}

/** Keeps a state of a log that continues the one before. */
export function rememberHead(origin: string, { size, root }: SeenHead): void {
  write(HEAD + origin, `${size} ${root}`);
}

function read(name: string): string | undefined {
  try {
    return localStorage.getItem(name) ?? undefined;
  } catch {
    return undefined;
  }
}

function write(name: string, value: string): void {
  try {
    localStorage.setItem(name, value);
  } catch {
    // Private windows and full stores keep nothing.
    return;
  }
}
