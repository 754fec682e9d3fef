import { Readable } from 'node:stream';
import test from 'ava';
import fc from 'fast-check';
import type { ImageId } from '../../src/model/digest.js';
import type { EventStore } from '../../src/store/event-store.js';
import type { LoadResult } from '../../src/store/store.js';
import { buildImage, type BuiltImage, dockerEntries } from '../archive/built-archives.js';
import { storeError } from '../support/store-error.js';
import { buildTar } from '../support/build-tar.js';
import { descendsFrom } from '../../src/store/commands/metadata.js';
import { temporaryStore } from './temporary-store.js';

const IMAGES = 5;

/** Images without a history: each is a valid parent of each. */
async function plainImages(): Promise<BuiltImage[]> {
  const labels = Array.from({ length: IMAGES }, (_, at) => ({ config: { Labels: { at: String(at) } } }));
  return Promise.all(labels.map((more) => buildImage([], more)));
}

/** Loads an archive of the images at the keys of `parents`, each with the parent at its value. */
async function loadWithParents(
  store: EventStore,
  images: readonly BuiltImage[],
  parents: readonly (readonly [number, number])[],
): Promise<LoadResult> {
  const arriving = parents.map(([at]) => images[at] as BuiltImage);
  const changes = parents.map(([at, parent]) => ({ RepoTags: [`built:${at}`], Parent: images[parent]?.id }));
  return store.load(Readable.from([await buildTar(dockerEntries(arriving, changes))]));
}

/** How many images stand above each, or Infinity where the parents run in a circle. */
function depths(store: EventStore): number[] {
  return [...store.map().keys()].map((id) => {
    let depth = 0;
    for (let at = store.get(id).parent; at !== ''; at = store.get(at as ImageId).parent) {
      if (++depth > IMAGES) return Number.POSITIVE_INFINITY;
    }
    return depth;
  });
}

test('a parent that descends from the image through another load is dropped and reported', async (t) => {
  const images = await plainImages();
  const [p, q, x] = images.map(({ id }) => id as ImageId) as [ImageId, ImageId, ImageId];
  const store = await temporaryStore(t);
  await loadWithParents(store, images, [[1, 1]]);
  await loadWithParents(store, images, [[0, 1]]);
  const { notices } = await loadWithParents(store, images, [
    [1, 2],
    [2, 0],
  ]);
  t.deepEqual([store.getParent(p), store.getParent(q)], [q, x]);
  t.is(store.get(x).parent, '');
  t.deepEqual(notices, [`the parent ${p} of ${x} was not kept: it descends from the image`]);
});

test('no image becomes its own ancestor, for any parents that a series of archives claims', async (t) => {
  const images = await plainImages();
  const edge = fc.tuple(fc.nat(IMAGES - 1), fc.nat(IMAGES - 1));
  const archive = fc.uniqueArray(edge, { minLength: 1, maxLength: IMAGES, selector: ([at]) => at });
  await fc.assert(
    fc.asyncProperty(fc.array(archive, { minLength: 1, maxLength: 4 }), async (archives) => {
      const store = await temporaryStore(t);
      for (const parents of archives) await loadWithParents(store, images, parents);
      t.true(depths(store).every((depth) => depth < IMAGES));
      await store.close();
    }),
    { numRuns: 40 },
  );
});

test('a walk over parents that run in a circle ends with an error', (t) => {
  const [a, b, c] = ['aa', 'bb', 'cc'].map((byte) => `sha256:${byte.repeat(32)}` as ImageId) as [
    ImageId,
    ImageId,
    ImageId,
  ];
  const parents = new Map([
    [a, b],
    [b, a],
  ]);
  storeError(t, 'INTERNAL', () => descendsFrom(a, c, (id) => parents.get(id)));
  t.true(descendsFrom(a, b, (id) => parents.get(id)));
});
