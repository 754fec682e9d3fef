import test from 'ava';
import {
  blob,
  buildImage,
  descriptor,
  indexOf,
  LAYOUT,
  manifestDescriptor,
  manifestOf,
  OCI,
} from '../../archive/built-archives.js';
import { buildTar } from '../../support/build-tar.js';
import { temporaryStore } from '../temporary-store.js';
import { bytesIn } from './artifact-world.js';

const EMPTY = 'application/vnd.oci.empty.v1+json';

function layout(manifest: string, bytes: readonly (string | Uint8Array)[]): Promise<Buffer> {
  const body = indexOf([manifestDescriptor(manifest)]);
  return buildTar([LAYOUT, ...[manifest, ...bytes].map(blob), { name: 'index.json', body }]);
}

function artifactOf(text: string, more: object = {}): string {
  return JSON.stringify({
    schemaVersion: 2,
    mediaType: `${OCI}.manifest.v1+json`,
    artifactType: 'application/x',
    config: descriptor(EMPTY, '{}'),
    layers: [descriptor('text/plain', text, more)],
  });
}

test('an artifact with a false size of a blob of the store is not kept', async (t) => {
  const store = await temporaryStore(t);
  await store.load(bytesIn(await layout(artifactOf('text'), ['{}', 'text'])));
  const lying = artifactOf('text', { size: 500 });
  const { artifacts, notices } = await store.load(bytesIn(await layout(lying, ['{}'])));
  t.deepEqual(artifacts, []);
  t.regex(notices.join(), /was not kept: the archive lacks its blob/);
  t.deepEqual(await store.verify(), []);
});

test('a manifest with a false size of a layer of the store is not kept', async (t) => {
  const store = await temporaryStore(t);
  const image = await buildImage(['a']);
  await store.load(bytesIn(await layout(manifestOf(image), [image.config, ...image.layers])));
  const layers = image.layers.map((layer) => descriptor(`${OCI}.layer.v1.tar`, layer, { size: 999 }));
  const { notices } = await store.load(bytesIn(await layout(manifestOf(image, { layers }), [image.config])));
  t.regex(notices.join(), /was not kept: the archive lacks its layer/);
  t.deepEqual(await store.verify(), []);
});

test('a manifest that names a layer of the store as another one is refused, also where the archive lacks the layer', async (t) => {
  const store = await temporaryStore(t);
  const [image, other] = [await buildImage(['a', 'b']), await buildImage(['c'])];
  for (const { config, layers } of [image, other]) {
    await store.load(bytesIn(await layout(manifestOf({ ...image, config, layers }), [config, ...layers])));
  }
  const { seq } = store.log.head;
  const turned = [image.layers[1], other.layers[0]].map((layer) =>
    descriptor(`${OCI}.layer.v1.tar`, layer as Uint8Array),
  );
  const loading = store.load(bytesIn(await layout(manifestOf(image, { layers: turned }), [image.config])));
  await t.throwsAsync(loading, { code: 'LAYER_MISMATCH' });
  t.is(store.log.head.seq, seq);
});

test('a prune keeps the config of a removed image that an artifact has as a blob', async (t) => {
  const store = await temporaryStore(t);
  const image = await buildImage(['a']);
  const bytes = [image.config, ...image.layers];
  const { images } = await store.load(bytesIn(await layout(manifestOf(image), bytes)));
  const encrypted = manifestOf(image, { artifactType: 'application/x-encrypted' });
  await store.load(bytesIn(await layout(encrypted, bytes)));
  for (const { id } of images) await store.delete(id);
  const { contents } = await store.prune({ before: store.log.head.seq });
  t.false(contents.some(({ digest }) => digest === image.id));
  t.deepEqual(await store.verify(), []);
});
