import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import test from 'ava';
import type { ArchiveContents } from '../../src/archive/archive-files.js';
import { digestOf } from '../../src/model/digest.js';
import { fixturePath } from '../support/fixtures.js';
import { stagedBytes } from './memory-staging.js';
import { readBytes } from './read-fixture.js';

interface ExpectedImage {
  readonly id: string;
  readonly references: readonly string[];
  readonly parent: string;
  readonly diffIds: readonly string[];
  readonly chainId: string;
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string;
  readonly manifest?: string;
}

const expected = JSON.parse(readFileSync(fixturePath('archives', 'expected.json'), 'utf8')) as Readonly<
  Record<string, readonly ExpectedImage[]>
>;

function referencesOf(contents: ArchiveContents, id: string): string[] {
  return contents.references
    .filter(({ image, platforms }) => image === id || platforms?.some((platform) => platform.image === id))
    .map(({ reference }) => reference)
    .sort();
}

/** What was read, in the form of expected.json. */
function summary(contents: ArchiveContents): ExpectedImage[] {
  return contents.images
    .map(({ id, image, layers, parent, manifests }) => ({
      id,
      references: referencesOf(contents, id),
      parent: parent ?? '',
      diffIds: layers.map(({ diffId }) => diffId),
      chainId: image.rootFS.chainID(),
      os: image.os,
      architecture: image.architecture,
      ...(image.variant === '' ? {} : { variant: image.variant }),
      ...(contents.format === 'oci' ? { manifest: manifests[0]?.descriptor.digest ?? '' } : {}),
    }))
    .sort((a, b) => (a.id < b.id ? -1 : 1));
}

const reads = test.macro({
  async exec(t, name: string, bytes: Uint8Array, chunkBytes: number) {
    const { contents, staging } = await readBytes(bytes, { chunkBytes });
    t.deepEqual(summary(contents), expected[name] as ExpectedImage[]);
    t.deepEqual(contents.notices, []);
    await contents.discard();
    t.is(staging.left, 0);
  },
  title: (_, name, bytes: Uint8Array, chunkBytes) =>
    `${name}, ${bytes.length} bytes, ${chunkBytes} at a time, holds what it should`,
});

for (const name of Object.keys(expected)) {
  const bytes = readFileSync(fixturePath('archives', name));
  test(reads, name, bytes, bytes.length);
  test(reads, name, bytes, 1000);
  // Only one compression around an archive is looked through.
  if (!name.endsWith('.gz')) test(reads, name, gzipSync(bytes), 65_536);
  // One byte at a time takes microseconds a byte, so the two large ones are left out.
  if (bytes.length < 100_000) test(reads, name, bytes, 1);

  test(`${name} gives layers and manifests whose bytes have the digests they say`, async (t) => {
    const { contents } = await readBytes(bytes);
    for (const { layers, manifests, id, config } of contents.images) {
      t.is(digestOf(config) as string, id);
      for (const { staged } of [
        ...layers,
        ...manifests.flatMap((manifest) => manifest.staged.map((s) => ({ staged: s }))),
      ]) {
        if (staged === undefined) return t.fail('a layer is absent');
        const found = await stagedBytes(staged.file);
        t.is(digestOf(found), staged.blob.digest);
        t.is(found.length, staged.blob.size);
      }
      for (const { descriptor } of manifests) t.true(contents.content.has(descriptor.digest));
    }
    for (const [digest, content] of contents.content) t.is(digestOf(content), digest);
  });
}

for (const name of ['docker25-untagged.tar', 'oci-all.tar']) {
  for (const extension of ['gz', 'zst', 'bz2', 'xz']) {
    const bytes = readFileSync(fixturePath('compressed', `${name}.${extension}`));
    test(reads, name, bytes, 1);
    test(reads, name, bytes, bytes.length);
  }
}

test('layers.json and the archive agree on the sizes of every layer', async (t) => {
  const { contents } = await readBytes(readFileSync(fixturePath('archives', 'docker25-all.tar')));
  const table = readFileSync(fixturePath('layers.json'), 'utf8');
  for (const { layers } of contents.images) {
    for (const { diffId, staged } of layers) {
      const sizes = [...table.matchAll(new RegExp(`"diffId":\\s*"${diffId}"[^}]*?"diffSize":\\s*(\\d+)`, 'g'))];
      t.true(sizes.length > 0, `no row for ${diffId}`);
      for (const [, size] of sizes) t.is(staged?.diffSize, Number(size));
    }
  }
});

test('in a docker archive with an OCI part each name has its manifest', async (t) => {
  const { contents } = await readBytes(readFileSync(fixturePath('archives', 'docker25-all.tar')));
  for (const { target, image } of contents.references) {
    const manifests = contents.images.find(({ id }) => id === image)?.manifests;
    t.is(manifests?.length, 1);
    t.deepEqual(target, manifests?.[0]?.descriptor);
  }
});

test('a name of several platforms has its index as target and the images in its order', async (t) => {
  const { contents } = await readBytes(readFileSync(fixturePath('archives', 'oci-multi-platform.tar')));
  t.is(contents.references.length, 1);
  const [reference] = contents.references;
  t.is(reference?.target?.mediaType, 'application/vnd.oci.image.index.v1+json');
  t.deepEqual(
    reference?.platforms?.map(({ os, architecture, variant }) => [os, architecture, variant]),
    [
      ['linux', 'amd64', undefined],
      ['linux', 'arm64', 'v8'],
    ],
  );
  t.is(reference?.image, reference?.platforms?.[0]?.image);
});

test('bytes are told as they are read from the file, not as they decompress', async (t) => {
  const bytes = readFileSync(fixturePath('archives', 'oci-all.tar.gz'));
  const told: number[] = [];
  await readBytes(bytes, { chunkBytes: 1000, onBytes: (count) => told.push(count) });
  t.deepEqual(told, [1000, 2000, 3000, 4000, bytes.length]);
});
