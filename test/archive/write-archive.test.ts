import { readdirSync, readFileSync } from 'node:fs';
import test from 'ava';
import type { ArchiveContents } from '../../src/archive/archive-files.js';
import type { SavedArchive } from '../../src/archive/saved-documents.js';
import { writeArchive } from '../../src/archive/write-archive.js';
import { isStoreError } from '../../src/errors.js';
import { fixturePath } from '../support/fixtures.js';
import { buildTar, inChunks } from '../support/build-tar.js';
import { rejection } from '../support/rejection.js';
import { readTar } from '../../src/archive/tar-reader.js';
import { buildImage, dockerEntries } from './built-archives.js';
import { readBytes } from './read-fixture.js';
import { savedBytes, toSaved } from './saved-contents.js';

const FORMATS = ['docker', 'oci'] as const;
type Format = (typeof FORMATS)[number];

async function readFixture(name: string): Promise<ArchiveContents> {
  return (await readBytes(readFileSync(fixturePath('archives', name)))).contents;
}

/** What a save must bring back: everything but the order, and the parents that an OCI layout has no place for. */
function essence(contents: ArchiveContents, format: Format): unknown {
  const images = contents.images.map(({ id, config, layers, parent }) => ({
    id,
    config: Buffer.from(config).toString(),
    parent: format === 'docker' ? parent : undefined,
    layers: layers.map(({ diffId, staged }) => ({ diffId, blob: staged?.blob, diffSize: staged?.diffSize })),
  }));
  const references = contents.references.map(({ reference, image, platforms }) => ({
    reference,
    image,
    platforms: platforms ?? [],
  }));
  return {
    images: images.sort((a, b) => (a.id < b.id ? -1 : 1)),
    references: references.sort((a, b) => (a.reference < b.reference ? -1 : 1)),
  };
}

const roundTrips = test.macro({
  async exec(t, name: string, format: Format) {
    const before = await readFixture(name);
    const bytes = await savedBytes(toSaved(before), { format });
    const after = (await readBytes(bytes)).contents;
    t.is(after.format, format);
    t.deepEqual(after.notices, []);
    t.deepEqual(essence(after, format), essence(before, format));
    for (const { reference, target } of before.references) {
      if (target === undefined) continue;
      t.deepEqual(after.references.find((found) => found.reference === reference)?.target, target);
      t.deepEqual(after.content.get(target.digest), before.content.get(target.digest));
    }
    t.true(Buffer.from(bytes).equals(await savedBytes(toSaved(after), { format })), 'the second save has other bytes');
  },
  title: (_, name, format) => `${name} saved as ${format} brings everything back, and the same bytes when saved again`,
});

for (const name of readdirSync(fixturePath('archives')).filter((file) => file.includes('.tar'))) {
  for (const format of FORMATS) test(roundTrips, name, format);
}

test('the order in which images and names come does not matter', async (t) => {
  const saved = toSaved(await readFixture('oci-all.tar'));
  const turned: SavedArchive = {
    ...saved,
    images: [...saved.images].reverse(),
    references: [...saved.references].reverse(),
  };
  for (const format of FORMATS) {
    t.deepEqual(await savedBytes(turned, { format }), await savedBytes(saved, { format }));
  }
});

async function filesOf(bytes: Uint8Array): Promise<Map<string, string>> {
  const files = new Map<string, string>();
  for await (const { name, body } of readTar(inChunks(bytes))) {
    const chunks: Uint8Array[] = [];
    for await (const chunk of body) chunks.push(chunk);
    files.set(name, Buffer.concat(chunks).toString());
  }
  return files;
}

/** The entries of index.json or manifest.json, whose order is not Docker's own. */
function sortedEntries(files: ReadonlyMap<string, string>, name: string): string[] {
  const document = JSON.parse(files.get(name) ?? '') as { manifests: unknown[] } | unknown[];
  return ('manifests' in document ? document.manifests : document).map((entry) => JSON.stringify(entry)).sort();
}

test('images of Docker 25 are saved as Docker 25 saves them, also when their manifests are not known', async (t) => {
  const docker = await filesOf(readFileSync(fixturePath('archives', 'docker25-all.tar')));
  const contents = await readFixture('docker25-all.tar');
  const images = contents.images.map((image) => ({ ...image, manifests: [] }));
  const references = contents.references.map(({ reference, image }) => ({ reference, image }));
  const files = await filesOf(await savedBytes(toSaved({ ...contents, images, references }), { format: 'docker' }));
  for (const [name, body] of files) {
    if (name === 'index.json' || name === 'manifest.json') continue;
    t.is(body, docker.get(name) ?? 'absent', name);
  }
  t.deepEqual(sortedEntries(files, 'index.json'), sortedEntries(docker, 'index.json'));
  t.deepEqual(sortedEntries(files, 'manifest.json'), sortedEntries(docker, 'manifest.json'));
});

test('an image without names is there once, with RepoTags null and without repositories', async (t) => {
  const contents = await readFixture('docker25-untagged.tar');
  const files = await filesOf(await savedBytes(toSaved(contents), { format: 'docker' }));
  const theirs = await filesOf(readFileSync(fixturePath('archives', 'docker25-untagged.tar')));
  for (const name of ['index.json', 'manifest.json', 'oci-layout']) t.is(files.get(name), theirs.get(name));
  t.false(files.has('repositories'));
});

test('a pure OCI layout has nothing of Docker, the full name, and the tag alone', async (t) => {
  const files = await filesOf(await savedBytes(toSaved(await readFixture('docker25-all.tar')), { format: 'oci' }));
  t.deepEqual([...files.keys()].filter((name) => !name.startsWith('blobs/')).sort(), ['index.json', 'oci-layout']);
  const index = JSON.parse(files.get('index.json') ?? '') as { manifests: { annotations: Record<string, string> }[] };
  t.deepEqual(
    index.manifests
      .map(({ annotations }) => [
        annotations['io.containerd.image.name'],
        annotations['org.opencontainers.image.ref.name'],
      ])
      .sort(),
    [
      ['docker.io/library/tiny-lib:1', '1'],
      ['docker.io/library/tiny:1', '1'],
      ['docker.io/library/twice:1', '1'],
      ['docker.io/shop/app:1.0', '1.0'],
      ['docker.io/shop/app:2.0', '2.0'],
      ['docker.io/shop/app:latest', 'latest'],
      ['registry.example.com:5000/shop/app:latest', 'latest'],
    ],
  );
});

test('a parent is written only when it is saved too', async (t) => {
  const contents = await readFixture('docker25-all.tar');
  const images = contents.images.filter(({ parent }) => parent !== undefined);
  const after = (await readBytes(await savedBytes(toSaved({ ...contents, images }), { format: 'docker' }))).contents;
  const ids = new Set(images.map(({ id }) => id));
  for (const { id, parent } of after.images) {
    const before = images.find((image) => image.id === id)?.parent;
    t.is(parent, before !== undefined && ids.has(before) ? before : undefined);
  }
});

test('a name of several platforms is narrowed to the images that are saved', async (t) => {
  const contents = await readFixture('oci-multi-platform.tar');
  for (const format of FORMATS) {
    for (const image of contents.images) {
      const saved = toSaved({ ...contents, images: [image] });
      const after = (await readBytes(await savedBytes(saved, { format }))).contents;
      t.deepEqual(
        after.references.map((reference) => reference.image),
        [image.id],
      );
      t.deepEqual(after.references[0]?.target, image.manifests[0]?.descriptor);
    }
  }
});

test('a name of several platforms gets a new index when its own is not known', async (t) => {
  const contents = await readFixture('oci-multi-platform.tar');
  const saved = toSaved(contents);
  const [reference] = contents.references;
  const index = reference?.target?.digest;
  const forgetful: SavedArchive = {
    ...saved,
    content: (digest) => (digest === index ? undefined : saved.content(digest)),
  };
  for (const format of FORMATS) {
    const after = (await readBytes(await savedBytes(forgetful, { format }))).contents;
    t.deepEqual(after.references[0]?.platforms, reference?.platforms);
    t.is(after.references[0]?.target?.mediaType, reference?.target?.mediaType);
  }
});

test('a name whose images are not saved is left out', async (t) => {
  const contents = await readFixture('docker25-all.tar');
  const images = contents.images.slice(0, 1);
  const after = (await readBytes(await savedBytes(toSaved({ ...contents, images }), { format: 'oci' }))).contents;
  t.deepEqual(
    after.references.map(({ reference }) => reference),
    contents.references.filter(({ image }) => image === images[0]?.id).map(({ reference }) => reference),
  );
});

test('an image without layers and one that has a layer twice survive both formats', async (t) => {
  const images = [await buildImage([]), await buildImage(['a', 'b', 'a'])];
  const before = (await readBytes(await buildTar(dockerEntries(images)))).contents;
  for (const format of FORMATS) {
    const after = (await readBytes(await savedBytes(toSaved(before), { format }))).contents;
    t.deepEqual(essence(after, format), essence(before, format));
  }
});

test('a layer that is not there is refused before the first byte', async (t) => {
  const saved: SavedArchive = { ...toSaved(await readFixture('docker25-untagged.tar')), hasBlob: () => false };
  for (const format of FORMATS) {
    t.true(
      isStoreError(
        t.throws(() => writeArchive(saved, { format })),
        'BLOB_MISSING',
      ),
    );
  }
});

const breaks = test.macro({
  async exec(t, _: string, open: (bytes: Uint8Array) => AsyncIterable<Uint8Array>, code: string) {
    const saved = toSaved(await readFixture('docker25-untagged.tar'));
    const broken: SavedArchive = { ...saved, openBlob: () => open(Buffer.alloc(10_240)) };
    const error = await t.throwsAsync(savedBytes(broken, { format: 'docker' }));
    t.true(code === 'RangeError' ? error instanceof RangeError : isStoreError(error, code as never), String(error));
  },
  title: (_, what) => `the stream fails when a layer file ${what}`,
});

test(breaks, 'is shorter than it must be', (bytes) => inChunks(bytes.subarray(1)), 'BLOB_CORRUPT');
test(breaks, 'is longer than it must be', (bytes) => inChunks(Buffer.concat([bytes, bytes])), 'BLOB_CORRUPT');
test(
  breaks,
  'cannot be read',
  async function* (bytes) {
    yield bytes.subarray(0, 100);
    throw new RangeError('disk on fire');
  },
  'RangeError',
);

/** Lets everything that is waiting continue. */
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

test('a save that is aborted or abandoned closes the layer it was reading', async (t) => {
  const saved = toSaved(await readFixture('docker25-untagged.tar'));
  for (const how of ['abort', 'return'] as const) {
    let isClosed = false;
    async function* endless(): AsyncGenerator<Uint8Array> {
      try {
        for (;;) {
          await turn();
          yield new Uint8Array(10);
        }
      } finally {
        isClosed = true;
      }
    }
    const abort = new AbortController();
    const { chunks } = writeArchive({ ...saved, openBlob: endless }, { format: 'docker', signal: abort.signal });
    const reading = (async () => {
      let count = 0;
      for await (const _ of chunks) {
        count += 1;
        if (count === 20 && how === 'abort') abort.abort();
        if (count === 20 && how === 'return') break;
      }
    })();
    if (how === 'abort') await rejection(t, 'ABORTED', reading);
    else await reading;
    for (let turns = 0; turns < 100 && !isClosed; turns++) await turn();
    t.true(isClosed, how);
  }
});

test('bytes are told as they are given, up to the size that was foretold', async (t) => {
  const saved = toSaved(await readFixture('oci-all.tar'));
  const told: number[] = [];
  const bytes = await savedBytes(saved, { format: 'oci', onBytes: (count) => told.push(count) });
  t.is(told.at(-1), bytes.length);
  t.deepEqual(
    told,
    [...told].sort((a, b) => a - b),
  );
});
