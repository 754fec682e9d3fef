import test, { type ExecutionContext } from 'ava';
import type { Digest, ImageId } from '../../src/model/digest.js';
import type { EventStore } from '../../src/store/event-store.js';
import { idNamed, imageConfig } from '../support/image-configs.js';
import { rejection } from '../support/rejection.js';
import { storeError } from '../support/store-error.js';
import { builtArtifact, loadArtifacts } from './artifacts/built-artifacts.js';
import { archivePath } from './fixture-archives.js';
import { reopened, temporaryStore } from './temporary-store.js';

const TIME = Date.parse('2026-11-29T08:51:00Z');
const PROD = 'docker.io/shop/app:prod';
const a = idNamed('a');
const b = idNamed('b');

/** A store of the images a and b at seq 2, by a clock that stands. */
async function ofTwo(t: ExecutionContext): Promise<EventStore> {
  const store = await temporaryStore(t, { now: () => TIME });
  await store.create(imageConfig('a'));
  await store.create(imageConfig('b'));
  return store;
}

test('a reference that was removed says when, by whom, why, and where it can be seen', async (t) => {
  const store = await ofTwo(t);
  t.is(await store.removal(PROD), undefined, 'it never was');
  await store.tag({ source: a, target: PROD });
  t.is(await store.removal(PROD), undefined, 'it is there');
  await store.untag('shop/app:prod', { actor: 'bob', reason: 'cleanup', requestId: 'INC-77' });
  const removal = {
    kind: 'reference',
    name: PROD,
    names: [PROD],
    image: a,
    seq: 4,
    time: TIME,
    actor: 'bob',
    reason: 'cleanup',
    requestId: 'INC-77',
    before: 3,
  };
  t.deepEqual(await store.removal('shop/app:prod'), removal as never);
  t.is((await store.at(removal.before)).resolve(PROD), a);
  t.is(await store.removal(PROD, { at: 3 }), undefined);
  t.is(await store.removal(PROD, { at: 2 }), undefined);
  await store.tag({ source: b, target: PROD });
  t.is(await store.removal(PROD), undefined, 'the name is in use again');
  t.like(await store.removal(PROD, { at: 4 }), { seq: 4 });
  await store.untag(PROD, { actor: 'eve' });
  t.like(await store.removal(PROD), { seq: 6, actor: 'eve', image: b, before: 5 }, 'the last removal counts');
});

test('an image that was deleted has the names that went with it, and can be seen before the whole transaction', async (t) => {
  const store = await ofTwo(t);
  await store.tag({ source: a, target: 'z:1' });
  await store.tag({ source: a, target: 'y:1' });
  await store.setParent(b, a);
  await store.delete(a, { actor: 'bob', reason: 'old' });
  const names = ['docker.io/library/y:1', 'docker.io/library/z:1'];
  const removal = await store.removal(a);
  t.like(removal, { kind: 'image', name: a, names, seq: 9, actor: 'bob', reason: 'old', before: 5 });
  t.deepEqual((await store.at(5)).references(a), names);
  t.deepEqual(await store.removal(a.slice(7, 19)), removal, 'by its first digits');
  t.deepEqual(await store.removal(`docker.io/library/x@${a}`), removal, 'by digest in a repository');
  t.like(await store.removal('y:1'), { kind: 'reference', image: a, before: 5 });
  t.is(await store.removal(b), undefined);
  await store.create(imageConfig('a'));
  t.is(await store.removal(a), undefined, 'it is there again');
  t.like(await store.removal(a, { at: 9 }), { seq: 9 });
  await store.delete(a);
  t.like(await store.removal(a), { seq: 11, names: [], before: 10 }, 'names of an earlier life do not count');
});

test('an image whose names were taken before has those that the last transaction took', async (t) => {
  const store = await ofTwo(t);
  await store.tag({ source: a, target: 'x:1' });
  await store.tag({ source: a, target: 'y:1' });
  await store.untag('x:1');
  await store.tag({ source: b, target: 'y:1' });
  await store.delete(a);
  t.like(await store.removal(a), { names: ['docker.io/library/y:1'] });
});

test('an image that was erased says so', async (t) => {
  const store = await ofTwo(t);
  await store.delete(a);
  await store.erase(a, 'leaked', { actor: 'eve' });
  t.like(await store.removal(a), { seq: 3, erased: { seq: 4, actor: 'eve', reason: 'leaked' } });
});

test('artifacts and indexes that were removed are known too, several of one transaction each', async (t) => {
  const store = await temporaryStore(t);
  const bill = builtArtifact({ artifactType: 'application/spdx+json', blobs: ['{}', 'parts'] });
  const index = builtArtifact({ contains: [bill.descriptor] });
  await loadArtifacts(store, [bill, index], { references: [{ reference: PROD, target: index.descriptor }] });
  const { seq } = store.log.head;
  await store.untag(PROD, { actor: 'bob', removeArtifacts: true });
  t.like(await store.removal(PROD), { kind: 'reference', artifact: index.descriptor.digest, before: seq });
  t.like(await store.removal(index.descriptor.digest), { kind: 'index', actor: 'bob', names: [PROD], before: seq });
  t.like(await store.removal(bill.descriptor.digest), { kind: 'artifact', actor: 'bob', names: [], before: seq });
  t.is(await store.search(bill.descriptor.digest, { past: true }), bill.descriptor.digest);
  t.like(await store.searchAll(bill.descriptor.digest.slice(7, 30), { past: true }), [
    { kind: 'artifact', removal: { actor: 'bob' } },
  ]);
});

test('each image of a platform has the name that it lost', async (t) => {
  const store = await temporaryStore(t);
  const { images } = await store.load(archivePath('oci-multi-platform.tar'));
  const [first, second] = images.map(({ id }) => id) as [ImageId, ImageId];
  const [name] = store.references(first);
  await store.delete(second);
  t.like(await store.removal(second), { names: [name] });
  await store.delete(first);
  t.like(await store.removal(first), { names: [name] });
  t.like(await store.removal(name as string), { image: first });
});

/** Deletes every other of forty images. Returns the ids left and gone that begin with `digit`. */
async function ofForty(store: EventStore, digit: string): Promise<Record<'there' | 'gone', ImageId[]>> {
  const names = Array.from({ length: 40 }, (_, at) => `image ${at}`);
  const found: Record<'there' | 'gone', ImageId[]> = { there: [], gone: [] };
  for (const name of names) await store.create(imageConfig(name));
  for (const [at, name] of names.entries()) {
    const id = idNamed(name);
    if (at % 2 === 1) await store.delete(id);
    if (id.startsWith(`sha256:${digit}`)) found[at % 2 === 1 ? 'gone' : 'there'].push(id);
  }
  found.there.sort();
  found.gone.sort();
  return found;
}

test('searchAll lists what is there, and with past what was removed, whatever the length of the term', async (t) => {
  const store = await temporaryStore(t);
  await ofForty(store, '');
  t.deepEqual(await store.searchAll('', { past: true }), [], 'an empty term begins nothing');
  for (let at = 0; at < 40; at++) {
    const id = idNamed(`image ${at}`);
    for (const digits of [1, 2, 15, 16, 17, 63, 64]) {
      for (const term of [id.slice(7, 7 + digits), id.slice(0, 7 + digits)]) {
        const present = (await store.searchAll(term)).map(({ digest }) => digest);
        const ever = await store.searchAll(term, { past: true });
        t.is(present.includes(id), at % 2 === 0, term);
        t.true(
          ever.some(({ digest, removal }) => digest === id && (removal === undefined) === (at % 2 === 0)),
          term,
        );
        t.true(
          ever.every(({ digest }) => digest.includes(term)),
          term,
        );
      }
    }
  }
});

test('search with past takes what is there before what was removed, and names the ids of several', async (t) => {
  const store = await temporaryStore(t);
  const { there, gone } = await ofForty(store, '1');
  const [one, other] = gone as [Digest, Digest];
  t.true(there.length > 0 && gone.length > 1, 'the digit is one of several removed and of one that is there');
  storeError(t, 'IMAGE_NOT_FOUND', () => store.search(one));
  t.is(await store.search(one.slice(7, 19), { past: true }), one);
  t.is(await store.search(one, { past: true }), one);
  t.is(await store.search(there[0] as string, { past: true }), there[0] as Digest);
  for (const id of there) await store.delete(id);
  const ids = [...there, ...gone].sort();
  const error = await rejection(t, 'ID_AMBIGUOUS', store.search('1', { past: true }));
  t.deepEqual(error.data, { term: '1', ids, count: ids.length });
  t.deepEqual((await rejection(t, 'ID_AMBIGUOUS', store.removal('1'))).data['ids'], ids);
  await rejection(
    t,
    'IMAGE_NOT_FOUND',
    store.search(`${one.slice(7, 70)}${one.endsWith('0') ? '1' : '0'}`, { past: true }),
  );
  await rejection(t, 'IMAGE_NOT_FOUND', store.search('no hex', { past: true }));
  const { seq } = (await store.removal(one)) ?? { seq: 0 };
  t.is(await store.search(one, { past: true, at: seq - 1 }), one);
  t.deepEqual(await store.searchAll(one, { at: seq }), []);
  t.like(await store.searchAll(one, { at: seq - 1 }), [{ digest: one }]);
  t.deepEqual(await store.searchAll(other, { at: 0, past: true }), []);
});

test('removals are the same after an open, and for a reader', async (t) => {
  const store = await temporaryStore(t);
  const { gone } = await ofForty(store, '1');
  const expected = await Promise.all(gone.map((id) => store.removal(id)));
  const again = await reopened(t, store, { readOnly: true });
  t.deepEqual(await Promise.all(gone.map((id) => again.removal(id))), expected);
});

test('removal refuses what is no name, and options of the wrong type', async (t) => {
  const store = await ofTwo(t);
  await rejection(t, 'REFERENCE_INVALID', store.removal('Not A Name'));
  await rejection(t, 'TIME_OUT_OF_RANGE', store.removal(a, { at: 99 }));
  await rejection(t, 'ABORTED', store.removal(a, { signal: AbortSignal.abort() }));
  await t.throwsAsync(store.removal(1 as never), { instanceOf: TypeError });
  await t.throwsAsync(store.removal(a, { signal: 1 as never }), { instanceOf: TypeError });
  await t.throwsAsync(store.searchAll('a', { past: 1 as never }), { instanceOf: TypeError });
  t.throws(() => store.search('a', { past: 1 as never }), { instanceOf: TypeError });
  t.throws(() => store.search('a', { at: 1 } as never), { instanceOf: TypeError, message: 'at needs past: true' });
  await store.close();
  await rejection(t, 'STORE_CLOSED', store.removal(a));
  await rejection(t, 'STORE_CLOSED', store.searchAll('a'));
  storeError(t, 'STORE_CLOSED', () => store.search('a', { past: true }));
});
