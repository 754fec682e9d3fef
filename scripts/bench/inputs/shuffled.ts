import { createHash } from 'node:crypto';

/** Shuffles `items` deterministically. */
export function shuffled<Item>(items: readonly Item[]): Item[] {
  const keyed = items.map((item, index) => ({ item, key: createHash('sha256').update(String(index)).digest('hex') }));
  return keyed.sort((a, b) => (a.key < b.key ? -1 : 1)).map(({ item }) => item);
}
