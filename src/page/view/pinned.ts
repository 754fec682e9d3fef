import type { SeenHead } from '../questions.js';

/* What this browser saw of each log before. A browser that keeps nothing for a page remembers nothing. */

const KEY = 'imagelog key ';
const HEAD = 'imagelog head ';

/** A key by which a log is checked here: one that a person gave, or the first one that came with the log. */
export interface KnownKey {
  readonly key: string;
  readonly how: 'given' | 'seen';
  /** When it was kept, milliseconds since the epoch. */
  readonly since: number;
}

/** Returns the key by which this log is checked here. */
export function knownKey(origin: string): KnownKey | undefined {
  const [key, how, since] = read(KEY + origin)?.split(' ') ?? [];
  if (key === undefined || (how !== 'given' && how !== 'seen')) return undefined;
  return { key, how, since: Number(since) };
}

/** Keeps the key of a log: one that a person gave in place of any, one that was seen in place of none. */
export function rememberKey(origin: string, { key, how, since }: KnownKey): void {
  const known = knownKey(origin);
  const isNews = known === undefined || (how === 'given' && (known.how === 'seen' || known.key !== key));
  if (isNews) write(KEY + origin, `${key} ${how} ${since}`);
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
