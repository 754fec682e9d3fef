import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { openStore } from '../../../src/index.js';
import { LevelLog } from '../../../src/log/leveldb/level-log.js';
import type { LogEntry } from '../../../src/log/log.js';
import { encodeRecord } from '../../../src/log/record.js';
import type { Digest, ImageId } from '../../../src/model/digest.js';
import { stampEvents } from '../../../src/store/writer.js';
import type { EventStore } from '../../../src/store/event-store.js';
import type { BenchContext } from '../benchmark.js';
import { progressBar } from '../progress-bar.js';
import { keptDirectory } from './kept-directory.js';
import { type LifeTransaction, lifeTransactions, movingReferences } from './life.js';
import { SeededRandom } from './seeded-random.js';

/** Change it whenever the same seed and size yield another log or other snapshots. */
const VERSION = 3;
const SEED = 3;
/** Events between snapshots: the default of a store. */
const SNAPSHOT_EVERY = 50_000;
const MAX_GROUP = 32;
const BEGINNING = Date.UTC(2025, 0, 1);
const SPAN_MS = 180 * 24 * 3_600 * 1_000;
/** Number of names and ids stored beside a log for queries. */
const SAMPLES = 20_000;
const SAMPLES_FILE = 'samples.json';

/** A realistically filled store, cached for later runs. Open only with `openLife` (read-only). */
export interface LifeLog {
  readonly directory: string;
  readonly size: number;
  /** Random image ids, including deleted ones. */
  readonly images: readonly ImageId[];
  /** Random names, including removed ones. */
  readonly references: readonly string[];
  readonly movingReferences: readonly string[];
  readonly from: number;
  readonly until: number;
}

type Samples = Omit<LifeLog, 'directory' | 'size'>;

/**
 * Returns the log of `size` events with the snapshots a store would have written. Cached in the
 * temporary folder: building 1,000,000 events takes minutes.
 */
export async function lifeLog(size: number, context: Pick<BenchContext, 'fresh' | 'say'>): Promise<LifeLog> {
  const name = `imagelog-bench-life-${VERSION}-${SEED}-${size}`;
  const directory = await keptDirectory(name, context, (unfinished) => makeLife(unfinished, size));
  const samples = JSON.parse(await readFile(join(directory, SAMPLES_FILE), 'utf8')) as Samples;
  return { directory, size, ...samples };
}

/** Opens a cached log for reading. Fails if it skips a snapshot, as one of another version. */
export async function openLife(directory: string): Promise<EventStore> {
  const notices: string[] = [];
  const options = { layers: 'none', readOnly: true, onNotice: (notice: string) => notices.push(notice) } as const;
  const store = await openStore(directory, options);
  if (notices.length === 0) return store;
  await store.close();
  throw new Error(`${directory}: ${notices.join('; ')}; make it again with --fresh`);
}

/** Builds the store in `directory`, with its samples. */
export async function makeLife(directory: string, size: number): Promise<void> {
  const bar = progressBar(`a log of ${size} events`, size);
  const random = new SeededRandom(SEED);
  const recorder = new Recorder(size, random);
  const groups = recorder.groups();
  try {
    for (let isOver = false; !isOver; ) {
      await snapshot(directory);
      const log = await LevelLog.open(join(directory, 'log'), { createIfMissing: false });
      const end = log.head.seq + SNAPSHOT_EVERY;
      while (!isOver && log.head.seq < end) {
        const { value: group } = groups.next();
        if (group !== undefined) await log.append({ expectedHead: log.head.seq, ...group });
        isOver = group === undefined;
        bar.update(log.head.seq);
      }
      await log.close();
    }
    await snapshot(directory);
  } finally {
    bar.end();
  }
  await writeFile(join(directory, SAMPLES_FILE), JSON.stringify(recorder.samples()));
}

async function snapshot(directory: string): Promise<void> {
  const store = await openStore(directory, { layers: 'none', actor: 'bench' });
  await store.snapshot();
  await store.close();
}

interface Group {
  readonly entries: LogEntry[];
  readonly content: Map<Digest, Uint8Array>;
}

/** Assigns times and groups to the commands of a life, and records their subjects. */
class Recorder {
  readonly #size: number;
  readonly #random: SeededRandom;
  readonly #images: ImageId[] = [];
  readonly #references = new Set<string>();
  #seq = 0;
  #time = BEGINNING;

  constructor(size: number, random: SeededRandom) {
    this.#size = size;
    this.#random = random;
  }

  *groups(): Generator<Group, undefined> {
    let group: Group = { entries: [], content: new Map() };
    let room = this.#random.between(1, MAX_GROUP);
    for (const transaction of lifeTransactions(this.#size, this.#random)) {
      this.#add(transaction, group);
      if (--room > 0) continue;
      yield group;
      group = { entries: [], content: new Map() };
      room = this.#random.between(1, MAX_GROUP);
    }
    if (group.entries.length > 0) yield group;
    return undefined;
  }

  samples(): Samples {
    const sample = <Item>(items: readonly Item[]): Item[] =>
      Array.from({ length: Math.min(SAMPLES, items.length) }, () => this.#random.pick(items));
    return {
      images: sample(this.#images),
      references: sample([...this.#references]),
      movingReferences: movingReferences(),
      from: BEGINNING,
      until: this.#time,
    };
  }

  #add({ events, content, origin }: LifeTransaction, group: Group): void {
    const meanGapMs = (SPAN_MS / this.#size) * events.length;
    this.#time += Math.floor(this.#random.fraction() * 2 * meanGapMs);
    for (const event of stampEvents(events, origin, { first: this.#seq + 1, time: this.#time })) {
      group.entries.push({ event, record: encodeRecord(event) });
      if (event.type === 'ImageCreated') this.#images.push(event.image);
      if (event.type === 'ReferenceSet') this.#references.add(event.reference);
    }
    this.#seq += events.length;
    for (const [digest, bytes] of content) group.content.set(digest, bytes);
  }
}
