/** Returns all items, or as many as `limit` permits, which lie evenly among them; `offset` says where to begin. */
export function evenly<Item>(all: readonly Item[], limit: number, offset: number): Item[] {
  const count = Math.min(limit, all.length);
  const at = (index: number): number => (offset + Math.floor((index * all.length) / count)) % all.length;
  return Array.from({ length: count }, (_, index) => all[at(index)] as Item);
}
