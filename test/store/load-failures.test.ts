import { Readable } from 'node:stream';
import test, { type ExecutionContext } from 'ava';
import fc from 'fast-check';
import { isStoreError } from '../../src/errors.js';
import { digestOf } from '../../src/model/digest.js';
import type { EventStore } from '../../src/store/event-store.js';
import { rejection } from '../support/rejection.js';
import { inChunks } from '../support/build-tar.js';
import { archiveBytes, archivePath, expectedArchives } from './fixture-archives.js';
import { footprint, reopened, temporaryStore } from './temporary-store.js';

/** A store that holds something, and what can be seen of it. */
async function filledStore(t: ExecutionContext): Promise<{ store: EventStore; before: unknown }> {
  const store = await temporaryStore(t);
  await store.load(archivePath('docker25-untagged.tar'));
  return { store, before: await footprint(store) };
}

/** Small archives, each of another layout or compression, with layers of more than a few blocks. */
const SMALL = ['crane-app.tar', 'oci-all.tar', 'oci-all.tar.gz', 'oci-zstd.tar', 'skopeo-twice-1.tar'];

const truncations = test.macro(async (t, name: string, step: number) => {
  const bytes = archiveBytes(name);
  const { store, before } = await filledStore(t);
  // Tars end in zeros, of which two blocks are enough.
  const end = bytes.length - (/0*$/.exec(bytes.toString('hex').slice(-40_960))?.[0].length ?? 0) / 2;
  for (let length = 0; length < end; length += step) {
    await t.throwsAsync(store.load(Readable.from([bytes.subarray(0, length)])), undefined, `${length} bytes`);
  }
  t.deepEqual(await footprint(store), before);
  t.deepEqual(await footprint(await reopened(t, store)), before);
});

for (const name of SMALL) {
  const step = Math.ceil(archiveBytes(name).length / 40);
  test(`${name} cut short every ${step} bytes is refused each time and leaves nothing`, truncations, name, step);
}

test('a large archive cut short while its layers come in leaves nothing', truncations, 'docker25-all.tar', 17_001);

const flips = test.macro(async (t, name: string) => {
  const bytes = archiveBytes(name);
  const original = await temporaryStore(t);
  await original.load(Readable.from([bytes]));
  const ids = [...original.map().keys()].sort();
  await fc.assert(
    fc.asyncProperty(fc.nat(bytes.length * 8 - 1), async (bit) => {
      const store = await temporaryStore(t);
      const before = await footprint(store);
      const flipped = Buffer.from(bytes);
      flipped[bit >> 3] = (flipped[bit >> 3] ?? 0) ^ (1 << (bit & 7));
      try {
        await store.load(Readable.from(inChunks(flipped, 4_999)));
      } catch (error) {
        if (!isStoreError(error) || error.kind === 'Internal') throw error;
        t.deepEqual(await footprint(store), before);
        await store.close();
        return;
      }
      // A bit of padding or of a name may flip. In an OCI layout a config has a digest; in a docker archive it is only
      // a file, and another config is another image over the same, checked layers.
      const strangers = [...store.map().keys()].filter((id) => !ids.includes(id));
      if (!name.startsWith('skopeo')) t.deepEqual(strangers, [], `bit ${bit}`);
      for (const id of store.map().keys()) t.is(digestOf(store.get(id).rawJSON()) as string, id);
      await store.close();
    }),
    { numRuns: 60 },
  );
});

for (const name of ['oci-zstd.tar', 'oci-all.tar', 'skopeo-twice-1.tar']) {
  test(`${name} with one bit flipped is refused and leaves nothing, or loads whole`, flips, name);
}

/** Gives the first `count` bytes of an archive, then does `then`. */
async function* startOf(name: string, count: number, then: () => Promise<void>): AsyncGenerator<Uint8Array> {
  yield* inChunks(archiveBytes(name).subarray(0, count), 50_000);
  await then();
}

test('a source that throws in the middle ends the load with its own error, and leaves nothing', async (t) => {
  const { store, before } = await filledStore(t);
  const failure = new Error('the line went dead');
  for (const count of [0, 400, 300_000, 500_000]) {
    const source = startOf('docker25-all.tar', count, () => Promise.reject(failure));
    t.is(await t.throwsAsync(store.load(source)), failure, `after ${count} bytes`);
    t.deepEqual(await footprint(store), before);
  }
  await store.load(archivePath('docker25-all.tar'));
  t.is(store.len(), (expectedArchives['docker25-all.tar'] ?? []).length);
});

test('a signal ends a load whose source gives nothing more, and nothing is left', async (t) => {
  const { store, before } = await filledStore(t);
  for (const count of [0, 300_000, 500_000]) {
    const controller = new AbortController();
    const source = startOf('docker25-all.tar', count, () => {
      controller.abort(new Error('enough'));
      return new Promise(() => undefined);
    });
    const error = await rejection(t, 'ABORTED', store.load(source, { signal: controller.signal }));
    t.is((error.cause as Error).message, 'enough');
    t.deepEqual(await footprint(store), before);
  }
});

test('a signal ends a load at any chunk, the last one too, and one that was given before at once', async (t) => {
  const { store, before } = await filledStore(t);
  const bytes = archiveBytes('docker25-all.tar');
  const chunkBytes = 30_011;
  for (let last = 1; last <= Math.ceil(bytes.length / chunkBytes); last++) {
    const controller = new AbortController();
    let seen = 0;
    const onProgress = (): void => {
      if (++seen === last) controller.abort();
    };
    const options = { signal: controller.signal, onProgress };
    await rejection(t, 'ABORTED', store.load(inChunks(bytes, chunkBytes), options), `chunk ${last}`);
    t.is(seen, last);
  }
  await rejection(t, 'ABORTED', store.load(archivePath('docker25-all.tar'), { signal: AbortSignal.abort() }));
  t.deepEqual(await footprint(store), before);
});

test('a store that is closed during a load leaves nothing of it', async (t) => {
  const { store, before } = await filledStore(t);
  const source = startOf('docker25-all.tar', 500_000, async () => {
    await store.close();
  });
  await t.throwsAsync(store.load(source));
  t.deepEqual(await footprint(await reopened(t, store)), before);
});

test('a store that is closed when the last byte has come refuses the load, and leaves nothing', async (t) => {
  const { store, before } = await filledStore(t);
  const bytes = archiveBytes('docker25-all.tar');
  const source = startOf('docker25-all.tar', bytes.length, async () => {
    await store.close();
  });
  await rejection(t, 'STORE_CLOSED', store.load(source));
  t.deepEqual(await footprint(await reopened(t, store)), before);
});

test('a clock that gives no time fails the load, and nothing is left', async (t) => {
  let time = 1_000;
  const store = await temporaryStore(t, { now: () => time });
  const before = await footprint(store);
  time = Number.NaN;
  await t.throwsAsync(store.load(archivePath('docker25-all.tar')), { instanceOf: RangeError });
  time = 2_000;
  t.deepEqual(await footprint(store), before);
});
