import { Readable } from 'node:stream';
import test from 'ava';
import type { ChainId, ImageId } from '../../src/model/digest.js';
import { type DecisionState, unchanged } from '../../src/store/commands/decision.js';
import { HeldLayers, type HoldingAnswer } from '../../src/store/layers/layer-store.js';
import type { Layer, LayerMetadata } from '../../src/store/store.js';
import { buildImage, type BuiltImage, digest, dockerEntries } from '../archive/built-archives.js';
import { CountingLayers } from '../support/counting-layers.js';
import { buildTar } from '../support/build-tar.js';
import { temporaryStore } from './temporary-store.js';

const images = ['aa', 'bb', 'cc'].map((byte) => ({
  id: `sha256:${byte.repeat(32)}` as ImageId,
  chainId: `sha256:${byte.repeat(32)}` as ChainId,
}));
const chains = images.map(({ chainId }) => chainId);
const empty = { image: () => undefined } as unknown as DecisionState;

/** Submits to a store without images, and fails when all holds are there. */
async function failing(error: Error, answer: HoldingAnswer<unknown>): Promise<HoldingAnswer<unknown>> {
  if ('result' in answer) throw error;
  return answer;
}

/** A layer store that does not take the first of its layers back. */
class RefusingLayers extends CountingLayers {
  override release(layer: Layer): LayerMetadata[] {
    if (layer.chainId === chains[0]) throw new Error('the layer store takes nothing back');
    return super.release(layer);
  }
}

test('a command that failed gives every hold back, and its error is told though one is not taken', async (t) => {
  const layers = new RefusingLayers(chains);
  const held = new HeldLayers(layers);
  const error = new Error('the command failed');
  const submit = held.around(
    images,
    () => false,
    (holding) => failing(error, holding(() => unchanged(undefined))(empty).result),
  );
  t.is(await t.throwsAsync(submit), error);
  t.deepEqual([...layers.counts.values()], [1, 0, 0]);
});

test('a command with an unknown outcome leaves the holds with those images that are there', async (t) => {
  const layers = new CountingLayers(chains);
  const held = new HeldLayers(layers);
  const [survivor] = images.map(({ id }) => id);
  const submit = held.around(
    images,
    (id) => id === survivor,
    (holding) => failing(new Error('unknown'), holding(() => unchanged(undefined))(empty).result),
  );
  await t.throwsAsync(submit, { message: 'unknown' });
  t.deepEqual([...layers.counts.values()], [1, 0, 0]);
  t.is((await held.release(survivor as ImageId)).length, 1);
  t.deepEqual([...layers.counts.values()], [0, 0, 0]);
});

/** A layer store that does something when a hold on a chain is asked for. */
class WatchedLayers extends CountingLayers {
  onGet: (chainId: ChainId) => void = () => undefined;

  override get(chainId: ChainId): Layer {
    this.onGet(chainId);
    return super.get(chainId);
  }
}

const chainOf = ({ layers }: BuiltImage): ChainId => digest(layers[0] ?? '') as ChainId;

test('an image that is deleted while a load takes its holds is created again with one', async (t) => {
  const [there, added] = [await buildImage(['there']), await buildImage(['added'])];
  const layers = new WatchedLayers([chainOf(there), chainOf(added)]);
  const store = await temporaryStore(t, { layers });
  const load = async (built: readonly BuiltImage[]) =>
    store.load(Readable.from([await buildTar(dockerEntries(built))]));
  await load([there]);
  let deleting: Promise<unknown> | undefined;
  layers.onGet = (chainId) => {
    if (chainId === chainOf(added)) deleting ??= store.delete(there.id as ImageId);
  };
  await load([there, added]);
  t.is(((await deleting) as LayerMetadata[]).length, 1);
  t.is(store.len(), 2);
  t.deepEqual([...layers.counts.values()], [1, 1]);
  await store.delete(there.id as ImageId);
  t.deepEqual([...layers.counts.values()], [0, 1]);
});
