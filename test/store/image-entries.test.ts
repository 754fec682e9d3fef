import test from 'ava';
import { imageConfig, idNamed } from '../support/image-configs.js';
import { storeError } from '../support/store-error.js';
import { temporaryStore } from './temporary-store.js';
import type { ImageId } from '../../src/model/digest.js';

function config(name: string, created: string | undefined): Uint8Array {
  const rootfs = { type: 'layers', diff_ids: [] };
  return new TextEncoder().encode(
    JSON.stringify({ author: name, os: 'linux', architecture: 'amd64', created, rootfs }),
  );
}

test('image entries have the time of the config to the nanosecond, and the size, now and in the past', async (t) => {
  const store = await temporaryStore(t);
  const timed = await store.create(config('a', '2024-01-01T01:00:00.000000002+01:00'));
  const before = await store.create(config('b', '1969-12-31T23:59:59.5Z'));
  const untimed = await store.create(config('c', undefined));
  const zero = await store.create(config('d', '0001-01-01T02:00:00+02:00'));
  const entries = [
    { id: timed, created: { seconds: 1_704_067_200, nanoseconds: 2 }, size: 0 },
    { id: before, created: { seconds: -1, nanoseconds: 500_000_000 }, size: 0 },
    { id: untimed, created: undefined, size: 0 },
    { id: zero, created: undefined, size: 0 },
  ];
  t.deepEqual(store.imageEntries(), entries);
  await store.delete(timed);
  t.deepEqual(store.imageEntries(), entries.slice(1));
  const past = await store.at(4);
  t.deepEqual(past.imageEntries(), entries);
  await store.erase(timed, 'r');
  t.deepEqual((await store.at(4)).imageEntries(), [{ id: timed }, ...entries.slice(1)]);
});

test('metadata lists copies of all values of an image by key, now and in the past', async (t) => {
  const store = await temporaryStore(t);
  const id = await store.create(imageConfig('a'));
  t.deepEqual(store.metadata(id), new Map());
  await store.setMetadata(id, 'b', Uint8Array.of(1));
  await store.setMetadata(id, 'a', Uint8Array.of(2));
  await store.setBuiltLocally(id);
  const values = store.metadata(id);
  t.deepEqual([...values.keys()], ['a', 'b', 'builtLocally']);
  values.get('a')?.fill(9);
  t.deepEqual(store.metadata(id).get('a'), Uint8Array.of(2));
  t.deepEqual([...(await store.at(2)).metadata(id)], [['b', Uint8Array.of(1)]]);
  storeError(t, 'IMAGE_NOT_FOUND', () => store.metadata(idNamed('b')));
  t.throws(() => store.metadata(1 as unknown as ImageId), { instanceOf: TypeError });
});
