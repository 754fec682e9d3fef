import { join } from 'node:path';
import { Level } from 'level';
import { openStore } from '../../../src/index.js';
import { parseEventRow } from '../../../src/log/event-row.js';
import { CONTENT_PREFIX, contentKey, EVENT_PREFIX, seqOfKey } from '../../../src/log/keys.js';
import { nodeSha256 } from '../../../src/store/files/node-hash.js';
import type { EventStore } from '../../../src/store/event-store.js';
import type { BenchContext, Benchmark, Measured } from '../benchmark.js';
import { imageConfig } from '../inputs/image-configs.js';
import { interleave, secondsOf } from '../rounds.js';

type Database = Level<Uint8Array, Uint8Array>;

/** What one create writes: the row of its event, and the row of its content. */
interface Row {
  readonly key: Uint8Array;
  readonly value: Uint8Array;
}
type Rows = readonly [event: Row, content: Row];

const ROUNDS = 16;
const PER_ROUND = 512;
const AT_ONCE = 64;

/**
 * `create` one after another and 64 at once, against `level` alone with the very rows that the store writes:
 * as one synced put for each create, and as synced batches of 64 creates.
 */
export const createBenchmark: Benchmark = {
  name: 'create',
  about: 'creates, one after another and 64 at once, against the same bytes put into level',
  async run(context) {
    const perRound = Math.max(AT_ONCE, Math.floor((PER_ROUND * context.scale) / AT_ONCE) * AT_ONCE);
    const configs = Array.from({ length: ROUNDS * perRound }, (_, index) => imageConfig(index));
    const rows = await rowsOf(configs, context);
    // One store and one database a side: what each has written before weighs on itself alone.
    const open = (name: string): Promise<EventStore> =>
      openStore(join(context.directory, name), { layers: 'none', actor: 'bench' });
    const [single, group] = [await open('single'), await open('group')];
    const [puts, batches] = [await openDatabase(context, 'puts'), await openDatabase(context, 'batches')];
    const partOf = <Item>(items: readonly Item[], round: number): Item[] =>
      items.slice(round * perRound, (round + 1) * perRound);
    const rates = await interleave(ROUNDS, {
      puts: async (round) => perRound / (await secondsOf(() => putOneByOne(puts, partOf(rows, round).map(joined)))),
      single: async (round) => perRound / (await secondsOf(() => createOneByOne(single, partOf(configs, round)))),
      batches: async (round) => perRound / (await secondsOf(() => putInBatches(batches, partOf(rows, round)))),
      group: async (round) => perRound / (await secondsOf(() => createTogether(group, partOf(configs, round)))),
    });
    await Promise.all([single.close(), group.close(), puts.close(), batches.close()]);
    return linesOf(rates);
  },
};

function linesOf(rates: Readonly<Record<'puts' | 'single' | 'batches' | 'group', readonly number[]>>): Measured[] {
  const unit = 'creates/s';
  const target = (value: number) => ({ of: 'ratio', bound: 'at least', value }) as const;
  return [
    {
      name: 'create, one after another',
      unit,
      ours: rates.single,
      peer: { name: 'level, synced puts', values: rates.puts },
      target: target(0.8),
    },
    {
      name: 'create, 64 at once',
      unit,
      ours: rates.group,
      peer: { name: 'one after another', values: rates.single },
      target: target(5),
    },
    {
      name: 'create, 64 at once',
      unit,
      ours: rates.group,
      peer: { name: 'level, batches of 64', values: rates.batches },
      target: target(0.5),
    },
  ];
}

async function createOneByOne(store: EventStore, configs: readonly Uint8Array[]): Promise<void> {
  for (const config of configs) await store.create(config);
}

async function createTogether(store: EventStore, configs: readonly Uint8Array[]): Promise<void> {
  for (let at = 0; at < configs.length; at += AT_ONCE) {
    await Promise.all(configs.slice(at, at + AT_ONCE).map((config) => store.create(config)));
  }
}

async function putOneByOne(database: Database, rows: readonly Row[]): Promise<void> {
  for (const { key, value } of rows) await database.put(key, value, { sync: true });
}

async function putInBatches(database: Database, rows: readonly Rows[]): Promise<void> {
  for (let at = 0; at < rows.length; at += AT_ONCE) {
    const puts = rows
      .slice(at, at + AT_ONCE)
      .flat()
      .map((row) => ({ type: 'put' as const, ...row }));
    await database.batch(puts, { sync: true });
  }
}

/** Returns both rows of a create as one row of as many bytes. */
function joined([event, content]: Rows): Row {
  const value = new Uint8Array(event.value.length + content.key.length + content.value.length);
  value.set(event.value);
  value.set(content.key, event.value.length);
  value.set(content.value, event.value.length + content.key.length);
  return { key: event.key, value };
}

/** Returns the rows that a store writes for `configs`: read from the database of one that did. */
async function rowsOf(configs: readonly Uint8Array[], context: BenchContext): Promise<Rows[]> {
  const directory = join(context.directory, 'model');
  const store = await openStore(directory, { layers: 'none', actor: 'bench' });
  await Promise.all(configs.map((config) => store.create(config)));
  await store.close();
  const database = await openDatabase(context, join('model', 'log'));
  const contents = new Map<string, Row>();
  const rows: Rows[] = [];
  // Content stands before events in the order of keys.
  for await (const [key, value] of database.iterator()) {
    if (key[0] === CONTENT_PREFIX) contents.set(Buffer.from(key).toString('hex'), { key, value });
    if (key[0] !== EVENT_PREFIX) continue;
    const event = parseEventRow(value, seqOfKey(key), nodeSha256);
    if (event.type !== 'ImageCreated') continue;
    const content = contents.get(Buffer.from(contentKey(event.image)).toString('hex'));
    if (content !== undefined) rows.push([{ key, value }, content]);
  }
  await database.close();
  if (rows.length !== configs.length)
    throw new RangeError(`expected ${configs.length} creates in the log, found ${rows.length}`);
  return rows;
}

async function openDatabase({ directory }: BenchContext, name: string): Promise<Database> {
  const database: Database = new Level(join(directory, name), { keyEncoding: 'view', valueEncoding: 'view' });
  await database.open();
  return database;
}
