import { cp, readdir, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { CONTENT_PREFIX, EVENT_PREFIX } from '../../../src/log/rows.js';
import { HASH_BYTES } from '../../../src/model/digest.js';
import type { BenchContext, Benchmark, Measured } from '../benchmark.js';
import { BATCH_EVENTS, smallEvents } from '../event-peers/small-events.js';
import { lifeLog } from '../inputs/life-log.js';
import { openRows, type RowDatabase } from '../inputs/written-rows.js';
import { TARGETS } from '../targets.js';

const EVENTS = 100_000;
/** Batches of small events. */
const SMALL_BATCHES = 1_000;
/** Bytes before the record in an event row: leaf hash and leaf prefix. */
const BEFORE_RECORD_BYTES = HASH_BYTES + 1;

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
    const closed = await bytesOfFiles(copy);
    const database = await openRows(copy);
    const kept = await bytesKept(database);
    await compact(database);
    await database.close();
    const settled = await bytesOfFiles(copy);
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

/** Names that move, a hundred at once: as small as events get. */
async function smallEventLines({ directory, scale, say }: BenchContext): Promise<Measured[]> {
  const batches = Math.max(1, SMALL_BATCHES * scale);
  say(`moves ${batches * BATCH_EVENTS} names`);
  await smallEvents(directory, batches);
  const log = join(directory, 'model', 'log');
  const closed = await bytesOfFiles(log);
  const database = await openRows(log);
  await compact(database);
  await database.close();
  const line = (name: string, bytes: number): Measured => ({
    name,
    unit: 'bytes/event',
    ours: [bytes / (batches * BATCH_EVENTS)],
    target: TARGETS.diskOfSmallEvents,
  });
  return [
    line('disk of small events, settled', await bytesOfFiles(log)),
    line('disk of small events, as left by close', closed),
  ];
}

/** Sums the bytes of all records and content. */
async function bytesKept(database: RowDatabase): Promise<number> {
  let bytes = 0;
  for await (const [key, value] of database.iterator()) {
    if (key[0] === EVENT_PREFIX) bytes += value.length - BEFORE_RECORD_BYTES;
    if (key[0] === CONTENT_PREFIX) bytes += value.length;
  }
  return bytes;
}

/** Compacts all rows into one level. */
async function compact(database: RowDatabase & { compactRange?(start: Uint8Array, end: Uint8Array): Promise<void> }) {
  await database.compactRange?.(new Uint8Array(), Uint8Array.of(0xff));
}

async function bytesOfFiles(directory: string): Promise<number> {
  const sizes = (await readdir(directory)).map(async (name) => (await stat(join(directory, name))).size);
  return (await Promise.all(sizes)).reduce((sum, size) => sum + size, 0);
}
