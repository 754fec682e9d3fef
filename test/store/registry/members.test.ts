import test from 'ava';
import { type Digest, digestOf } from '../../../src/model/digest.js';
import { imageNamed, indexOf, push, type PushableImage } from '../../support/pushed-images.js';
import { eventsOf } from '../../support/test-store.js';
import { reopened, temporaryStore } from '../temporary-store.js';

const APP = 'docker.io/shop/app';
const OTHER = 'docker.io/shop/other';

const layerOf = ({ blobs }: PushableImage): Digest => digestOf(blobs[1] as Uint8Array);

test('an index leads to nothing that another repository got later', async (t) => {
  let store = await temporaryStore(t);
  const secret = await imageNamed('secret');
  const index = indexOf([secret]);
  await push(store, APP, index, { tags: ['1'] });
  t.is(store.registry.manifest(APP, secret.digest), undefined);
  await push(store, OTHER, secret);
  for (const _ of ['before', 'after']) {
    t.is(store.registry.manifest(APP, secret.digest), undefined);
    t.is(store.registry.blob(APP, layerOf(secret)), undefined);
    t.truthy(store.registry.manifest(OTHER, secret.digest));
    store = await reopened(t, store);
  }
  const past = await store.registry.at(store.log.head.seq);
  t.is(past.manifest(APP, secret.digest), undefined);
  await push(store, APP, secret);
  t.truthy(store.registry.manifest(APP, secret.digest));
  t.truthy(store.registry.blob(APP, layerOf(secret)));
});

test('an index that is pushed while another repository gets what it names does not lead there', async (t) => {
  const store = await temporaryStore(t);
  for (let round = 0; round < 8; round += 1) {
    const secret = await imageNamed(`secret ${round}`);
    const indexes = Array.from({ length: 4 }, (_, at) => indexOf(Array(at + 1).fill(secret)));
    await Promise.allSettled([
      ...indexes.slice(0, 2).map((index) => push(store, APP, index)),
      push(store, OTHER, secret),
      ...indexes.slice(2).map((index) => push(store, APP, index)),
    ]);
    t.is(store.registry.manifest(APP, secret.digest), undefined);
    t.truthy(store.registry.manifest(OTHER, secret.digest));
  }
});

test('members that follow each change are those of a store that is opened again', async (t) => {
  let store = await temporaryStore(t);
  const [a, b, c] = [await imageNamed('a'), await imageNamed('b'), await imageNamed('c')];
  const [inner, wide] = [indexOf([a, b]), indexOf([b, b, c])];
  const outer = indexOf([inner]);
  const all = [a, b, c, inner, wide, outer];
  const steps: (() => Promise<unknown>)[] = [
    () => push(store, APP, outer, { tags: ['late'] }),
    () => push(store, APP, a, { tags: ['1', 'latest'] }),
    () => push(store, APP, b, { tags: ['latest'] }),
    () => push(store, APP, inner, { tags: ['inner'] }),
    () => push(store, APP, outer, { tags: ['outer'] }),
    () => push(store, APP, c, { tags: ['c'] }),
    () => push(store, APP, wide, { tags: ['outer', 'latest'] }),
    () => store.tag({ source: 'shop/app:inner', target: 'shop/app:second' }),
    () => store.registry.remove(APP, 'late'),
    () => store.registry.remove(APP, outer.digest),
    () => store.registry.remove(APP, inner.digest),
    () => store.registry.remove(APP, a.digest),
    () => store.registry.remove(APP, wide.digest),
    () => store.registry.remove(APP, b.digest),
    () => store.registry.remove(APP, c.digest),
  ];
  const has = (): unknown => [
    all.map(({ digest }) => store.registry.manifest(APP, digest)?.descriptor),
    [a, b, c].map((image) => store.registry.blob(APP, layerOf(image))?.size),
    store.registry.tags(APP),
  ];
  for (const step of steps) {
    await step();
    const followed = has();
    store = await reopened(t, store);
    t.deepEqual(followed, has());
    // So that the next change is followed.
    has();
  }
  t.is(store.registry.tags(APP), undefined);
  t.true((await eventsOf(store)).length > steps.length);
});
