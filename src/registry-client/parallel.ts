import { MAX_PARALLEL_BLOBS } from '../limits.js';

/**
 * Runs `work` for each item, MAX_PARALLEL_BLOBS at a time. After a failure it starts no other, calls
 * `stop` so that the others end early, and rejects with the first failure once all have ended.
 */
export async function inParallel<Item>(
  items: Iterable<Item>,
  work: (item: Item) => Promise<void>,
  stop: () => void,
): Promise<void> {
  const failures: unknown[] = [];
  const iterator = items[Symbol.iterator]();
  const worker = async (): Promise<void> => {
    for (let next = iterator.next(); !next.done && failures.length === 0; next = iterator.next()) {
      try {
        await work(next.value);
      } catch (error) {
        failures.push(error);
        stop();
      }
    }
  };
  await Promise.all(Array.from({ length: MAX_PARALLEL_BLOBS }, worker));
  if (failures.length > 0) throw failures[0];
}
