import test from 'ava';
import { isStoreError } from '../../src/errors.js';
import { parsePlatform } from '../../src/model/platform.js';
import { buildTar, type BuiltEntry } from '../support/build-tar.js';
import {
  type BuiltDescriptor,
  type BuiltImage,
  buildImage,
  descriptor,
  digest,
  dockerEntries,
  indexOf,
  LAYOUT,
  manifestDescriptor,
  manifestOf,
  named,
  OCI,
  ociBlobs,
  ociEntries,
} from './built-archives.js';
import { type ReadResult, readBytes } from './read-fixture.js';

interface Platforms {
  readonly amd64: BuiltImage;
  readonly arm64: BuiltImage;
  readonly index: string;
}

async function buildPlatforms(extra: readonly BuiltDescriptor[] = []): Promise<Platforms> {
  const amd64 = await buildImage(['a']);
  const arm64 = await buildImage(['a'], { architecture: 'arm64' });
  const index = indexOf([
    manifestDescriptor(manifestOf(amd64), { platform: { os: 'linux', architecture: 'amd64' } }),
    manifestDescriptor(manifestOf(arm64), { platform: { os: 'linux', architecture: 'arm64', variant: 'v8' } }),
    ...extra,
  ]);
  return { amd64, arm64, index };
}

function layoutOf(
  images: readonly BuiltImage[],
  documents: readonly string[],
  top: readonly BuiltDescriptor[],
): BuiltEntry[] {
  const blobs = ociBlobs(images, [...images.map((image) => manifestOf(image)), ...documents]);
  return [LAYOUT, ...blobs, { name: 'index.json', body: indexOf(top) }];
}

function indexDescriptor(index: string, name = 'docker.io/library/multi:1'): BuiltDescriptor {
  return descriptor(`${OCI}.index.v1+json`, index, named(name));
}

async function read(
  entries: readonly BuiltEntry[],
  options: Parameters<typeof readBytes>[1] = {},
): Promise<ReadResult['contents']> {
  return (await readBytes(await buildTar(entries), options)).contents;
}

const names = test.macro({
  async exec(t, annotations: Readonly<Record<string, string>>, expected: readonly string[]) {
    const image = await buildImage(['a']);
    const entries = layoutOf([image], [], [manifestDescriptor(manifestOf(image), { annotations })]);
    t.deepEqual(
      (await read(entries)).references.map(({ reference }) => reference),
      [...expected],
    );
  },
  title: (_, annotations, expected: readonly string[]) =>
    `${JSON.stringify(annotations)} names ${expected[0] ?? 'nothing'}`,
});

const REF = 'org.opencontainers.image.ref.name';
const CONTAINERD = 'io.containerd.image.name';
test(names, { [REF]: 'tiny:1' }, ['docker.io/library/tiny:1']);
test(names, { [REF]: 'shop/app:2.0' }, ['docker.io/shop/app:2.0']);
test(names, { [REF]: 'shop/app' }, ['docker.io/shop/app:latest']);
test(names, { [REF]: '1.0' }, []);
test(names, { [REF]: 'latest' }, []);
test(names, { [REF]: 'Some: text' }, []);
test(names, { [CONTAINERD]: 'docker.io/library/tiny:1', [REF]: 'other/name:2' }, ['docker.io/library/tiny:1']);
test(names, {}, []);

test('a platform narrows a name of several to the images for it', async (t) => {
  const { amd64, arm64, index } = await buildPlatforms();
  const entries = layoutOf([amd64, arm64], [index], [indexDescriptor(index)]);
  const contents = await read(entries, { platforms: [parsePlatform('linux/arm64')] });
  t.deepEqual(
    contents.images.map(({ id }) => id as string),
    [arm64.id],
  );
  t.is(contents.references[0]?.image as string, arm64.id);
  t.deepEqual(contents.references[0]?.platforms, [
    { image: arm64.id, os: 'linux', architecture: 'arm64', variant: 'v8' },
  ] as never);
  t.is(contents.references[0]?.target?.digest as string, digest(index));
});

test('a platform that is not there is refused with those that are', async (t) => {
  const { amd64, arm64, index } = await buildPlatforms();
  for (const entries of [layoutOf([amd64, arm64], [index], [indexDescriptor(index)]), dockerEntries([amd64, arm64])]) {
    const error = await t.throwsAsync(read(entries, { platforms: [parsePlatform('linux/s390x')] }));
    t.true(isStoreError(error, 'PLATFORM_NOT_FOUND'));
    t.regex(error?.message ?? '', /linux\/s390x.*linux\/amd64, linux\/arm64/);
  }
});

test('a platform chooses among the images of a docker archive too', async (t) => {
  const { amd64, arm64 } = await buildPlatforms();
  const contents = await read(dockerEntries([amd64, arm64]), { platforms: [parsePlatform('linux/arm64')] });
  t.deepEqual(
    contents.images.map(({ id }) => id as string),
    [arm64.id],
  );
  t.deepEqual(
    contents.references.map(({ reference }) => reference),
    ['docker.io/library/built:1'],
  );
  t.is(contents.notices.length, 1);
});

test('a platform that the index names and the archive lacks is told, or refused when all are asked for', async (t) => {
  const { amd64, index } = await buildPlatforms();
  const entries = layoutOf([amd64], [index], [indexDescriptor(index)]);
  const contents = await read(entries);
  t.deepEqual(
    contents.images.map(({ id }) => id as string),
    [amd64.id],
  );
  t.regex(contents.notices.join(), /linux\/arm64\/v8: the archive names it and does not contain it/);
  t.true(contents.content.has(digest(index) as never));
  const error = await t.throwsAsync(read(entries, { allPlatforms: true }));
  t.true(isStoreError(error, 'ARCHIVE_FILE_MISSING'));
});

test('attestations, artifacts and unknown types in an index are kept with it', async (t) => {
  const artifact = JSON.stringify({
    schemaVersion: 2,
    config: descriptor('application/vnd.example+json', '{}'),
    layers: [],
  });
  const { amd64, arm64, index } = await buildPlatforms([
    manifestDescriptor('attestation', { platform: { os: 'unknown', architecture: 'unknown' } }),
    manifestDescriptor('other', { annotations: { 'vnd.docker.reference.type': 'attestation-manifest' } }),
    manifestDescriptor(artifact),
    descriptor('application/vnd.example.v9+json', '{}'),
  ]);
  const contents = await read(layoutOf([amd64, arm64], [index, artifact], [indexDescriptor(index)]));
  t.is(contents.images.length, 2);
  t.is(contents.references[0]?.platforms?.length, 2);
  t.deepEqual(
    contents.artifacts.map(({ descriptor: { digest: each }, contains, blobs }) => [
      each,
      contains.length,
      blobs.length,
    ]),
    [
      [digest(artifact), 0, 1],
      [digest(index), 5, 1],
    ] as never,
  );
  t.is(contents.references[0]?.target?.digest as string, digest(index));
  t.is(contents.notices.length, 2);
});

test("Docker's own media types are read as the OCI ones", async (t) => {
  const image = await buildImage(['a']);
  const docker = 'application/vnd.docker';
  const manifest = JSON.stringify({
    schemaVersion: 2,
    mediaType: `${docker}.distribution.manifest.v2+json`,
    config: descriptor(`${docker}.container.image.v1+json`, image.config),
    layers: image.layers.map((layer) => descriptor(`${docker}.image.rootfs.diff.tar.gzip`, layer)),
  });
  const index = indexOf([descriptor(`${docker}.distribution.manifest.v2+json`, manifest)]);
  const top = [descriptor(`${docker}.distribution.manifest.list.v2+json`, index, named('tiny:1'))];
  const contents = await read([
    LAYOUT,
    ...ociBlobs([image], [manifest, index]),
    { name: 'index.json', body: indexOf(top) },
  ]);
  t.is(contents.images[0]?.id as string, image.id);
  t.deepEqual(contents.references[0]?.platforms, [{ image: image.id, os: 'linux', architecture: 'amd64' }] as never);
});

test('indexes in indexes give the platforms of all', async (t) => {
  const { amd64, arm64, index } = await buildPlatforms();
  const outer = indexOf([descriptor(`${OCI}.index.v1+json`, index)]);
  const contents = await read(layoutOf([amd64, arm64], [index, outer], [indexDescriptor(outer)]));
  t.is(contents.references[0]?.platforms?.length, 2);
  t.true(contents.content.has(digest(index) as never));
  t.true(contents.content.has(digest(outer) as never));
});

test('of several manifests of one image the one that a name stands for comes first', async (t) => {
  const image = await buildImage(['a']);
  const other = manifestOf(image, { annotations: { title: 'other' } });
  const top = [manifestDescriptor(manifestOf(image)), manifestDescriptor(other, named('tiny:1'))];
  const contents = await read(layoutOf([image], [other], top));
  t.deepEqual(
    contents.images[0]?.manifests.map((manifest) => manifest.descriptor.digest as string),
    [digest(other), digest(manifestOf(image))],
  );
});

test('of a name that stands twice the last one wins', async (t) => {
  const [first, second] = [await buildImage(['a']), await buildImage(['b'])];
  const top = [first, second].map((image) => manifestDescriptor(manifestOf(image), named('tiny:1')));
  const contents = await read(layoutOf([first, second], [], top));
  t.deepEqual(
    contents.references.map(({ image }) => image as string),
    [second.id],
  );
  t.is(contents.images.length, 2);
});

test('layers that the archive does not hold are left to the store', async (t) => {
  const image = await buildImage(['a', 'b']);
  const oci = (await ociEntries(image)).filter(({ body }) => body !== image.layers[0]);
  const docker = dockerEntries([image]).filter(({ body }) => body !== image.layers[0]);
  for (const entries of [oci, docker]) {
    const contents = await read(entries);
    t.deepEqual(
      contents.images[0]?.layers.map(({ staged }) => staged !== undefined),
      [false, true],
    );
  }
});

test('a layer of zero bytes stands for the empty tar', async (t) => {
  const empty = Buffer.alloc(1024);
  const rootfs = { type: 'layers', diff_ids: [digest(empty)] };
  const image = { ...(await buildImage([], { rootfs })), layers: [Buffer.alloc(0)] };
  const contents = await read(dockerEntries([image]));
  const staged = contents.images[0]?.layers[0]?.staged;
  t.deepEqual(staged?.blob, { digest: digest(empty), size: 1024, mediaType: `${OCI}.layer.v1.tar` } as never);
});

test('an empty manifest.json loads nothing, and keys count in any case', async (t) => {
  t.is((await read([{ name: 'manifest.json', body: '[]' }])).images.length, 0);
  const image = await buildImage(['a']);
  const [config, layer] = dockerEntries([image]);
  const body = '[{"config":"no","CONFIG":"config.0.json","repotags":["a:1"],"LAYERS":["0.0.tar"]}]';
  const contents = await read([config, layer, { name: 'manifest.json', body }].filter((entry) => entry !== undefined));
  t.is(contents.images[0]?.id as string, image.id);
});

test('files are found through links of files and of directories', async (t) => {
  const image = await buildImage(['a']);
  const entries = dockerEntries([image], [{ Config: 'c/config', Layers: ['links/deep/layer.tar'] }]);
  const contents = await read([
    ...entries,
    { name: 'links', type: 'symlink', target: 'real' },
    { name: 'real/deep/layer.tar', type: 'symlink', target: '../../hard' },
    { name: 'hard', type: 'link', target: '0.0.tar' },
    { name: 'c/config', type: 'symlink', target: './../config.0.json' },
  ]);
  t.is(contents.images[0]?.layers[0]?.staged?.blob.digest as string, digest(image.layers[0] ?? ''));
});
