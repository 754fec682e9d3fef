import { createHash } from 'node:crypto';

/** Returns `items` in an order that looks random and is the same in every run. */
export function shuffled<Item>(items: readonly Item[]): Item[] {
  const keyed = items.map((item, index) => ({ item, key: createHash('sha256').update(String(index)).digest('hex') }));
  return keyed.sort((a, b) => (a.key < b.key ? -1 : 1)).map(({ item }) => item);
}
