import { Readable } from 'node:stream';
import test, { type ExecutionContext } from 'ava';
import type { ImageId } from '../../src/model/digest.js';
import type { EventStore } from '../../src/store/event-store.js';
import { storeError } from '../support/store-error.js';
import { archivePath } from './fixture-archives.js';
import { temporaryStore } from './temporary-store.js';

/** The images of docker25-all.tar. */
const TINY = 'sha256:bd10de19d2be72bbea961669454ea85768c9c87bbb3203ae6d8c7aac24edccf8' as ImageId;
const APP_1 = 'sha256:bb0c8ffbd8b1e170c98a75fe00f4a6a39b2b639147be80dfb757a01094a4aa0a' as ImageId;
const APP_2 = 'sha256:cb4c372bec4cac57b4ca49ba07839cba8f7bb4cc9dbf394ac3e6870f04fa84d6' as ImageId;

async function filledStore(t: ExecutionContext): Promise<EventStore> {
  const store = await temporaryStore(t);
  await store.load(archivePath('docker25-all.tar'));
  return store;
}

type Saved = Readonly<Record<ImageId, readonly string[]>>;

/** The images of what is saved under these names, with the names that come along. */
const saves = test.macro(async (t, names: string | readonly string[], expected: Saved) => {
  const store = await filledStore(t);
  for (const format of ['docker', 'oci'] as const) {
    const other = await temporaryStore(t);
    await other.load(Readable.from(store.save(names, { format })));
    t.deepEqual(Object.fromEntries([...other.map().keys()].map((id) => [id, other.references(id)])), expected, format);
  }
});

const app = (...tags: string[]): string[] => tags.map((tag) => `docker.io/shop/app:${tag}`);

test('a tag saves its image under that name only', saves, 'shop/app:1.0', { [APP_1]: app('1.0') });
test('a canonical name saves the same', saves, 'docker.io/shop/app:1.0', { [APP_1]: app('1.0') });
test('a repository without a tag saves all its tags', saves, 'shop/app', {
  [APP_1]: app('1.0'),
  [APP_2]: app('2.0', 'latest'),
});
test('a full id saves the image without names', saves, APP_2, { [APP_2]: [] });
test('the hex digits of an id do so too', saves, APP_2.slice('sha256:'.length), { [APP_2]: [] });
test('the beginning of an id does so too', saves, 'sha256:bd10de', { [TINY]: [] });
test('a short id does so too', saves, 'bd10de19d2be', { [TINY]: [] });
test('several names save several images', saves, ['tiny:1', 'shop/app:2.0', APP_1], {
  [TINY]: ['docker.io/library/tiny:1'],
  [APP_1]: [],
  [APP_2]: app('2.0'),
});
test('an id beside a name of the same image takes nothing from the name', saves, [TINY, 'tiny:1'], {
  [TINY]: ['docker.io/library/tiny:1'],
});

test('a repository without a tag is not the beginning of another', async (t) => {
  const store = await filledStore(t);
  await store.tag({ source: TINY, target: 'shop/app2:1' });
  await store.tag({ source: TINY, target: 'shop/app:latest' });
  const other = await temporaryStore(t);
  await other.load(Readable.from(store.save('shop/app')));
  t.deepEqual(other.references(TINY), app('latest'));
  t.is(other.len(), 3);
});

test('a name by digest is saved and loads again', async (t) => {
  const store = await filledStore(t);
  const name = `tiny@${store.referenceEntries().find(({ image }) => image === TINY)?.target?.digest}`;
  await store.tag({ source: TINY, target: name });
  const other = await temporaryStore(t);
  await other.load(Readable.from(store.save(name, { format: 'oci' })));
  t.is(other.resolve(name), TINY);
});

test('parents that are not saved are not written', async (t) => {
  const store = await filledStore(t);
  const other = await temporaryStore(t);
  const { notices } = await other.load(Readable.from(store.save('shop/app:2.0')));
  t.deepEqual(notices, []);
  t.is(other.get(APP_2).parent, '');
});

const refuses = test.macro(async (t, code: 'IMAGE_NOT_FOUND' | 'ID_AMBIGUOUS', names: string | readonly string[]) => {
  const store = await filledStore(t);
  storeError(t, code, () => store.save(names));
});

test('an unknown tag is refused', refuses, 'IMAGE_NOT_FOUND', 'shop/app:3.0');
test('an unknown repository is refused', refuses, 'IMAGE_NOT_FOUND', 'shop/none');
test('an unknown id is refused', refuses, 'IMAGE_NOT_FOUND', `sha256:${'0'.repeat(64)}`);
test('what is not a name is refused', refuses, 'IMAGE_NOT_FOUND', 'No Name!');
test('one unknown name among known ones refuses all', refuses, 'IMAGE_NOT_FOUND', ['tiny:1', 'tiny:9']);
test('an empty name is refused', refuses, 'IMAGE_NOT_FOUND', '');
// Two of the five ids begin with 6, two with b.
test('the beginning of two ids is refused', refuses, 'ID_AMBIGUOUS', 'b');

test("no name at all is the caller's mistake", async (t) => {
  const store = await filledStore(t);
  t.throws(() => store.save([]), { instanceOf: RangeError });
});

test('an exact name goes before the beginning of an id', async (t) => {
  const store = await filledStore(t);
  await store.tag({ source: APP_1, target: 'bd10de19d2be' });
  const other = await temporaryStore(t);
  await other.load(Readable.from(store.save('bd10de19d2be')));
  t.deepEqual([...other.map().keys()], [APP_1]);
});
