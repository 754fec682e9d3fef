import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openStore } from '../../../src/index.js';
import { LevelLog } from '../../../src/log/leveldb/level-log.js';
import type { LogEntry } from '../../../src/log/log.js';
import { encodeRecord } from '../../../src/log/record.js';
import type { Digest, ImageId } from '../../../src/model/digest.js';
import { stampEvents } from '../../../src/store/writer.js';
import type { BenchContext } from '../benchmark.js';
import { progressBar } from '../progress-bar.js';
import { growingImages, type GrownTransaction, replacedImages } from './grown-images.js';
import { keptDirectory } from './kept-directory.js';

/** Change it whenever the same parameters yield another log or other snapshots. */
const VERSION = 1;
const GROUP = 1_024;
/** Snapshots along the way: one per part of the log, so past queries fold at most a part. */
const PARTS = 4;
/** Events between snapshots: the default of a store. */
const SNAPSHOT_EVERY = 50_000;
const BEGINNING = Date.UTC(2025, 0, 1);
const ORIGIN = { actor: 'ci@build', reason: undefined, requestId: undefined };
/** Number of ids stored beside a log for queries. */
const SAMPLES = 20_000;

/** File with sample image ids from the whole store: a JSON array. */
export const SAMPLES_FILE = 'samples.json';

type Making = Pick<BenchContext, 'fresh' | 'say'>;

/** Returns a cached read-only store of `images` images, none ever removed. */
export function grownStore(images: number, context: Making): Promise<string> {
  return keptDirectory(`imagelog-bench-grown-${VERSION}-${images}`, context, (directory) =>
    fill(directory, growingImages(images), images),
  );
}

/** Returns such a store with the snapshots that one writes by default. */
export function grownStoreWithSnapshots(images: number, context: Making): Promise<string> {
  return keptDirectory(`imagelog-bench-snapshots-${VERSION}-${images}`, context, (directory) =>
    fill(directory, growingImages(images), images, { events: SNAPSHOT_EVERY }),
  );
}

/** Returns a store of `live` images and about `events` events, cached like `grownStore`. */
export function agedStore(live: number, events: number, context: Making): Promise<string> {
  return keptDirectory(`imagelog-bench-aged-${VERSION}-${live}-${events}`, context, (directory) =>
    // Three events per image: created, named, and the previous holder of the name deleted.
    fill(directory, replacedImages(live, events), Math.floor(events / 3)),
  );
}

/** How much lies between two snapshots. */
type Distance = { readonly events: number } | { readonly transactions: number };

/** Fills the store in `directory` (created if missing) with about `total` transactions. */
export async function fill(
  directory: string,
  transactions: Iterable<GrownTransaction>,
  total: number,
  distance: Distance = { transactions: Math.ceil(total / PARTS) },
): Promise<void> {
  const bar = progressBar(`a store of ${total} images built`, total);
  let events = 0;
  const samples: ImageId[] = [];
  const sampledEvery = Math.ceil(total / SAMPLES);
  let count = 0;
  let writer = await openWriter(directory);
  try {
    for (const transaction of transactions) {
      const [first] = transaction.events;
      if (count % sampledEvery === 0 && first?.type === 'ImageCreated') samples.push(first.image);
      await writer.add(transaction);
      events += transaction.events.length;
      count++;
      const isDue = 'events' in distance ? events >= distance.events : count % distance.transactions === 0;
      if (!isDue) continue;
      events = 0;
      await writer.close();
      writer = await openWriter(directory);
      bar.update(count);
    }
  } finally {
    bar.end();
    await writer.close();
  }
  await snapshot(directory);
  await writeFile(join(directory, SAMPLES_FILE), JSON.stringify(samples));
}

interface Writer {
  add(transaction: GrownTransaction): Promise<void>;
  close(): Promise<void>;
}

async function openWriter(directory: string): Promise<Writer> {
  await snapshot(directory);
  const log = await LevelLog.open(join(directory, 'log'), { createIfMissing: false });
  let entries: LogEntry[] = [];
  let content = new Map<Digest, Uint8Array>();
  let { seq } = log.head;
  let waiting = 0;
  const flush = async (): Promise<void> => {
    if (entries.length > 0) await log.append({ expectedHead: log.head.seq, entries, content });
    entries = [];
    content = new Map();
    waiting = 0;
  };
  return {
    add: async (transaction) => {
      const stamped = stampEvents(transaction.events, ORIGIN, { first: seq + 1, time: BEGINNING + seq });
      seq += stamped.length;
      for (const event of stamped) entries.push({ event, record: encodeRecord(event) });
      for (const [digest, bytes] of transaction.content) content.set(digest, bytes);
      if (++waiting >= GROUP) await flush();
    },
    close: async () => {
      await flush();
      await log.close();
    },
  };
}

async function snapshot(directory: string): Promise<void> {
  const store = await openStore(directory, { layers: 'none', actor: 'bench' });
  await store.snapshot();
  await store.close();
}
