import test from 'ava';
import {
  MAX_ACTOR_BYTES,
  MAX_ADDRESS_BYTES,
  MAX_AGENT_BYTES,
  MAX_CONFIG_BYTES,
  MAX_REASON_BYTES,
  MAX_TRACEPARENT_BYTES,
  MAX_VIA_BYTES,
} from '../../src/limits.js';
import type { ImageId } from '../../src/model/digest.js';
import { idNamed, idOf, imageConfig } from '../support/image-configs.js';
import { rejection } from '../support/rejection.js';
import { storeError } from '../support/store-error.js';
import { eventsOf, openTestStore } from '../support/test-store.js';
import { bytesOf, textOf } from '../support/text-bytes.js';

const [a, b, c] = [idNamed('a'), idNamed('b'), idNamed('c')];
const nobody = idNamed('nobody');

test('who, why and in which request go into every event of a command', async (t) => {
  const store = await openTestStore(t, { actor: 'opener' });
  await store.create(imageConfig('a'));
  await store.create(imageConfig('b'), { actor: 'ann', reason: 'because', requestId: 'r-1' });
  await store.setParent(b, a);
  await store.delete(a, { actor: 'ben', reason: 'unused' });
  const origins = (await eventsOf(store)).map(({ actor, reason, requestId }) => [actor, reason, requestId]);
  t.deepEqual(origins, [
    ['opener', undefined, undefined],
    ['ann', 'because', 'r-1'],
    ['opener', undefined, undefined],
    ['ben', 'unused', undefined],
    ['ben', 'unused', undefined],
  ]);
});

test('an envelope has an actor, and texts of Unicode within their limits', async (t) => {
  const store = await openTestStore(t);
  const create = (options: object): Promise<ImageId> => store.create(imageConfig('a'), options);
  for (const options of [
    { actor: '' },
    { actor: 'é'.repeat(MAX_ACTOR_BYTES / 2 + 1) },
    { requestId: 'r'.repeat(MAX_ACTOR_BYTES + 1) },
    { reason: 'r'.repeat(MAX_REASON_BYTES + 1) },
    { via: 'v'.repeat(MAX_VIA_BYTES + 1) },
    { address: 'é'.repeat((MAX_ADDRESS_BYTES + 1) / 2) },
    { agent: 'a'.repeat(MAX_AGENT_BYTES + 1) },
    { traceparent: 't'.repeat(MAX_TRACEPARENT_BYTES + 1) },
    { agent: 'half \ud83d' },
    { actor: 'half \ud83d' },
    { reason: '\udc00' },
  ]) {
    const error = await rejection(t, 'ENVELOPE_INVALID', create(options), JSON.stringify(options).slice(0, 60));
    t.true(error.message.startsWith(`the ${Object.keys(options)[0]} of a write `), error.message);
  }
  for (const field of ['actor', 'via', 'address', 'agent', 'traceparent'])
    await t.throwsAsync(create({ [field]: 5 }), { instanceOf: TypeError, message: `${field} must be a string` });
  t.is(store.log.head.seq, 0);
  const longest = {
    actor: 'é'.repeat(MAX_ACTOR_BYTES / 2),
    reason: '😀'.repeat(MAX_REASON_BYTES / 4),
    requestId: 'r'.repeat(MAX_ACTOR_BYTES),
    via: 'v'.repeat(MAX_VIA_BYTES),
    address: 'a'.repeat(MAX_ADDRESS_BYTES),
    agent: 'é'.repeat(MAX_AGENT_BYTES / 2),
    traceparent: 't'.repeat(MAX_TRACEPARENT_BYTES),
  };
  await create(longest);
  t.like((await eventsOf(store))[0], longest);
});

test('a malformed config is refused and leaves nothing', async (t) => {
  const store = await openTestStore(t);
  await t.throwsAsync(store.create('text' as unknown as Uint8Array), { instanceOf: TypeError });
  await rejection(t, 'CONFIG_INVALID', store.create(bytesOf('text')));
  await rejection(t, 'DIGEST_INVALID', store.create(imageConfig('a', ['sha256:short'])));
  const large = bytesOf(JSON.stringify({ rootfs: { type: 'layers' }, comment: 'c'.repeat(MAX_CONFIG_BYTES) }));
  await rejection(t, 'CONFIG_TOO_LARGE', store.create(large));
  t.is(store.log.head.seq, 0);
  t.is(store.len(), 0);
  for (const digest of [idOf(bytesOf('text')), idOf(large)])
    storeError(t, 'IMAGE_NOT_FOUND', () => store.backend.get(digest));
});

test('the caller may reuse its buffers at once', async (t) => {
  const store = await openTestStore(t);
  const config = imageConfig('a');
  const created = store.create(config);
  config.fill(0);
  t.is(await created, a);
  const value = bytesOf('value');
  const set = store.setMetadata(a, 'k', value);
  value.fill(0);
  await set;
  t.is(textOf(store.getMetadata(a, 'k')), 'value');
});

test('a deletion clears children, names, metadata and the parent as one transaction', async (t) => {
  const store = await openTestStore(t);
  for (const name of ['a', 'b', 'c']) await store.create(imageConfig(name));
  await store.setParent(b, a);
  await store.setParent(c, b);
  await store.setMetadata(b, 'k', bytesOf('v'));
  await store.tag({ source: b, target: 'x:1' });
  await store.tag({ source: b, target: 'y:1' });
  await store.delete(b);
  const events = await eventsOf(store, { from: 9 });
  t.deepEqual(
    events.map(({ type, transaction }) => [type, transaction]),
    ['ParentCleared', 'ReferenceRemoved', 'ReferenceRemoved', 'ImageDeleted'].map((type) => [
      type,
      { first: 9, count: 4 },
    ]),
  );
  t.like(events.at(-1), { image: b, parent: a });
  t.deepEqual([store.children(a), store.children(b)], [[], []]);
  storeError(t, 'METADATA_NOT_FOUND', () => store.getParent(c));
  storeError(t, 'IMAGE_NOT_FOUND', () => store.getParent(b));
  await store.create(imageConfig('b'));
  storeError(t, 'METADATA_NOT_FOUND', () => store.getMetadata(b, 'k'));
  t.deepEqual(store.references(b), []);
});

test('a deletion for the names that were seen is refused when there are others, or children', async (t) => {
  const store = await openTestStore(t);
  for (const name of ['a', 'b']) await store.create(imageConfig(name));
  await store.tag({ source: a, target: 'x:1' });
  await store.tag({ source: a, target: 'y:1' });
  const onlyNames = ['docker.io/library/x:1'];
  const other = await rejection(t, 'IMAGE_IN_USE', store.delete(a, { onlyNames }));
  t.is(other.message, `cannot remove the image ${a}: it has the reference docker.io/library/y:1`);
  await store.untag('y:1');
  await store.setParent(b, a);
  const child = await rejection(t, 'IMAGE_IN_USE', store.delete(a, { onlyNames }));
  t.is(child.message, `cannot remove the image ${a}: ${b} was made from it`);
  await store.delete(b);
  await store.delete(a, { onlyNames: [...onlyNames, 'docker.io/library/z:1'] });
  t.is(store.len(), 0);
  await store.create(imageConfig('a'));
  // @ts-expect-error a text is no list
  await t.throwsAsync(store.delete(a, { onlyNames: 'x:1' }), {
    instanceOf: TypeError,
    message: 'onlyNames must be a list',
  });
});

test('a parent must be there, and none of the image’s descendants', async (t) => {
  const store = await openTestStore(t);
  for (const name of ['a', 'b', 'c']) await store.create(imageConfig(name));
  await rejection(t, 'PARENT_NOT_FOUND', store.setParent(a, nobody));
  await rejection(t, 'IMAGE_NOT_FOUND', store.setParent(nobody, a));
  await rejection(t, 'PARENT_CYCLE', store.setParent(a, a));
  await store.setParent(b, a);
  await store.setParent(c, b);
  await rejection(t, 'PARENT_CYCLE', store.setParent(a, c));
  await rejection(t, 'PARENT_CYCLE', store.setParent(a, b));
  await store.setParent(c, a);
  t.like((await eventsOf(store, { reverse: true, limit: 1 }))[0], {
    type: 'ParentSet',
    image: c,
    parent: a,
    previous: b,
  });
  await store.setParent(c, a);
  t.is(store.log.head.seq, 6);
  t.deepEqual(store.children(a), [b, c].sort());
  t.deepEqual([...store.heads().keys()].sort(), [b, c].sort());
});

test('unknown images are told by every member that needs one, and not by those that Docker answers for', async (t) => {
  const store = await openTestStore(t);
  for (const read of [
    () => store.get(nobody),
    () => store.getParent(nobody),
    () => store.getMetadata(nobody, 'k'),
    () => store.search(nobody),
  ]) {
    storeError(t, 'IMAGE_NOT_FOUND', read);
  }
  for (const write of [
    store.delete(nobody),
    store.setLastUpdated(nobody),
    store.setBuiltLocally(nobody),
    store.setMetadata(nobody, 'k', bytesOf('v')),
    store.deleteMetadata(nobody, 'k'),
  ]) {
    await rejection(t, 'IMAGE_NOT_FOUND', write);
  }
  t.deepEqual(
    [store.getLastUpdated(nobody), store.isBuiltLocally(nobody), store.children(nobody)],
    [undefined, false, []],
  );
  t.deepEqual(store.references(nobody), []);
});

test('metadata is binary, replaced, deleted, and refused when it is of another type or too large', async (t) => {
  const store = await openTestStore(t, { now: () => Date.UTC(2024, 0, 31) });
  await store.create(imageConfig('a'));
  await store.setMetadata(a, 'k', Uint8Array.of(0, 255));
  t.deepEqual([...store.getMetadata(a, 'k')], [0, 255]);
  await store.setMetadata(a, 'k', new Uint8Array());
  t.deepEqual([...store.getMetadata(a, 'k')], []);
  await store.deleteMetadata(a, 'k');
  await rejection(t, 'METADATA_NOT_FOUND', store.deleteMetadata(a, 'k'));
  await t.throwsAsync(store.setMetadata(a, 'k', 5 as unknown as Uint8Array), { instanceOf: TypeError });
  await rejection(t, 'RECORD_TOO_LARGE', store.setMetadata(a, 'k', new Uint8Array(65_535)));
  await rejection(t, 'METADATA_INVALID', store.setMetadata(a, '../k', bytesOf('v')));
  await rejection(t, 'METADATA_INVALID', store.setMetadata(a, 'parent', bytesOf(a)));
  await rejection(t, 'METADATA_INVALID', store.setMetadata(a, 'lastUpdated', bytesOf('yesterday')));
  t.is(store.getLastUpdated(a), undefined);
  await store.setLastUpdated(a);
  t.deepEqual(store.getLastUpdated(a), new Date(Date.UTC(2024, 0, 31)));
  t.is(store.get(a).details?.lastUpdated, '2024-01-31T00:00:00Z' as never);
  t.false(store.isBuiltLocally(a));
  await store.setBuiltLocally(a);
  t.true(store.isBuiltLocally(a));
});
