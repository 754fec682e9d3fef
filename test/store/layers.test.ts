import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { gzipSync } from 'node:zlib';
import test from 'ava';
import type { ChainId, Digest, ImageId } from '../../src/model/digest.js';
import type { EventStore } from '../../src/store/event-store.js';
import type { Layer } from '../../src/store/store.js';
import { buildTar } from '../support/build-tar.js';
import { imagesOfArchive } from '../support/docker-layers.js';
import { fixturePath } from '../support/fixtures.js';
import { imageConfig } from '../support/image-configs.js';
import { rejection } from '../support/rejection.js';
import { storeError } from '../support/store-error.js';
import { openTestStore } from '../support/test-store.js';

/** A tar of one file. */
function tarOf(name: string, text: string): Promise<Uint8Array> {
  return buildTar([{ name, body: text }]);
}

async function bytesOfStream(stream: AsyncIterable<unknown>): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk as Uint8Array);
  return Buffer.concat(chunks);
}

function streamOf(bytes: Uint8Array): Readable {
  return Readable.from([bytes.subarray(0, 100), bytes.subarray(100)], { objectMode: true });
}

const blobFiles = (store: EventStore): Promise<string[]> => readdir(join(store.directory, 'blobs', 'sha256'));
const stagedFiles = (store: EventStore): Promise<string[]> => readdir(join(store.directory, 'blobs', 'staging'));

interface RecordedLayers {
  readonly layers: readonly { readonly chainId: ChainId }[];
  readonly deletes: readonly { readonly id: ImageId; readonly removed: readonly unknown[] }[];
}

test('layers, their sizes and what each deletion releases are as Docker recorded them', async (t) => {
  const recorded = JSON.parse(await readFile(fixturePath('layers.json'), 'utf8')) as RecordedLayers;
  const store = await openTestStore(t);
  for (const { id, config, layers } of await imagesOfArchive('docker25-all.tar')) {
    const held: Layer[] = [];
    for (const tar of layers) held.push(await store.layers.register(streamOf(tar), held.at(-1)?.chainId));
    t.is(await store.create(config), id);
    for (const layer of held) t.deepEqual(await store.layers.release(layer), []);
  }
  const table = [...store.layers.map().values()].map(({ chainId, diffId, size, diffSize }) => ({
    chainId,
    diffId,
    size,
    diffSize,
  }));
  t.deepEqual(
    table.sort((a, b) => (a.chainId < b.chainId ? -1 : 1)),
    recorded.layers as typeof table,
  );
  for (const { id, removed } of recorded.deletes) t.deepEqual(await store.delete(id), removed as never, id);
  t.is(store.layers.map().size, 0);
  t.deepEqual(await blobFiles(store), []);
});

test('a layer is read back as the tar that it is, however it came', async (t) => {
  const store = await openTestStore(t);
  const [plain, other] = [await tarOf('a', 'x'), await tarOf('b', 'y')];
  const bottom = await store.layers.register(streamOf(plain));
  const top = await store.layers.register(streamOf(gzipSync(other)), bottom.chainId);
  t.deepEqual(await bytesOfStream(bottom.tarStream()), plain);
  t.deepEqual(await bytesOfStream(top.tarStream()), other);
  t.is(top.parent?.chainId, bottom.chainId);
  t.is(bottom.parent, undefined);
  t.deepEqual([bottom.size, bottom.diffSize, top.size, top.diffSize], [1, 1, 2, 1]);
  t.is(store.layers.get(top.chainId).diffId, top.diffId);
});

test('a layer that is there is not added again, in any compression', async (t) => {
  const store = await openTestStore(t);
  const tar = await tarOf('a', 'x');
  const both = await Promise.all([store.layers.register(streamOf(tar)), store.layers.register(streamOf(tar))]);
  const zipped = await store.layers.register(streamOf(gzipSync(tar)));
  t.is(zipped.chainId, both[0].chainId);
  t.is(store.log.head.seq, 1);
  t.is((await blobFiles(store)).length, 1);
  t.deepEqual(await store.layers.release(both[0]), []);
  t.deepEqual(await store.layers.release(zipped), []);
  t.is((await store.layers.release(both[1])).length, 1);
  t.deepEqual(await blobFiles(store), []);
});

test('a layer registered while its last use goes is there with its bytes, in another compression too', async (t) => {
  const store = await openTestStore(t);
  const tar = await tarOf('a', 'x');
  const layer = await store.layers.register(streamOf(tar));
  const id = await store.create(imageConfig('a', [layer.diffId]));
  await store.layers.release(layer);
  const zipped = gzipSync(tar);
  for (let round = 0; round < 5; round++) {
    const [again] = await Promise.all([
      store.layers.register(streamOf(round % 2 === 0 ? zipped : tar)),
      store.delete(id),
    ]);
    t.deepEqual(await bytesOfStream(again.tarStream()), tar);
    await store.create(imageConfig('a', [layer.diffId]));
    await store.layers.release(again);
    t.deepEqual(await bytesOfStream((store.layers.map().get(layer.chainId) as Layer).tarStream()), tar);
  }
});

test('a held layer outlives its images, and goes with its last holder', async (t) => {
  const store = await openTestStore(t);
  const layer = await store.layers.register(streamOf(await tarOf('a', 'x')));
  const id = await store.create(imageConfig('a', [layer.diffId]));
  const second = store.layers.get(layer.chainId);
  t.deepEqual(await store.delete(id), []);
  t.deepEqual(await store.layers.release(layer), []);
  const { chainId, diffId, size, diffSize } = layer;
  t.deepEqual(await store.layers.release(second), [{ chainId, diffId, size, diffSize }]);
  storeError(t, 'LAYER_NOT_FOUND', () => store.layers.get(chainId));
});

test('a layer is released once by its holder, and not by who only saw it', async (t) => {
  const store = await openTestStore(t);
  const layer = await store.layers.register(streamOf(await tarOf('a', 'x')));
  await rejection(t, 'LAYER_NOT_HELD', store.layers.release(store.layers.map().get(layer.chainId) as Layer));
  await rejection(t, 'LAYER_NOT_HELD', store.layers.release({ ...layer, chainId: layer.chainId }));
  await store.layers.release(layer);
  await rejection(t, 'LAYER_NOT_HELD', store.layers.release(layer));
});

test('an image needs its layers, and a layer its parent', async (t) => {
  const store = await openTestStore(t);
  const missing = `sha256:${'ab'.repeat(32)}` as Digest as ChainId;
  await rejection(t, 'LAYER_MISSING', store.create(imageConfig('a', [missing])));
  await rejection(t, 'LAYER_NOT_FOUND', store.layers.register(streamOf(await tarOf('a', 'x')), missing));
  storeError(t, 'LAYER_NOT_FOUND', () => store.layers.get(missing));
  t.is(store.log.head.seq, 0);
});

test('a stream that fails or is not a layer leaves nothing behind', async (t) => {
  const store = await openTestStore(t);
  const tar = await tarOf('a', 'x'.repeat(5_000));
  async function* failing(): AsyncGenerator<Uint8Array> {
    yield tar.subarray(0, 600);
    throw new Error('the network is gone');
  }
  await t.throwsAsync(store.layers.register(failing()), { message: 'the network is gone' });
  for (const bytes of [tar.subarray(0, 700), gzipSync(tar).subarray(0, 40), Buffer.from('no tar'.repeat(200))]) {
    await t.throwsAsync(store.layers.register(streamOf(bytes)), { name: 'StoreError' }, `${bytes.length} bytes`);
  }
  t.is(store.log.head.seq, 0);
  t.deepEqual([await stagedFiles(store), await blobFiles(store)], [[], []]);
});

test('a blob that is gone or damaged is told by name and never served', async (t) => {
  const store = await openTestStore(t);
  const tar = await tarOf('a', 'x'.repeat(5_000));
  const layer = await store.layers.register(streamOf(gzipSync(tar)));
  const [name] = await blobFiles(store);
  const path = join(store.directory, 'blobs', 'sha256', name ?? '');
  // Broken compression, another whole file, and nothing.
  for (const bytes of [gzipSync(tar).subarray(0, 60), gzipSync('other'), 'damaged', '']) {
    await writeFile(path, bytes);
    await rejection(t, 'BLOB_CORRUPT', bytesOfStream(layer.tarStream()));
  }
  await rm(path);
  await rejection(t, 'BLOB_MISSING', bytesOfStream(layer.tarStream()));
});
