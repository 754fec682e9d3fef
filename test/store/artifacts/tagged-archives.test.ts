import { createReadStream } from 'node:fs';
import test from 'ava';
import type { ArchiveArtifact, ArchiveContents } from '../../../src/archive/archive-files.js';
import { readArchive } from '../../../src/archive/read-archive.js';
import { withTag } from '../../../src/store/archives/load-archive.js';
import { storeError } from '../../support/store-error.js';
import { MemoryStaging } from '../../archive/memory-staging.js';
import { archivePath } from '../fixture-archives.js';
import { type BuiltArtifact, builtArtifact } from './built-artifacts.js';

/* What `load --tag` names, where an archive holds artifacts. */

const TAG = 'docker.io/shop/app:new';

async function imagesOf(name: string): Promise<ArchiveContents['images']> {
  return (await readArchive(createReadStream(archivePath(name)), new MemoryStaging(), { allPlatforms: true })).images;
}

function unnamed(images: ArchiveContents['images'], artifacts: readonly BuiltArtifact[]) {
  const all = artifacts.map(({ bytes: _, blobs, ...artifact }): ArchiveArtifact => {
    return { ...artifact, blobs: blobs.map(({ descriptor }) => descriptor), staged: [] };
  });
  return { images, references: [], artifacts: all };
}

const manifestsOf = (images: ArchiveContents['images']) =>
  images.flatMap(({ manifests }) => manifests.slice(0, 1).map(({ descriptor }) => descriptor));

const attestation = builtArtifact({ blobs: ['{}', 'in-toto'] });

test('an index is named as an index, with its images in its order, and what is about it is not', async (t) => {
  const images = await imagesOf('oci-multi-platform.tar');
  const index = builtArtifact({ contains: [...manifestsOf(images).reverse(), attestation.descriptor] });
  const signature = builtArtifact({ subject: index.descriptor });
  const [reference, ...others] = withTag(unnamed(images, [attestation, index, signature]), TAG);
  t.deepEqual(others, []);
  t.like(reference, { reference: TAG, image: images.at(-1)?.id, target: index.descriptor });
  t.deepEqual(
    reference?.platforms?.map(({ image, architecture }) => [image, architecture]),
    images.map(({ id, image }) => [id, image.architecture]).reverse(),
  );
});

test('an index of indexes is named with the images below it', async (t) => {
  const images = await imagesOf('oci-multi-platform.tar');
  const inner = builtArtifact({ contains: manifestsOf(images) });
  const outer = builtArtifact({ contains: [inner.descriptor] });
  const [reference] = withTag(unnamed(images, [inner, outer]), TAG);
  t.like(reference, { image: images[0]?.id, target: outer.descriptor });
  t.is(reference?.platforms?.length, images.length);
});

test('the only artifact of an archive without images is named', (t) => {
  const index = builtArtifact({ contains: [attestation.descriptor] });
  t.deepEqual(withTag(unnamed([], [attestation, index]), TAG), [{ reference: TAG, target: index.descriptor }]);
  t.deepEqual(withTag(unnamed([], [attestation]), TAG), [{ reference: TAG, target: attestation.descriptor }]);
  storeError(t, 'REFERENCE_INVALID', () => withTag(unnamed([], [attestation, builtArtifact({ blobs: ['x'] })]), TAG));
});

test('the only image is named where what is about it comes along', async (t) => {
  const images = (await imagesOf('oci-zstd.tar')).slice(0, 1);
  const [manifest] = manifestsOf(images);
  const signature = builtArtifact({ subject: manifest as never });
  t.deepEqual(withTag(unnamed(images, [signature]), TAG), [{ reference: TAG, image: images[0]?.id, target: manifest }]);
});

test('the only name of an archive gives what it stands for', (t) => {
  const named = { reference: 'docker.io/shop/app:sig', target: attestation.descriptor };
  const contents = { ...unnamed([], [attestation]), references: [named] };
  t.deepEqual(withTag(contents, TAG), [named, { ...named, reference: TAG }]);
  const other = { reference: 'docker.io/shop/app:other', target: builtArtifact({ blobs: ['x'] }).descriptor };
  storeError(t, 'REFERENCE_INVALID', () => withTag({ ...contents, references: [named, other] }, TAG));
});
