import { join } from 'node:path';
import { newFSStoreBackend, newImageStore, openStore, type Store } from '../../../src/index.js';
import type { BenchContext, Benchmark, Measured } from '../benchmark.js';
import { DOCKER_SETTINGS, OUR_FILES_SETTINGS } from '../file-peers/settings.js';
import { DockerImages } from '../file-peers/docker-images.js';
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
import { type Figure, interleave, rateOf, timeOf, totalRounds, twiceAsMany } from '../rounds.js';
import { TARGETS } from '../targets.js';

const PER_ROUND = 384;
const AT_ONCE = 64;

/**
 * `create` one by one and 64 at once. `level` gets all bytes a real store wrote for the same
 * creates: for one create as one synced put, for 64 as one synced batch of the very rows, in both
 * forms of its documentation: an array of operations, and chained (as the store does). Docker's
 * calls come one after another however many wait: its store has a mutex.
 */
export const createBenchmark: Benchmark = {
  name: 'create',
  about: "creates, one after another and 64 at once, against the same bytes put into level, and Docker's calls",
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
    const docker = new DockerImages(join(directory, 'docker'));
    const files = await openFiles(directory);
    const batchesOf = (round: number) => partOf(group, round, perRound / AT_ONCE);
    const rate = async (work: () => unknown): Promise<Figure> => rateOf(perRound, await timeOf(work));
    const partOf = <Item>(items: readonly Item[], round: number, per = perRound): readonly Item[] =>
      items.slice(round * per, (round + 1) * per);
    const rates = await interleave(rounds, {
      puts: (round) => rate(() => putOneByOne(puts, partOf(single, round))),
      single: (round) => rate(() => createOneByOne(stores[0], partOf(configs, round))),
      docker: (round) => rate(() => partOf(configs, round).map((config) => docker.create(config))),
      files: (round) => rate(() => createOneByOne(files, partOf(configs, round))),
      arrays: (round) => rate(() => putArrays(arrays, batchesOf(round))),
      chained: (round) => rate(() => putChained(chained, batchesOf(round))),
      group: (round) => rate(() => createTogether(stores[1], partOf(configs, round))),
    });
    for (const closed of [...stores, puts, arrays, chained]) await closed.close();
    return linesOf(rates);
  },
};

type Sides = 'puts' | 'single' | 'docker' | 'files' | 'arrays' | 'chained' | 'group';

function linesOf(rates: Readonly<Record<Sides, readonly Figure[]>>): Measured[] {
  const line = { unit: 'creates/s' };
  const alone = { ...line, name: 'create, one after another', ours: rates.single };
  const together = { ...line, name: 'create, 64 at once', ours: rates.group };
  const docker = { name: "Docker's calls", values: rates.docker, settings: DOCKER_SETTINGS };
  const puts =
    'all bytes that we write for one create (event, content, index, tree) as one put with sync: true: the cost of no work';
  const arrays = 'the very rows that we write for 64 creates as one array of operations with sync: true';
  const chained = 'the same rows as one chained batch with sync: true, which can be faster, as we hand them over';
  return [
    { ...alone, peer: docker, target: TARGETS.createToDocker },
    { ...alone, peer: { name: 'newFSStoreBackend', values: rates.files, settings: OUR_FILES_SETTINGS } },
    {
      ...alone,
      peer: { name: 'level, synced puts', values: rates.puts, settings: puts },
      target: TARGETS.createToLevel,
    },
    { ...together, peer: docker, target: TARGETS.createTogetherToDocker },
    {
      ...together,
      peer: { name: 'level, chained batches of 64', values: rates.chained, settings: chained },
      target: TARGETS.createTogetherToLevel,
    },
    {
      ...together,
      peer: { name: 'level, batches of 64', values: rates.arrays, settings: arrays },
      beside: TARGETS.createTogetherToLevel,
    },
    { ...together, peer: { name: 'one after another', values: rates.single } },
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
