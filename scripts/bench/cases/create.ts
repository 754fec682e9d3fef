import { join } from 'node:path';
import { newFSStoreBackend, newImageStore, openStore, type Store } from '../../../src/index.js';
import type { BenchContext, Benchmark, Measured } from '../benchmark.js';
import { allLayers } from '../inputs/all-layers.js';
import { imageConfig } from '../inputs/image-configs.js';
import {
  joinRows,
  openRows,
  putArrays,
  putChained,
  type Row,
  type RowDatabase,
  writtenRows,
} from '../inputs/written-rows.js';
import { interleave, secondsOf, totalRounds, twiceAsMany } from '../rounds.js';
import { TARGETS } from '../targets.js';

const PER_ROUND = 384;
const AT_ONCE = 64;

/**
 * `create` one by one and 64 at once. `level` gets all bytes a real store wrote for the same
 * creates: for one create as one synced put, for 64 as one synced batch of the very rows, in both
 * forms of its documentation: an array of operations, and chained (as the store does). The
 * filesystem backend is the same image store over Docker's layout.
 */
export const createBenchmark: Benchmark = {
  name: 'create',
  about:
    'creates, one after another and 64 at once, against the same bytes put into level, and files as Docker keeps them',
  async run(context) {
    const { directory, scale } = context;
    const rounds = twiceAsMany(context.rounds);
    const perRound = Math.max(1, Math.floor((PER_ROUND * scale) / AT_ONCE)) * AT_ONCE;
    const configs = Array.from({ length: totalRounds(rounds) * perRound }, (_, index) => imageConfig(index));
    context.say(`creates ${configs.length} images twice, for the bytes that are written`);
    const single = (await rowsOf(configs, 1, context)).map(joinRows);
    const group = await rowsOf(configs, AT_ONCE, context);
    const openPeer = (name: string): Promise<RowDatabase> => openRows(join(directory, name));
    // One store or database per side, so that each carries only its own history.
    const stores = [await openOurs(directory, 'single'), await openOurs(directory, 'group')] as const;
    const [puts, arrays, chained] = [await openPeer('puts'), await openPeer('arrays'), await openPeer('chained')];
    const files = await openFiles(directory);
    const batchesOf = (round: number) => partOf(group, round, perRound / AT_ONCE);
    const rate = async (work: () => Promise<void>): Promise<number> => perRound / (await secondsOf(work));
    const partOf = <Item>(items: readonly Item[], round: number, per = perRound): readonly Item[] =>
      items.slice(round * per, (round + 1) * per);
    const rates = await interleave(rounds, {
      puts: (round) => rate(() => putOneByOne(puts, partOf(single, round))),
      single: (round) => rate(() => createOneByOne(stores[0], partOf(configs, round))),
      files: (round) => rate(() => createOneByOne(files, partOf(configs, round))),
      arrays: (round) => rate(() => putArrays(arrays, batchesOf(round))),
      chained: (round) => rate(() => putChained(chained, batchesOf(round))),
      group: (round) => rate(() => createTogether(stores[1], partOf(configs, round))),
    });
    for (const closed of [...stores, puts, arrays, chained]) await closed.close();
    return linesOf(rates);
  },
};

function linesOf(
  rates: Readonly<Record<'puts' | 'single' | 'files' | 'arrays' | 'chained' | 'group', readonly number[]>>,
): Measured[] {
  const line = { unit: 'creates/s' };
  const alone = { ...line, name: 'create, one after another', ours: rates.single };
  const together = { ...line, name: 'create, 64 at once', ours: rates.group };
  return [
    {
      ...alone,
      peer: {
        name: 'level, synced puts',
        values: rates.puts,
        settings: 'all bytes that we write for one create (event, content, index, tree) as one put with sync: true',
      },
      target: TARGETS.createToLevel,
    },
    {
      ...alone,
      peer: {
        name: 'files as Docker',
        values: rates.files,
        settings:
          'our image store over newFSStoreBackend: one file each, fsync of the file, rename, fsync of its directory',
      },
      target: TARGETS.createToFiles,
    },
    {
      ...together,
      peer: { name: 'one after another', values: rates.single },
      target: TARGETS.createTogether,
    },
    {
      ...together,
      peer: {
        name: 'level, batches of 64',
        values: rates.arrays,
        settings:
          'the very rows that we write for 64 creates (event, content, index, tree) as one array of operations with sync: true: one of the two forms its documentation shows',
      },
      target: TARGETS.createTogetherToLevel,
    },
    {
      ...together,
      peer: {
        name: 'level, chained batches of 64',
        values: rates.chained,
        settings:
          'the same rows as one chained batch with sync: true, the other form, which can be faster, as we hand them over: the cost of no work at all',
      },
      beside: TARGETS.createTogetherToLevel,
    },
  ];
}

/** Resolves with the rows a store writes for `configs`, `atOnce` at a time. */
async function rowsOf(configs: readonly Uint8Array[], atOnce: number, { directory }: BenchContext): Promise<Row[][]> {
  const model = `model-${atOnce}`;
  const store = await openOurs(directory, model);
  await createTogether(store, configs, atOnce);
  await store.close();
  const rows = await writtenRows(join(directory, model), atOnce);
  if (rows.length === configs.length / atOnce) return rows;
  throw new RangeError(`expected ${configs.length / atOnce} batches in the log, found ${rows.length}`);
}

function openOurs(directory: string, name: string): Promise<Store & { close(): Promise<void> }> {
  return openStore(join(directory, name), { layers: 'none', actor: 'bench' });
}

async function openFiles(directory: string): Promise<Store> {
  return newImageStore(await newFSStoreBackend(join(directory, 'files')), allLayers, { os: 'any' });
}

async function createOneByOne(store: Store, configs: readonly Uint8Array[]): Promise<void> {
  for (const config of configs) await store.create(config);
}

async function createTogether(store: Store, configs: readonly Uint8Array[], atOnce = AT_ONCE): Promise<void> {
  for (let at = 0; at < configs.length; at += atOnce) {
    await Promise.all(configs.slice(at, at + atOnce).map((config) => store.create(config)));
  }
}

async function putOneByOne(database: RowDatabase, rows: readonly Row[]): Promise<void> {
  for (const { key, value } of rows) await database.put(key, value, { sync: true });
}
