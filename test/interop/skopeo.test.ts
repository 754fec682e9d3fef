import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { digestOf } from '../../src/model/digest.js';
import { familiarReference } from '../../src/model/reference.js';
import type { ReferenceEntry } from '../../src/store/store.js';
import { imageEntries } from '../support/image-entries.js';
import { archivePath } from '../store/fixture-archives.js';
import { temporaryStore } from '../store/temporary-store.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { requires } from '../support/requires.js';
import { bytesOf } from '../support/text-bytes.js';
import { loaded, nameFacts, NEW_ARCHIVES, newArchive, saved } from './round-trip.js';
import { skopeo } from './run-program.js';
import { extracted, nameInLayout, type SavedFile, savedFile, savedName } from './saved-archive.js';

const withSkopeo = requires('skopeo');
const withTar = requires('skopeo', 'tar');

const FIXTURES = [
  'docker25-all.tar',
  'docker20-all.tar',
  'crane-app.tar',
  'skopeo-twice-1.tar',
  'oci-all.tar',
  'oci-zstd.tar',
];
const FORMATS = ['docker', 'oci'] as const;

type Format = (typeof FORMATS)[number];

/** The names of one image each. */
function singles({ store }: SavedFile): ReturnType<typeof imageEntries> {
  return imageEntries(store).filter(({ platforms }) => platforms === undefined);
}

/** A layout of several names may have a tag twice, and skopeo takes the first: each name is saved by itself. */
async function sourceOf(saved: SavedFile, format: Format, reference: string): Promise<string> {
  if (format === 'docker') return `docker-archive:${saved.path}:${familiarReference(reference)}`;
  return `oci-archive:${await savedName(saved, reference)}:${nameInLayout(reference)}`;
}

const inspects = async (t: ExecutionContext, fixture: string, format: Format): Promise<void> => {
  const saved = await savedFile(t, fixture, format);
  t.true(singles(saved).length > 0);
  for (const { reference, image, target } of singles(saved)) {
    const source = await sourceOf(saved, format, reference);
    const config = await skopeo('inspect', '--config', '--raw', source);
    t.is(digestOf(bytesOf(config)) as string, image);
    const facts = JSON.parse(await skopeo('inspect', source)) as { Layers: string[]; Os: string; Digest: string };
    t.is(facts.Layers.length, saved.store.get(image).rootFS.diffIds.length);
    t.is(facts.Os, 'linux');
    // In a docker archive skopeo makes its own manifest.
    if (format === 'oci' && target !== undefined) t.is(facts.Digest, target.digest);
  }
};

/** Copies each name, which reads every layer, and loads what came out. */
const copies = async (t: ExecutionContext, fixture: string, from: Format, to: Format): Promise<void> => {
  const saved = await savedFile(t, fixture, from);
  const store = await temporaryStore(t);
  for (const [at, { reference, image }] of singles(saved).entries()) {
    const copy = `${to}-archive:${join(saved.directory, `copy-${at}.tar`)}:${familiarReference(reference)}`;
    await skopeo('copy', await sourceOf(saved, from, reference), copy);
    const { images, references, notices } = await store.load(join(saved.directory, `copy-${at}.tar`));
    t.deepEqual(notices, []);
    t.deepEqual(
      references.map((loaded) => loaded.reference),
      [reference],
    );
    const [id] = images.map((loaded) => loaded.id);
    if (id === undefined) return t.fail('the copy holds no image');
    t.deepEqual(store.get(id).rootFS.diffIds, saved.store.get(image).rootFS.diffIds);
    // From Docker's manifest to the OCI's, skopeo writes another config, without the fields that only Docker has.
    const isRewritten = from === 'docker' && to === 'oci';
    t.is(id as string, isRewritten ? digestOf(bytesOf(await skopeo('inspect', '--config', '--raw', copy))) : image);
  }
};

for (const fixture of FIXTURES) {
  for (const format of FORMATS) {
    withSkopeo(`skopeo inspects ${fixture} as we save it in the ${format} format`, inspects, fixture, format);
    for (const to of FORMATS) {
      // Docker's manifest has no media type for zstd, so skopeo refuses to write one.
      if (fixture === 'oci-zstd.tar' && format === 'oci' && to === 'docker') continue;
      const title = `${fixture} saved in the ${format} format, copied by skopeo to ${to}-archive, loads to the same`;
      withSkopeo(title, copies, fixture, format, to);
    }
  }
}

withTar('skopeo reads an extracted OCI layout, every name, and its blobs have their digests', async (t) => {
  const saved = await savedFile(t, 'oci-all.tar', 'oci');
  for (const { reference, image, target } of singles(saved)) {
    const source = `oci:${await extracted(await savedName(saved, reference))}:${nameInLayout(reference)}`;
    t.is(digestOf(bytesOf(await skopeo('inspect', '--config', '--raw', source))) as string, image);
    t.is(digestOf(bytesOf(await skopeo('inspect', '--raw', source))), target?.digest as never);
    await skopeo('copy', source, `dir:${join(saved.directory, image.slice(7, 19))}`);
  }
});

withSkopeo('skopeo finds the index of a name of several platforms, byte for byte', async (t) => {
  const saved = await savedFile(t, 'oci-multi-platform.tar', 'oci');
  const [entry] = saved.store.referenceEntries();
  const raw = await skopeo('inspect', '--raw', await sourceOf(saved, 'oci', 'docker.io/library/tiny:multi'));
  t.is(digestOf(bytesOf(raw)), entry?.target?.digest as never);
  const { manifests } = JSON.parse(raw) as { manifests: { platform: { architecture: string } }[] };
  t.deepEqual(
    manifests.map(({ platform }) => platform.architecture),
    ['amd64', 'arm64'],
  );
});

withSkopeo('skopeo copies all platforms, and the copy loads to the same images, names and index', async (t) => {
  const saved = await savedFile(t, 'oci-multi-platform.tar', 'oci');
  const path = join(saved.directory, 'all.tar');
  const source = await sourceOf(saved, 'oci', 'docker.io/library/tiny:multi');
  await skopeo('copy', '--all', source, `oci-archive:${path}:tiny:multi`);
  const store = await temporaryStore(t);
  await store.load(path);
  t.deepEqual([...store.map().keys()].sort(), [...saved.store.map().keys()].sort());
  const facts = ({ reference, image, target, platforms }: ReferenceEntry): unknown => ({
    reference,
    image,
    target,
    platforms,
  });
  t.deepEqual(store.referenceEntries().map(facts), saved.store.referenceEntries().map(facts));
});

for (const format of ['zstd', 'gzip'] as const) {
  withSkopeo(`layers that skopeo compressed by ${format} keep their manifest through load and save`, async (t) => {
    const saved = await savedFile(t, 'docker25-all.tar', 'oci');
    const path = join(saved.directory, 'compressed.tar');
    const source = await sourceOf(saved, 'oci', 'docker.io/shop/app:2.0');
    await skopeo(
      'copy',
      '--format',
      'oci',
      '--dest-compress-format',
      format,
      source,
      `oci-archive:${path}:shop/app:2.0`,
    );
    const manifest = digestOf(bytesOf(await skopeo('inspect', '--raw', `oci-archive:${path}:shop/app:2.0`)));
    const store = await temporaryStore(t);
    const { images } = await store.load(path);
    t.deepEqual(
      images.map(({ id }) => id),
      [saved.store.resolve('shop/app:2.0')],
    );
    t.is(images[0]?.manifest, manifest);
    const again = await temporaryStore(t);
    t.is((await again.load(store.save('shop/app:2.0', { format: 'oci' }))).images[0]?.manifest, manifest);
  });
}

withSkopeo('the archives of the fixtures are, for skopeo, the images that they are for us', async (t) => {
  for (const fixture of ['docker25-all.tar', 'docker20-all.tar', 'crane-app.tar']) {
    const store = await temporaryStore(t);
    await store.load(archivePath(fixture));
    for (const { reference, image } of imageEntries(store)) {
      const source = `docker-archive:${archivePath(fixture)}:${familiarReference(reference)}`;
      t.is(digestOf(bytesOf(await skopeo('inspect', '--config', '--raw', source))) as string, image);
    }
  }
});

const readsNew = async (t: ExecutionContext, archive: string): Promise<void> => {
  const store = await loaded(t, newArchive(archive));
  const facts = nameFacts(store);
  t.true(facts.length > 0);
  for (const { name, id, digest } of facts) {
    const docker = `docker-archive:${await saved(t, store, 'docker', [name])}:${name}`;
    t.is(digestOf(bytesOf(await skopeo('inspect', '--config', '--raw', docker))) as string, id);
    const oci = `oci-archive:${await saved(t, store, 'oci', [name])}:${nameInLayout(name)}`;
    t.is(digestOf(bytesOf(await skopeo('inspect', '--raw', oci))) as string | undefined, digest);
    const copy = join(await temporaryDirectory(t), 'copy.tar');
    await skopeo('copy', '--all', '--preserve-digests', oci, `oci-archive:${copy}:${name}`);
    const back = await loaded(t, copy);
    t.deepEqual(
      nameFacts(back),
      facts.filter((fact) => fact.name === name),
    );
  }
};

for (const archive of NEW_ARCHIVES) {
  withSkopeo(`skopeo reads ${archive} as we save it, and a copy of all platforms has its digests`, readsNew, archive);
}
