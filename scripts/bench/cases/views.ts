import { openStore } from '../../../src/index.js';
import type { ImageId } from '../../../src/model/digest.js';
import type { EventStore } from '../../../src/store/event-store.js';
import type { Benchmark, Measured } from '../benchmark.js';
import { measureInChild } from '../child-process.js';
import { DockerImages } from '../file-peers/docker-images.js';
import { formatSize } from '../format-number.js';
import { populate } from '../inputs/populations.js';
import { shuffled } from '../inputs/shuffled.js';
import { interleave, rateOf, type Rounds, type Timed, timeOf } from '../rounds.js';
import { TARGETS } from '../targets.js';

const IMAGES = 100_000;
/** Calls of `map` and `heads` per round: a single one is too short to time. */
const MAP_CALLS = 10;
const QUICK_CALLS = 200_000;
/** Digits of an id that people copy. */
const PREFIX_DIGITS = 12;

const HEAP_CHILD = new URL('../children/heap-of-open-store.js', import.meta.url);

/** Output of the child. */
interface HeapOfStore {
  readonly images: number;
  readonly heapBytes: number;
  readonly askedBytes: number;
}

/** Reading calls over many images, against Docker's calls. */
export const viewsBenchmark: Benchmark = {
  name: 'views',
  about: 'map, heads, search, children and heap of a store of many images',
  async run({ directory, scale, rounds, say }) {
    const count = IMAGES * scale;
    say(`writes ${count} images twice`);
    const { ids, ...paths } = await populate(directory, count);
    const heap = await heapPerImage(paths.store, rounds);
    say('opens them');
    const peer = new DockerImages(paths.peer);
    await using ours = await openStore(paths.store, { layers: 'none' });
    const order = shuffled(ids);
    return [...(await compareMaps(ours, peer, rounds)), ...(await rateQuickCalls(ours, order, rounds)), ...heap];
  },
};

async function compareMaps(ours: EventStore, peer: DockerImages, rounds: Rounds): Promise<Measured[]> {
  const rate = async (calls: number, call: () => unknown): Promise<Timed> =>
    rateOf(calls, await timeOf(() => repeat(calls, call)));
  const calls = await interleave(rounds, {
    map: () => rate(MAP_CALLS, () => ours.map()),
    heads: () => rate(MAP_CALLS, () => ours.heads()),
    // The peer's map reads every image, which takes seconds.
    peerMap: () => rate(1, () => peer.map()),
    peerHeads: () => rate(1, () => peer.heads()),
    walk: () => rate(1, () => [...ours.map().values()].length),
  });
  const unit = 'calls/s';
  const images = formatSize(ours.len());
  const settings = 'ours reads an image when it is asked for; as in Docker, theirs reads all, each config twice';
  const peerMap = { name: "Docker's calls", values: calls.peerMap, settings };
  const peerHeads = { name: "Docker's calls", values: calls.peerHeads, settings };
  return [
    { name: `map of ${images}`, unit, ours: calls.map, peer: peerMap, target: TARGETS.mapToDocker },
    { name: `heads of ${images}`, unit, ours: calls.heads, peer: peerHeads, target: TARGETS.headsToDocker },
    { name: `map of ${images}, every image read`, unit, ours: calls.walk, peer: peerMap },
  ];
}

async function rateQuickCalls(store: EventStore, ids: readonly ImageId[], rounds: Rounds): Promise<Measured[]> {
  const asked = Array.from({ length: QUICK_CALLS }, (_, index) => ids[index % ids.length] as ImageId);
  const prefixes = asked.map((id) => id.slice('sha256:'.length, 'sha256:'.length + PREFIX_DIGITS));
  const rates = await interleave(rounds, {
    search: async () => rateOf(QUICK_CALLS, await timeOf(() => prefixes.map((prefix) => store.search(prefix)))),
    children: async () => rateOf(QUICK_CALLS, await timeOf(() => asked.map((id) => store.children(id)))),
  });
  return [
    { name: 'search by prefix', unit: 'calls/s', ours: rates.search, target: TARGETS.search },
    { name: 'children', unit: 'calls/s', ours: rates.children, target: TARGETS.children },
  ];
}

/** Informational: the target is for 1,000,000 images, measured by growth. */
async function heapPerImage(directory: string, rounds: Rounds): Promise<Measured[]> {
  const { heap } = await interleave(rounds, { heap: () => measureInChild<HeapOfStore>(HEAP_CHILD, [directory]) });
  const line = { unit: 'bytes/image' };
  const images = formatSize(heap[0]?.images ?? 0);
  return [
    { ...line, name: `heap of an open store of ${images}`, ours: heap.map((each) => each.heapBytes / each.images) },
    { ...line, name: 'heap, every id asked for once', ours: heap.map((each) => each.askedBytes / each.images) },
  ];
}

function repeat(times: number, call: () => unknown): void {
  for (let time = 0; time < times; time++) call();
}
