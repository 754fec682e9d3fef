import { openStore } from '../../../src/index.js';
import { gatherCrowd } from '../inputs/crowd.js';
import { peakMemory } from '../peak-memory.js';

/*
 * Writes events next to idle and slow followers; arguments: directory, idle, slow, events. Each
 * event replaces the value of the one before, so views do not grow. Prints the heap bytes held by
 * the followers, the growth between the first and last tenth of the events, the events between
 * those, and the peak of the process. Needs --expose-gc.
 */

const AT_ONCE = 64;
const WAVES = 10;

const [directory, ...numbers] = process.argv.slice(2) as [string, ...string[]];
const [idle = 0, slow = 0, events = 0] = numbers.map(Number);
const store = await openStore(directory, { layers: 'none', actor: 'bench', snapshotEvery: 0 });
const image = store.map().keys().next().value;
if (image === undefined) throw new RangeError('the store has no image');
const imageId = image;

await write();
const before = await heapUsed();
const crowd = await gatherCrowd(store, { idle, slow });
const heldBytes = (await heapUsed()) - before;
await write();
const first = await heapUsed();
let grownEvents = 0;
for (let wave = 1; wave < WAVES; wave++) grownEvents += await write();
const grownBytes = (await heapUsed()) - first;
await crowd.dismiss();
await store.close();
console.log(JSON.stringify({ heldBytes, grownBytes, grownEvents, peakBytes: peakMemory() }));

/** Writes a tenth of the events, rounded up to whole batches; returns how many. */
async function write(): Promise<number> {
  const value = new TextEncoder().encode('tested');
  let done = 0;
  for (; done < events / WAVES; done += AT_ONCE) {
    await Promise.all(Array.from({ length: AT_ONCE }, () => store.setMetadata(imageId, 'stage', value)));
  }
  return done;
}

/** Returns the bytes held in the heap and in external buffers. */
async function heapUsed(): Promise<number> {
  if (globalThis.gc === undefined) throw new Error('run this script with --expose-gc');
  // Lets data pending until the end of this turn become garbage.
  await new Promise((resolve) => setImmediate(resolve));
  globalThis.gc();
  globalThis.gc();
  const { heapUsed: heap, external } = process.memoryUsage();
  return heap + external;
}
