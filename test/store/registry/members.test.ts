import test from 'ava';
import { type Digest, digestOf } from '../../../src/model/digest.js';
import {
  entryOf,
  imageNamed,
  indexOf,
  OCI_MANIFEST,
  push,
  pushable,
  type PushableImage,
} from '../../support/pushed-images.js';
import { rejection } from '../../support/rejection.js';
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

test('an index leads to no later manifest of an image that was there before', async (t) => {
  let store = await temporaryStore(t);
  const { id, blobs, architecture } = await imageNamed('secret');
  const manifestOf = (name: string): PushableImage => ({
    ...pushable(
      OCI_MANIFEST,
      {
        config: entryOf('application/vnd.oci.image.config.v1+json', blobs[0] as Uint8Array),
        layers: [entryOf('application/vnd.oci.image.layer.v1.tar+gzip', blobs[1] as Uint8Array)],
        annotations: { name },
      },
      blobs,
    ),
    ...{ id, architecture },
  });
  const [first, early] = [manifestOf('first'), manifestOf('early')];
  const [late, latest] = [manifestOf('late'), manifestOf('latest')];
  const check = async (there: readonly boolean[]): Promise<void> => {
    for (const _ of ['before', 'after']) {
      const past = await store.registry.at(store.log.head.seq);
      for (const registry of [store.registry, past]) {
        const found = [early, late, latest].map(({ digest }) => registry.manifest(APP, digest) !== undefined);
        t.deepEqual(found, there);
        t.is(registry.blob(APP, digestOf(blobs[1] as Uint8Array)) !== undefined, there.includes(true));
      }
      store = await reopened(t, store);
    }
  };
  await push(store, OTHER, first);
  await push(store, APP, early);
  const index = indexOf([early, late, latest]);
  await push(store, APP, index, { tags: ['1'] });
  await check([true, false, false]);
  await push(store, OTHER, late);
  await check([true, false, false]);
  // Nothing but the log tells from now on when these came.
  await store.untag(`${APP}@${early.digest}`);
  for (const { digest } of [first, late]) await store.registry.remove(OTHER, digest);
  await check([true, false, false]);
  await push(store, APP, late);
  await push(store, APP, index, { tags: ['2'] });
  await store.untag(`${APP}@${late.digest}`);
  await push(store, OTHER, latest);
  await check([true, true, false]);
});

test('a tag that is set again leads to nothing that another repository got since', async (t) => {
  let store = await temporaryStore(t);
  const [child, secret] = [await imageNamed('child'), await imageNamed('secret')];
  await push(store, APP, indexOf([child, secret]), { tags: ['1'] });
  await push(store, OTHER, secret);
  const check = async (): Promise<void> => {
    for (const _ of ['before', 'after']) {
      t.is(store.registry.manifest(APP, secret.digest), undefined);
      t.is(store.registry.blob(APP, layerOf(secret)), undefined);
      store = await reopened(t, store);
    }
  };
  // A platform more.
  await push(store, APP, child);
  await check();
  t.truthy(store.registry.manifest(APP, child.digest));
  const { data } = await rejection(t, 'BLOB_NOT_FOUND', store.registry.confirm(APP, '1', { via: 'mirror' }));
  t.deepEqual(data.digests, [secret.digest]);
  await check();
  await push(store, APP, secret);
  await store.registry.confirm(APP, '1', { via: 'mirror' });
  t.truthy(store.registry.manifest(APP, secret.digest));
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
