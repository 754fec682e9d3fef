import test from 'ava';
import type { PruneOptions } from '../../../src/store/erase.js';
import { idNamed, imageConfig } from '../../support/image-configs.js';
import { tarOf } from '../../support/tar-of.js';
import { temporaryStore } from '../temporary-store.js';

type Filter = NonNullable<PruneOptions['filter']>;
type Candidate = Parameters<Filter>[0];

test('a filtered prune asks for each image once, with all its names and its config, and takes what it accepts', async (t) => {
  const store = await temporaryStore(t);
  for (const name of ['a', 'b', 'c']) await store.create(imageConfig(name));
  await store.tag({ source: idNamed('a'), target: 'shop/app:1' });
  await store.tag({ source: idNamed('a'), target: 'shop/app:prod' });
  await store.tag({ source: idNamed('b'), target: 'shop/app:prod' });
  await store.delete(idNamed('a'));
  await store.delete(idNamed('b'));
  const asked: Candidate[] = [];
  const filter: Filter = (image) => {
    asked.push(image);
    return image.id === idNamed('a');
  };
  const before = store.log.head.seq;
  const would = await store.prune({ before, filter, dryRun: true });
  t.deepEqual(
    asked.map(({ id, references }) => [id, references]),
    [
      [idNamed('a'), ['docker.io/shop/app:1', 'docker.io/shop/app:prod']],
      [idNamed('b'), ['docker.io/shop/app:prod']],
    ],
  );
  t.deepEqual(asked[0]?.config?.rawJSON(), imageConfig('a'));
  t.deepEqual(
    would.contents.map(({ digest }) => digest),
    [idNamed('a')],
  );
  t.is(store.log.head.seq, before);
  await store.prune({ before, filter });
  t.deepEqual([...store.erasures().keys()], [idNamed('a')]);
  t.deepEqual(await store.verify(), []);
});

test('a filtered prune leaves layers and what is of no image', async (t) => {
  const store = await temporaryStore(t);
  const layer = await store.layers.register(tarOf('x'));
  await store.delete(await store.create(imageConfig('a')));
  const kept = await store.layers.register(tarOf('y'), layer.chainId);
  await store.layers.release(layer);
  t.is(kept.parent?.chainId, layer.chainId);
  const before = store.log.head.seq;
  const { contents, layers } = await store.prune({ before, filter: () => true, dryRun: true });
  t.deepEqual([contents.map(({ kind }) => kind), layers], [['config'], []]);
});

test('a filter that throws ends the prune and nothing is removed; one that answers with no boolean too', async (t) => {
  const store = await temporaryStore(t);
  await store.delete(await store.create(imageConfig('a')));
  const before = store.log.head.seq;
  const filter = (): never => {
    throw new RangeError('mine');
  };
  await t.throwsAsync(store.prune({ before, filter }), { instanceOf: RangeError, message: 'mine' });
  for (const answer of [Promise.resolve(true), 1, undefined]) {
    const unclear = (() => answer) as unknown as Filter;
    await t.throwsAsync(store.prune({ before, filter: unclear }), {
      instanceOf: TypeError,
      message: 'filter must return true or false, and at once',
    });
  }
  t.is(store.log.head.seq, before);
  const wrong = 'label=x' as unknown as Filter;
  await t.throwsAsync(store.prune({ before, filter: wrong }), { instanceOf: TypeError, message: /filter/ });
});
