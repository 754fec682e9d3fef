import { newFSStoreBackend, newImageStore, openStore } from '../../../src/index.js';
import { MAX_KEPT_CONFIG_BYTES } from '../../../src/limits.js';
import type { ImageId } from '../../../src/model/digest.js';
import type { Store } from '../../../src/store/store.js';
import type { Benchmark, Measured, Peer } from '../benchmark.js';
import { DockerImages } from '../file-peers/docker-images.js';
import { DOCKER_SETTINGS, OUR_FILES_SETTINGS } from '../file-peers/settings.js';
import { formatSize } from '../format-number.js';
import { allLayers } from '../inputs/all-layers.js';
import { imageConfig } from '../inputs/image-configs.js';
import { populate } from '../inputs/populations.js';
import { shuffled } from '../inputs/shuffled.js';
import { type Figure, interleave, rateOf, type Rounds, type Timed, timeOf, totalRounds } from '../rounds.js';
import { TARGETS } from '../targets.js';

const IMAGES = 100_000;
/** Images per round. */
const GETS = 4_000;
/** A working set within a round, and how often it is requested again. */
const WARM_GETS = 1_000;
const REPEATS = 40;
/** A working set larger than the config cache of a store, and how often it is cycled. */
const MANY = 10_000;
const MANY_REPEATS = 2;

const SETTINGS = `${DOCKER_SETTINGS}; it keeps no config, ours 8 MiB of those asked for lately, decoded: that is warm`;

/** Looks at images of a store by id. */
interface Looks {
  /** Gets the image, without a field of its config. */
  readonly alone: (id: ImageId) => unknown;
  /** Gets the image and reads a field of its config. */
  readonly field: (id: ImageId) => unknown;
}

const storeLooks = (store: Store): Looks => ({
  alone: (id) => store.get(id).id(),
  field: (id) => store.get(id).architecture,
});
const dockerLooks = (images: DockerImages): Looks => ({
  alone: (id) => images.get(id).id,
  field: (id) => images.get(id).config().architecture,
});

/**
 * Images by id, against Docker's calls and our own backend for the same files. All decode lazily.
 * Cold: not requested since the open. Warm: a working set that fits our cache of decoded configs;
 * the peers have no cache. The last: a set larger than that cache.
 */
export const getBenchmark: Benchmark = {
  name: 'get',
  about: 'get of an image, the first time and again, against reading and checking a file as Docker does',
  async run({ directory, scale, rounds, say, leaveOut }) {
    const count = IMAGES * scale;
    say(`writes ${count} images twice`);
    const { ids, ...paths } = await populate(directory, count);
    say('opens them');
    const files = await newImageStore(await newFSStoreBackend(paths.peer), allLayers, { os: 'linux' });
    await using ours = await openStore(paths.store, { layers: 'none' });
    const sides = {
      ours: storeLooks(ours),
      docker: dockerLooks(new DockerImages(paths.peer)),
      files: storeLooks(files),
    };
    const asked = shuffled(ids);
    const lines = await compareGets(sides, asked, rounds);
    const many = asked.slice(0, MANY);
    if (many.length * imageConfig(0).length > MAX_KEPT_CONFIG_BYTES)
      return [...lines, await cycleMany(sides, many, rounds)];
    leaveOut('get, again, many in turn', 'at this size all of them fit into what a store keeps');
    return lines;
  },
};

type Sides = Readonly<Record<'ours' | 'docker' | 'files', Looks>>;

/** Each id is requested cold only once, so no side can have it cached. */
async function compareGets(sides: Sides, ids: readonly ImageId[], rounds: Rounds): Promise<Measured[]> {
  // The first parts warm up the code.
  const size = Math.min(GETS, Math.floor(ids.length / (2 * totalRounds(rounds) + 1)));
  const part = (number: number): readonly ImageId[] => ids.slice(number * size, (number + 1) * size);
  for (const { alone, field } of Object.values(sides)) for (const look of [alone, field]) await getAll(part(0), look);
  const alone = await inTurn(sides, rounds, (looks, round) => getAll(part(2 * round + 1), looks.alone));
  const field = await inTurn(sides, rounds, (looks, round) => getAll(part(2 * round + 2), looks.field));
  // After the cold ones: any images will do.
  const warm = await inTurn(sides, rounds, (looks, round) => getWarm(part(round), looks));
  const line = { unit: 'images/s' };
  const files = (values: readonly Figure[]): Peer => ({
    name: 'newFSStoreBackend',
    values,
    settings: OUR_FILES_SETTINGS,
  });
  const cold = { ...line, name: 'get, cold', ours: alone.ours };
  const read = { ...line, name: 'get, cold, and a field of it read', ours: field.ours };
  const warmed = { ...line, name: 'get, warm, and a field of it read', ours: warm.ours };
  return [
    { ...cold, peer: docker(alone.docker), target: TARGETS.getCold },
    { ...cold, peer: files(alone.files), beside: TARGETS.getCold },
    { ...read, peer: docker(field.docker) },
    { ...read, peer: files(field.files) },
    { ...warmed, peer: docker(warm.docker), target: TARGETS.getWarm },
  ];
}

/** Cycles through all ids, so a cache smaller than the set never hits. */
async function cycleMany(sides: Sides, ids: readonly ImageId[], rounds: Rounds): Promise<Measured> {
  const all = Array.from({ length: MANY_REPEATS }, () => ids).flat();
  const rates = await inTurn(sides, rounds, ({ field }) => getAll(all, field));
  const name = `get, again, ${formatSize(ids.length)} in turn`;
  return { name, unit: 'images/s', ours: rates.ours, peer: docker(rates.docker) };
}

function docker(values: readonly Figure[]): Peer {
  return { name: "Docker's calls", values, settings: SETTINGS };
}

function inTurn(sides: Sides, rounds: Rounds, work: (looks: Looks, round: number) => Promise<Figure>) {
  return interleave(rounds, {
    ours: (round) => work(sides.ours, round),
    docker: (round) => work(sides.docker, round),
    files: (round) => work(sides.files, round),
  });
}

/** Requests and decodes them once first, since others may have evicted them. */
async function getWarm(ids: readonly ImageId[], { field }: Looks): Promise<Timed> {
  const some = ids.slice(0, WARM_GETS);
  await getAll(some, field);
  return getAll(Array.from({ length: REPEATS }, () => some).flat(), field);
}

/** Returns the rate of looking at all of `ids` in turn. */
async function getAll(ids: readonly ImageId[], look: (id: ImageId) => unknown): Promise<Timed> {
  const seconds = await timeOf(() => {
    for (const id of ids) look(id);
  });
  return rateOf(ids.length, seconds);
}
