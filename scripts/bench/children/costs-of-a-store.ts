import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type EventStore, type ImageId, openStore } from '../../../src/index.js';
import { isStoreError } from '../../../src/errors.js';
import { SAMPLES_FILE } from '../inputs/grown-store.js';
import { imageConfig } from '../inputs/image-configs.js';
import { scaled, type Timed, timeOf } from '../rounds.js';
import { heldBytes } from './held-bytes.js';
import { loadLibrary } from './load-library.js';

/*
 * Prints what opening the given store for writing, holding, querying and writing cost, code already
 * loaded. The second argument is the first image index to create. Needs --expose-gc.
 */

/** Distinct images, because recent configs are cached: in a small store, all of them. */
const GETS = 500;
const QUICK_CALLS = 20_000;
const HISTORIES = 200;
const CREATES = 512;
const AT_ONCE = 64;
const PREFIX_DIGITS = 12;

const [directory, firstIndex] = process.argv.slice(2) as [string, string];
await loadLibrary();
const before = heldBytes();
let opened: EventStore | undefined;
const opening = await timeOf(async () => {
  opened = await openStore(directory, { layers: 'none', actor: 'bench', snapshotEvery: 0, onNotice });
});
if (opened === undefined) throw new RangeError('the store is not open');
const store = opened;
const images = store.len();
const events = store.log.head.seq;
const heapBytes = heldBytes() - before;
const known = JSON.parse(await readFile(join(directory, SAMPLES_FILE), 'utf8')) as ImageId[];
const live = known.filter(isLive);
const costs = await askAll();
console.log(JSON.stringify({ images, events, openMs: scaled(opening, 1_000), heapBytes, ...costs }));
await store.close();

// A skipped snapshot was written by another version and would falsify the measurement.
function onNotice(notice: string): void {
  throw new Error(`${notice}; make the store again with --fresh`);
}

function isLive(id: ImageId): boolean {
  try {
    return store.search(id) === id;
  } catch (error) {
    if (!isStoreError(error, 'IMAGE_NOT_FOUND')) throw error;
    return false;
  }
}

async function askAll(): Promise<Record<string, Timed>> {
  const prefixes = live.map((id) => id.slice('sha256:'.length, 'sha256:'.length + PREFIX_DIGITS));
  return {
    getUs: await microseconds(GETS, (index) => store.get(picked(live, index)).architecture),
    searchUs: await microseconds(QUICK_CALLS, (index) => store.search(picked(prefixes, index))),
    childrenUs: await microseconds(QUICK_CALLS, (index) => store.children(picked(live, index))),
    historyUs: await microseconds(HISTORIES, (index) => countHistory(picked(live, index))),
    // Between two snapshots, whose number is independent of the size; with a query, since `at`
    // alone may fold nothing.
    atMs: scaled(await microseconds(1, async () => (await store.at(Math.floor((events * 7) / 8))).len()), 1 / 1_000),
    createUs: await microsecondsOfCreates(Number(firstIndex)),
  };
}

/** Returns the time per call; as many calls before it warm up the code. */
async function microseconds(count: number, call: (index: number) => unknown): Promise<Timed> {
  const all = async (offset: number): Promise<void> => {
    for (let index = offset; index < offset + count; index++) {
      const answer = call(index);
      if (answer instanceof Promise) await answer;
    }
  };
  if (count > 1) await all(count);
  return scaled(await timeOf(() => all(0)), 1e6 / count);
}

/** Returns the time per create with the usual number in flight. */
async function microsecondsOfCreates(first: number): Promise<Timed> {
  const createAll = async (from: number): Promise<void> => {
    for (let at = from; at < from + CREATES; at += AT_ONCE)
      await Promise.all(Array.from({ length: AT_ONCE }, (_, index) => store.create(imageConfig(at + index))));
  };
  await createAll(first);
  return scaled(await timeOf(() => createAll(first + CREATES)), 1e6 / CREATES);
}

async function countHistory(image: ImageId): Promise<void> {
  for await (const { seq } of store.history({ image })) if (seq === 0) throw new RangeError('an event has no place');
}

/** A step coprime to the number of items reaches all of them, far apart. */
function picked<Item>(items: readonly Item[], index: number): Item {
  return items[(index * 7_919) % items.length] as Item;
}
