import { newFSStoreBackend, newImageStore, openStore } from '../../../src/index.js';
import type { ImageId } from '../../../src/model/digest.js';
import type { Image } from '../../../src/model/image.js';
import type { Store } from '../../../src/store/store.js';
import type { Benchmark, Measured } from '../benchmark.js';
import { allLayers } from '../inputs/all-layers.js';
import { populate } from '../inputs/populations.js';
import { shuffled } from '../inputs/shuffled.js';
import { interleave, type Rounds, secondsOf, totalRounds } from '../rounds.js';
import { TARGETS } from '../targets.js';

const IMAGES = 100_000;
/** Images of a round. */
const GETS = 4_000;
/** Images of a round that are asked for again, and how often: some that a program works with. */
const WARM_GETS = 1_000;
const REPEATS = 40;

type Look = (image: Image) => unknown;

const nothing: Look = (image) => image.id();
const aField: Look = (image) => image.architecture;

/**
 * Images by id out of 100,000, against the store over Docker's layout, which reads the file, checks its digest and decodes it. Both
 * decode when a field is asked for, and both know the parent. Cold is an image that nobody asked for since the open; warm is one
 * that was asked for before.
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

/** Every id is asked for cold once only: neither side can have it from before. */
async function compareGets(ours: Store, peer: Store, ids: readonly ImageId[], rounds: Rounds): Promise<Measured[]> {
  // The first of the parts compile the code.
  const size = Math.min(GETS, Math.floor(ids.length / (2 * totalRounds(rounds) + 1)));
  const part = (number: number): readonly ImageId[] => ids.slice(number * size, (number + 1) * size);
  for (const store of [ours, peer]) for (const look of [nothing, aField]) await rateOf(store, part(0), look);
  const rates = await interleave(rounds, {
    alone: (round) => rateOf(ours, part(2 * round + 1), nothing),
    peerAlone: (round) => rateOf(peer, part(2 * round + 1), nothing),
    cold: (round) => rateOf(ours, part(2 * round + 2), aField),
    peer: (round) => rateOf(peer, part(2 * round + 2), aField),
    // Its part was asked for in a round before.
    warm: (round) => warmRateOf(ours, part(round)),
    peerWarm: (round) => warmRateOf(peer, part(round)),
  });
  const line = { unit: 'images/s' };
  const from = (values: readonly number[]) => ({ name: 'from files', values });
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
  ];
}

/** They are asked for once before, and decoded: what came meanwhile may have taken their place. */
async function warmRateOf(store: Store, ids: readonly ImageId[]): Promise<number> {
  const some = ids.slice(0, WARM_GETS);
  await rateOf(store, some, aField);
  return rateOf(store, Array.from({ length: REPEATS }, () => some).flat(), aField);
}

async function rateOf(store: Store, ids: readonly ImageId[], look: Look): Promise<number> {
  const seconds = await secondsOf(() => {
    for (const id of ids) look(store.get(id));
  });
  return ids.length / seconds;
}
