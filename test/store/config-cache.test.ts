import test from 'ava';
import { MAX_KEPT_CONFIG_BYTES } from '../../src/limits.js';
import { ConfigCache } from '../../src/store/context.js';
import { idNamed, imageConfig } from '../support/image-configs.js';
import { storeError } from '../support/store-error.js';
import { creationOf, eventsFrom } from '../support/stored-event.js';
import { textOf } from '../support/text-bytes.js';
import { temporaryStore } from './temporary-store.js';

const SIZE = imageConfig('0').length;

/** A cache for so many configs of one size, and the names that were read, in order. */
function cacheOf(configs: number): { ask: (name: string) => string; read: string[]; cache: ConfigCache } {
  const cache = new ConfigCache(configs * SIZE);
  const read: string[] = [];
  const ask = (name: string): string => {
    const readNamed = (): Uint8Array => {
      read.push(name);
      return imageConfig(name);
    };
    return textOf(cache.get(idNamed(name), readNamed).bytes());
  };
  return { ask, read, cache };
}

test('a config is read once, as long as it is asked for again before as many others as the cache holds', (t) => {
  const { ask, read } = cacheOf(4);
  for (const name of ['0', '0', '1', '0', '2', '0', '3', '0', '4', '0']) t.is(ask(name), textOf(imageConfig(name)));
  t.deepEqual(read, ['0', '1', '2', '3', '4']);
});

test('no more bytes are kept than the cache may have, and what was not asked for lately goes', (t) => {
  const { ask, read } = cacheOf(4);
  const names = ['0', '1', '2', '3', '4', '5', '6', '7'];
  for (const name of names) ask(name);
  for (const name of [...names].reverse()) ask(name);
  t.deepEqual(read.slice(0, 8), names);
  t.true(read.length >= 8 + 4, `${read.length} reads`);
});

test('a config larger than half of the cache is not kept', (t) => {
  const { ask, read } = cacheOf(1);
  ask('0');
  ask('0');
  t.deepEqual(read, ['0', '0']);
});

test('a store keeps configs of MAX_KEPT_CONFIG_BYTES, in two halves', (t) => {
  const readsOf = (size: number): number => {
    const cache = new ConfigCache();
    let reads = 0;
    const read = (): Uint8Array => {
      reads += 1;
      return new Uint8Array(size);
    };
    for (const name of ['0', '1', '0', '1']) cache.get(idNamed(name), read);
    return reads;
  };
  t.is(readsOf(MAX_KEPT_CONFIG_BYTES / 2), 2);
  t.is(readsOf(MAX_KEPT_CONFIG_BYTES / 2 + 1), 4);
});

test('a config is forgotten when its image is deleted and when its content is erased, wherever it is kept', (t) => {
  const { ask, read, cache } = cacheOf(4);
  for (const name of ['0', '1', '2', '3']) ask(name);
  for (const name of ['0', '2']) cache.forgetRemoved(eventsFrom(1, [{ type: 'ImageDeleted', image: idNamed(name) }]));
  for (const name of ['1', '3'])
    cache.forgetRemoved(eventsFrom(1, [{ type: 'ContentErased', digest: idNamed(name), size: 1 }, creationOf('0')]));
  for (const name of ['0', '1', '2', '3']) ask(name);
  t.deepEqual(read, ['0', '1', '2', '3', '0', '1', '2', '3']);
});

test('what was asked for before does not come from memory after a delete, an erasure, a close or with another parent', async (t) => {
  const store = await temporaryStore(t);
  const [a, b] = [await store.create(imageConfig('a')), await store.create(imageConfig('b'))];
  const created = await store.at(2);
  t.is(store.get(a).parent, '');
  t.is(store.get(a).os, 'linux');
  await store.setParent(a, b);
  t.is(store.get(a).parent, b);
  t.is(store.get(a).os, 'linux');
  t.is(created.get(a).parent, '');
  t.true(textOf(store.get(a).marshalJSON()).includes(b));
  t.false(textOf(created.get(a).marshalJSON()).includes(b));
  await store.delete(a);
  storeError(t, 'IMAGE_NOT_FOUND', () => store.get(a));
  t.is(created.get(a).os, 'linux');
  await store.erase(a, 'a password');
  storeError(t, 'CONTENT_ERASED', () => created.get(a));
  await store.create(imageConfig('a'));
  t.is(store.get(a).parent, '');
  t.is(created.get(a).os, 'linux');
  t.is(store.get(b).os, 'linux');
  await store.close();
  storeError(t, 'STORE_CLOSED', () => store.get(b));
});

test('an image that was read keeps its parent after that is set, removed, and its row dropped from the view', async (t) => {
  const store = await temporaryStore(t, { layers: 'none' });
  const [a, b] = [await store.create(imageConfig('a')), await store.create(imageConfig('b'))];
  const others = await Promise.all(Array.from({ length: 80 }, (_, at) => store.create(imageConfig(`other ${at}`))));
  const before = store.get(a);
  await store.setParent(a, b);
  const [asked, unasked] = [store.get(a), store.get(a)];
  t.is(asked.parent, b);
  for (const id of [b, ...others]) await store.delete(id);
  t.is(store.get(a).parent, '');
  t.deepEqual([before.parent, asked.parent, unasked.parent], ['', b, b]);
  t.true(textOf(unasked.marshalJSON()).includes(b));
});
