import { newFSStoreBackend, newImageStore, openStore } from '../../../src/index.js';
import { MAX_KEPT_CONFIG_BYTES } from '../../../src/limits.js';
import type { ImageId } from '../../../src/model/digest.js';
import type { Image } from '../../../src/model/image.js';
import type { Store } from '../../../src/store/store.js';
import type { Benchmark, Measured } from '../benchmark.js';
import { formatSize } from '../format-number.js';
import { allLayers } from '../inputs/all-layers.js';
import { imageConfig } from '../inputs/image-configs.js';
import { populate } from '../inputs/populations.js';
import { shuffled } from '../inputs/shuffled.js';
import { interleave, type Rounds, secondsOf, totalRounds } from '../rounds.js';
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

const SETTINGS =
  'it keeps no config; ours keeps 8 MiB of those that were asked for lately, decoded: that is what warm is about';

type Look = (image: Image) => unknown;

const nothing: Look = (image) => image.id();
const aField: Look = (image) => image.architecture;

/**
 * Images by id, against the store over Docker's layout, which reads the file, verifies its digest
 * and decodes it. Both decode lazily and know the parent. Cold: not requested since the open,
 * decoded on neither side. Warm: a working set that fits our cache of decoded configs; the peer has
 * no cache. The last: a set larger than that cache.
 */
export const getBenchmark: Benchmark = {
  name: 'get',
  about: 'get of an image, the first time and again, against reading, checking and decoding a file',
  async run({ directory, scale, rounds, say }) {
    const count = IMAGES * scale;
    say(`writes ${count} images twice`);
    const { ids, ...paths } = await populate(directory, count);
    say('opens them');
    const peer = await newImageStore(await newFSStoreBackend(paths.peer), allLayers, { os: 'linux' });
    await using ours = await openStore(paths.store, { layers: 'none' });
    return await compareGets(ours, peer, shuffled(ids), rounds);
  },
};

/** Each id is requested cold only once, so neither side can have it cached. */
async function compareGets(ours: Store, peer: Store, ids: readonly ImageId[], rounds: Rounds): Promise<Measured[]> {
  // The first parts warm up the code.
  const size = Math.min(GETS, Math.floor(ids.length / (2 * totalRounds(rounds) + 1)));
  const part = (number: number): readonly ImageId[] => ids.slice(number * size, (number + 1) * size);
  for (const store of [ours, peer]) for (const look of [nothing, aField]) await rateOf(store, part(0), look);
  const rates = await interleave(rounds, {
    alone: (round) => rateOf(ours, part(2 * round + 1), nothing),
    peerAlone: (round) => rateOf(peer, part(2 * round + 1), nothing),
    cold: (round) => rateOf(ours, part(2 * round + 2), aField),
    peer: (round) => rateOf(peer, part(2 * round + 2), aField),
    // Its part was requested earlier in the round.
    warm: (round) => warmRateOf(ours, part(round)),
    peerWarm: (round) => warmRateOf(peer, part(round)),
  });
  // After the cold ones: any images will do.
  const many = ids.slice(0, MANY);
  const again = await interleave(rounds, { ours: () => manyRateOf(ours, many), peer: () => manyRateOf(peer, many) });
  const line = { unit: 'images/s' };
  const from = (values: readonly number[]) => ({ name: 'from files', values, settings: SETTINGS });
  return [
    { ...line, name: 'get, cold', ours: rates.alone, peer: from(rates.peerAlone), target: TARGETS.getCold },
    { ...line, name: 'get, cold, and a field of it read', ours: rates.cold, peer: from(rates.peer) },
    {
      ...line,
      name: 'get, warm, and a field of it read',
      ours: rates.warm,
      peer: from(rates.peerWarm),
      target: TARGETS.getWarm,
    },
    { ...line, name: `get, again, ${formatSize(many.length)} in turn`, ours: again.ours, peer: from(again.peer) },
  ];
}

/** Requests and decodes them once first, since others may have evicted them. */
async function warmRateOf(store: Store, ids: readonly ImageId[]): Promise<number> {
  const some = ids.slice(0, WARM_GETS);
  await rateOf(store, some, aField);
  return rateOf(store, Array.from({ length: REPEATS }, () => some).flat(), aField);
}

/** Cycles through all ids, so a cache smaller than the set never hits. */
function manyRateOf(store: Store, ids: readonly ImageId[]): Promise<number> {
  if (ids.length * imageConfig(0).length <= MAX_KEPT_CONFIG_BYTES)
    throw new RangeError('the working set is not larger than what a store keeps');
  return rateOf(store, Array.from({ length: MANY_REPEATS }, () => ids).flat(), aField);
}

async function rateOf(store: Store, ids: readonly ImageId[], look: Look): Promise<number> {
  const seconds = await secondsOf(() => {
    for (const id of ids) look(store.get(id));
  });
  return ids.length / seconds;
}
