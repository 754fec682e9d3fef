import { openStore } from '../../../../src/store/open/open-store.js';
import type { ImageId } from '../../../../src/model/digest.js';
import type { WriteOptions } from '../../../../src/store/store.js';
import { imageConfig } from '../../../support/image-configs.js';
import { bytesOf } from '../../../support/text-bytes.js';
import { buildTar, inChunks } from '../../../support/build-tar.js';
import { tellParent } from '../../child.js';
import { numberedArchive } from '../numbered-archive.js';
import { CONSUMER } from '../check-store.js';
import { Journal } from '../journal.js';
import { SeededRandom } from '../seeded-random.js';

/*
 * Writes at full speed, in as many lanes as it is given, each of which makes one request after another: creates, parents, tags,
 * metadata, loads, layers, snapshots, deletes; and a consumer handles the events. Until it is killed.
 */

const ARCHIVES = 6;
const LAYER_BYTES = 20_000;
const [directory, journalPath, round, lanes, seed] = process.argv.slice(2) as [string, string, string, string, string];

const journal = new Journal(journalPath);
const store = await openStore(directory, { actor: 'writer', snapshotEvery: 200, onNotice: () => undefined });
journal.watch(store);

/** Images that a lane made and that are there, and that it deleted. */
interface Lane {
  readonly own: ImageId[];
  readonly gone: ImageId[];
}

type Deed = (options: WriteOptions, name: string, lane: Lane, random: SeededRandom) => Promise<unknown>;

const create: Deed = async (options, name, { own }) => void own.push(await store.create(imageConfig(name), options));

/** One of the lane's last images; one that is not there when it has none. */
function chosen(own: readonly ImageId[], random: SeededRandom): ImageId {
  const known = own.slice(-20);
  return known[random.below(known.length)] ?? (`sha256:${'0'.repeat(64)}` as ImageId);
}

const deeds: readonly (readonly [weight: number, deed: Deed])[] = [
  [10, create],
  [
    3,
    (options, _, { own }, random) =>
      store.tag({ source: chosen(own, random), target: `crash/app:${random.below(10)}` }, options),
  ],
  [1, (options, _, __, random) => store.untag(`crash/app:${random.below(10)}`, options)],
  [2, (options, name, { own }, random) => store.setMetadata(chosen(own, random), 'note', bytesOf(name), options)],
  [1, (options, _, { own }, random) => store.setBuiltLocally(chosen(own, random), options)],
  [2, (options, _, { own }, random) => store.setParent(chosen(own, random), chosen(own, random), options)],
  [3, deleteOne],
  [1, eraseOne],
  [2, loadOne],
  [1, registerOne],
];

async function deleteOne(options: WriteOptions, _: string, { own, gone }: Lane, random: SeededRandom): Promise<void> {
  const id = chosen(own, random);
  await store.delete(id, options);
  own.splice(own.indexOf(id), 1);
  gone.push(id);
}

async function eraseOne(options: WriteOptions, _: string, { gone }: Lane, random: SeededRandom): Promise<void> {
  await store.erase(chosen(gone, random), 'to be forgotten', options);
}

// The same few archives, so that loads and deletes meet over the same layers and blobs.
async function loadOne(options: WriteOptions, _: string, { own }: Lane, random: SeededRandom): Promise<void> {
  const { bytes } = await numberedArchive(random.below(ARCHIVES), LAYER_BYTES);
  const { images } = await store.load(inChunks(bytes), options);
  own.push(...images.map(({ id }) => id));
}

// Left without an image: the layer stays, as after a build that was killed.
async function registerOne(options: WriteOptions, _: string, __: Lane, random: SeededRandom): Promise<void> {
  const tar = await buildTar([{ name: 'file', body: `${random.below(50)}`.repeat(1_000) }]);
  await store.layers.register(inChunks(tar), undefined, options);
}

const drawn = deeds.flatMap(([weight, deed]) => Array.from({ length: weight }, () => deed));

async function writeInTurn(at: number): Promise<never> {
  const random = new SeededRandom(`${seed} ${at}`);
  const lane: Lane = { own: [], gone: [] };
  for (let number = 0; ; number++) {
    // At first the others would find nothing.
    const deed = number === 0 ? create : (drawn[random.below(drawn.length)] ?? create);
    const requestId = `${round}.${at}.${number}`;
    await journal.request(requestId, (options) => deed(options, requestId, lane, random));
    void tellParent('settled');
  }
}

async function consume(): Promise<void> {
  const consumer = store.consumer(CONSUMER);
  for await (const event of consumer) {
    await consumer.ack(event);
    journal.consumed(event.seq);
  }
}

await Promise.all([consume(), ...Array.from({ length: Number(lanes) }, (_, at) => writeInTurn(at))]);
