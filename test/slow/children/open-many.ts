import { readdirSync } from 'node:fs';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { openStore } from '../../../src/store/open/open-store.js';
import { tellParent } from '../child.js';

/*
 * Opens and closes a store so many times, every other time for reading, and tells what the process
 * has before and after.
 */

const [directory, opens, warmUp] = process.argv.slice(2) as [string, string, string];

// As `node --expose-gc` gives it.
setFlagsFromString('--expose-gc');
const gc = runInNewContext('gc') as () => void;

let alive = 0;
const collected = new FinalizationRegistry<undefined>(() => void alive--);

async function openOnce(readOnly: boolean): Promise<void> {
  // One signal for all of them, as a service has.
  const store = await openStore(directory, { actor: 'tester', readOnly, signal });
  for await (const event of store.log.read({ signal })) if (event.seq === 2) break;
  await store.close();
  alive += 1;
  collected.register(store, undefined);
}

async function kept(): Promise<Readonly<Record<string, number>>> {
  // Finalizers of what was collected run between two collections.
  for (let round = 0; round < 5; round++) {
    await new Promise((resolve) => setImmediate(resolve));
    gc();
  }
  return {
    heapBytes: process.memoryUsage().heapUsed,
    stores: alive,
    descriptors: readdirSync('/proc/self/fd').length,
    threads: readdirSync('/proc/self/task').length,
    listeners: process.eventNames().reduce((sum, name) => sum + process.listenerCount(name), 0),
    timers: process.getActiveResourcesInfo().length,
  };
}

const { signal } = new AbortController();
for (let count = 0; count < Number(warmUp); count++) await openOnce(count % 2 === 0);
const before = await kept();
for (let count = 0; count < Number(opens); count++) await openOnce(count % 2 === 0);
await tellParent({ before, after: await kept() });
process.disconnect();
