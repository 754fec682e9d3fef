import { cp, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { CONTENT_PREFIX, EVENT_PREFIX } from '../../../src/log/rows.js';
import { openStore } from '../../../src/index.js';
import type { BenchContext, Benchmark, Measured } from '../benchmark.js';
import { imageConfig } from '../inputs/image-configs.js';
import { lifeLog } from '../inputs/life-log.js';
import { SeededRandom } from '../inputs/seeded-random.js';
import { openRows, recordsOfRow, type RowDatabase } from '../inputs/written-rows.js';
import { TARGETS } from '../targets.js';

const EVENTS = 100_000;
/** Batches of small events, each of one for every name. */
const SMALL_BATCHES = 1_000;
const NAMES = 100;
const MOVED_IMAGES = 1_000;
const SEED = 19;

/**
 * Disk usage of a log's database, as left by a closed store and after full compaction, against the
 * bytes of its records and content.
 */
export const diskBenchmark: Benchmark = {
  name: 'disk',
  about: 'the disk that a log takes, against the bytes of its records and content',
  async run(context) {
    const events = Math.max(1_000, EVENTS * context.scale);
    const { directory } = await lifeLog(events, context);
    const copy = join(context.directory, 'copy');
    await cp(join(directory, 'log'), copy, { recursive: true });
    const { closed, settled, kept } = await sizesOf(copy);
    const line = (name: string, bytes: number): Measured => ({
      name,
      unit: 'bytes/event',
      ours: [bytes / events],
      peer: { name: 'records and content', values: [kept / events] },
      target: TARGETS.disk,
    });
    return [
      line('disk, settled', settled),
      line('disk, as left by close', closed),
      ...(await smallEventLines(context)),
    ];
  },
};

/**
 * Names moved by a build, a hundred at once, each with its own reason: what is small, and compresses
 * no better than digests do.
 */
async function smallEventLines({ directory, scale, say }: BenchContext): Promise<Measured[]> {
  const batches = Math.max(1, Math.floor(SMALL_BATCHES * scale));
  const events = batches * NAMES;
  say(`moves ${events} names`);
  const without = await sizesOf(await movedNames(join(directory, 'images'), 0));
  const moved = await sizesOf(await movedNames(join(directory, 'moved'), batches));
  const line = (name: string, bytes: number): Measured => ({
    name,
    unit: 'bytes/event',
    ours: [bytes / events],
    target: TARGETS.diskOfSmallEvents,
  });
  return [
    line('disk of small events, settled', moved.settled - without.settled),
    line('disk of small events, as left by close', moved.closed - without.closed),
  ];
}

/** Bytes of a log: of its files when it was closed and after full compaction; of records and content. */
type Sizes = Readonly<Record<'closed' | 'settled' | 'kept', number>>;

/** Measures a closed log, and compacts it. */
async function sizesOf(log: string): Promise<Sizes> {
  const closed = await bytesOfFiles(log);
  const database = await openRows(log);
  const kept = await bytesKept(database);
  await compact(database);
  await database.close();
  return { closed, settled: await bytesOfFiles(log), kept };
}

/** Creates the images, moves names between them and returns the folder of the log. */
async function movedNames(directory: string, batches: number): Promise<string> {
  const random = new SeededRandom(SEED);
  const store = await openStore(directory, { layers: 'none', actor: 'ci@build-7' });
  const images = await Promise.all(
    Array.from({ length: MOVED_IMAGES }, (_, index) => store.create(imageConfig(index))),
  );
  for (let batch = 0; batch < batches; batch++) {
    const moves = Array.from({ length: NAMES }, (_, index) => {
      const target = `shop/service-${index}:prod`;
      const request = `${batch}-${index}`;
      return store.tag({ source: random.pick(images), target }, { reason: `release ${request}`, requestId: request });
    });
    await Promise.all(moves);
  }
  await store.close();
  return join(directory, 'log');
}

/** Sums the bytes of all records and content. */
async function bytesKept(database: RowDatabase): Promise<number> {
  let bytes = 0;
  for await (const [key, value] of database.iterator()) {
    if (key[0] === EVENT_PREFIX) for (const record of recordsOfRow(key, value)) bytes += record.length;
    if (key[0] === CONTENT_PREFIX) bytes += value.length;
  }
  return bytes;
}

/** Compacts all rows into one level. */
async function compact(database: RowDatabase & { compactRange?(start: Uint8Array, end: Uint8Array): Promise<void> }) {
  if (database.compactRange === undefined) throw new RangeError('this level compacts nothing');
  await database.compactRange(new Uint8Array(), Uint8Array.of(0xff));
}

async function bytesOfFiles(directory: string): Promise<number> {
  const sizes = (await readdir(directory)).map(async (name) => (await stat(join(directory, name))).size);
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
}
