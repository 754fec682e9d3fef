import type { SeenHead } from '../questions.js';

/* What this browser saw of each log before. A browser that keeps nothing for a page remembers nothing. */

const KEY = 'imagelog key ';
const HEAD = 'imagelog head ';
const GIVEN = 'given ';

/** A key that is remembered, and whether a person gave it: else it is the one that came with the log first. */
export interface PinnedKey {
  readonly key: string;
  readonly isGiven: boolean;
}

/** Returns the key by which this log is to be checked here. */
export function pinnedKey(origin: string): PinnedKey | undefined {
  const text = read(KEY + origin);
  if (text === undefined) return undefined;
  const isGiven = text.startsWith(GIVEN);
  return { key: isGiven ? text.slice(GIVEN.length) : text, isGiven };
}

/** Keeps the key of a log: the one that came first, until a person gives one. */
export function rememberKey(origin: string, { key, isGiven }: PinnedKey): void {
  if (isGiven) write(KEY + origin, GIVEN + key);
  else if (pinnedKey(origin) === undefined) write(KEY + origin, key);
}

/** Returns the longest state of this log that was verified here by a key. */
export function seenHead(key: string): SeenHead | undefined {
  const [size, root] = read(HEAD + key)?.split(' ') ?? [];
  return size === undefined || root === undefined ? undefined : { size: Number(size), root };
}

/** Keeps a state of a log that continues the one before. Another signer of the name has another key. */
export function rememberHead(key: string, { size, root }: SeenHead): void {
  write(HEAD + key, `${size} ${root}`);
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
