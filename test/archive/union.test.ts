import { createReadStream } from 'node:fs';
import test, { type ExecutionContext } from 'ava';
import { isStoreError } from '../../src/errors.js';
import type { ArchiveContents, ArchiveReference } from '../../src/archive/archive-files.js';
import { type ReadArchiveOptions, readArchive } from '../../src/archive/read-archive.js';
import { MAX_LEGACY_CONFIG_BYTES, MAX_MANIFEST_DATA_BYTES } from '../../src/limits.js';
import { parsePlatform } from '../../src/model/platform.js';
import { fixturePath } from '../support/fixtures.js';
import {
  blob,
  buildImage,
  descriptor,
  digest,
  dockerEntries,
  indexOf,
  LAYOUT,
  manifestDescriptor,
  manifestOf,
  named,
  ociBlobs,
  ociEntries,
} from './built-archives.js';
import { MemoryStaging } from './memory-staging.js';
import { readBytes } from './read-fixture.js';
import { savedBytes, toSaved } from './saved-contents.js';
import { buildTar } from '../support/build-tar.js';

async function readNamed(name: string, options: ReadArchiveOptions = {}): Promise<ArchiveContents> {
  const path = fixturePath(...`${name}.tar.gz`.split('/'));
  return readArchive(createReadStream(path), new MemoryStaging(), options);
}

/** What a name stands for: `artifact`, or the start of its manifest, or how many platforms of its index. */
function shown({ image, target, platforms }: ArchiveReference): string {
  if (image === undefined) return 'artifact';
  const start = target?.digest.slice(7, 13) ?? 'image';
  return platforms === undefined ? start : `${platforms.length} of ${start}`;
}

function shownNames({ references }: ArchiveContents): Record<string, string> {
  return Object.fromEntries(references.map((each) => [each.reference.replace('docker.io/', ''), shown(each)]));
}

const holds = test.macro({
  async exec(
    t: ExecutionContext,
    name: string,
    images: number,
    names: Record<string, string>,
    artifacts: readonly string[],
    notices: readonly RegExp[],
  ) {
    const contents = await readNamed(name);
    t.is(contents.images.length, images);
    t.deepEqual(shownNames(contents), names);
    t.deepEqual(
      contents.artifacts.map(({ artifactType }) => artifactType),
      [...artifacts],
    );
    t.is(contents.notices.length, notices.length, contents.notices.join('\n'));
    for (const [at, notice] of notices.entries()) t.regex(contents.notices[at] ?? '', notice);
  },
  title: (_, name: string) => `${name}: images, names, artifacts and notices`,
});

test(holds, 'archives-unions/05-config-type-with-charset', 1, { 'br05/params:1': '793372' }, [], []);
test(holds, 'archives-unions/05-empty-config-type', 1, { 'br05/empty:1': 'af6761' }, [], []);
test(holds, 'archives-unions/05-octet-stream-both', 1, { 'br05/octet:1': '90a0f7' }, [], []);
test(holds, 'archives-unions/05-octet-stream-oci', 1, { 'br05/octet:1': '90a0f7' }, [], []);
test(holds, 'archives-unions/09-digest', 1, {}, [], [/name .*its digest is not/]);
test(holds, 'archives-unions/09-tag-and-digest', 1, { 'br09/td:1': 'image' }, [], [/name .*its digest is not/]);
test(
  holds,
  'archives-unions/10-attestation-without-platform',
  1,
  { 'br10/att:2': '1 of 4f120f' },
  ['application/vnd.in-toto+json', ''],
  [],
);
test(holds, 'archives-unions/10-bare-tag', 1, {}, [], [/"latest".*--repository/]);
test(
  holds,
  'archives-unions/10-buildx-attestation',
  1,
  { 'br10/att:1': '1 of add992' },
  ['application/vnd.in-toto+json', ''],
  [],
);
test(
  holds,
  'archives-unions/10-cosign-signature-beside-image',
  1,
  {
    'br10/plain:1': '0abdb8',
    'br10/plain:sha256-0abdb8005213e1226abf8e4798bef70f4cf96d3042f200d6a32f152ed36f122b.sig': 'artifact',
  },
  ['application/vnd.dev.cosign.simplesigning.v1+json'],
  [],
);
test(holds, 'archives-unions/10-descriptor-without-mediaType', 0, {}, [], [/media type ""/, /3 blobs that nothing/]);
test(holds, 'archives-unions/10-empty-index', 0, {}, [], []);
test(
  holds,
  'archives-unions/10-helm-beside-image',
  1,
  { 'br10/chart:1': 'artifact', 'br10/plain:1': '0abdb8' },
  ['application/vnd.cncf.helm.config.v1+json'],
  [],
);
test(
  holds,
  'archives-unions/10-helm-only',
  0,
  { 'br10/chart:1': 'artifact' },
  ['application/vnd.cncf.helm.config.v1+json'],
  [],
);
test(holds, 'archives-unions/10-layer-of-other-platform-missing', 2, { 'br10/part:2': '2 of b1ab42' }, [], []);
test(holds, 'archives-unions/10-manifest-json-empty-list', 1, { 'br10/v:1': '0abdb8' }, [], []);
test(
  holds,
  'archives-unions/10-nested-index-and-its-manifest',
  2,
  { 'br10/multi:2': '2 of b1ab42', 'br10/multi:2-amd64': '0abdb8' },
  [],
  [],
);
test(holds, 'archives-unions/10-nested-index-named', 2, { 'br10/multi:1': '2 of b1ab42' }, [], []);
test(
  holds,
  'archives-unions/10-nested-index-one-missing',
  1,
  { 'br10/part:1': '1 of b1ab42' },
  [],
  [/for linux\/arm64: the archive names it/],
);
test(holds, 'archives-unions/10-nested-index-unnamed', 2, {}, [''], []);
test(holds, 'archives-unions/10-ref-with-scheme', 1, {}, [], [/"docker:\/\/br10\/x:1"/]);
test(
  holds,
  'archives-unions/10-referrer-beside-image',
  1,
  { 'br10/plain:1': '0abdb8' },
  ['application/vnd.dev.sigstore.bundle.v0.3+json'],
  [],
);
test(holds, 'archives-unions/10-same-twice-two-names', 1, { 'br10/a:1': '0abdb8', 'br10/a:2': '0abdb8' }, [], []);
test(
  holds,
  'archives-unions/10-sbom-beside-image',
  1,
  {
    'br10/plain:1': '0abdb8',
    'br10/plain:sha256-0abdb8005213e1226abf8e4798bef70f4cf96d3042f200d6a32f152ed36f122b.sbom': 'artifact',
  },
  ['text/spdx+json'],
  [],
);
test(holds, 'archives-unions/10-single-word', 1, {}, [], [/"myapp".*--repository/]);
test(
  holds,
  'archives-unions/10-two-same-name',
  2,
  { 'br10/same:1': '0d9a4a' },
  [],
  [/^skipped the name .*br10\/same:1 of sha256:0abdb8[0-9a-f]+: a later entry of index\.json has it$/],
);
test(
  holds,
  'archives-unions/12-buildx-full',
  1,
  { 'br12/att:1': '1 of ea3fba' },
  ['application/vnd.in-toto+json', ''],
  [],
);
test(
  holds,
  'archives-unions/12-buildx-neither',
  1,
  { 'br12/att:1': '1 of 4f120f' },
  ['application/vnd.in-toto+json', ''],
  [],
);
test(
  holds,
  'archives-unions/12-buildx-only-platform',
  1,
  { 'br12/att:1': '1 of 746eb4' },
  ['application/vnd.in-toto+json', ''],
  [],
);
test(
  holds,
  'archives-unions/12-cosign-save-atts',
  1,
  { 'reg.example/br12/app:1': '0abdb8' },
  ['application/vnd.dsse.envelope.v1+json'],
  [],
);
test(
  holds,
  'archives-unions/12-cosign-save-sigs',
  1,
  { 'reg.example/br12/app:1': '0abdb8' },
  ['application/vnd.dev.cosign.simplesigning.v1+json'],
  [],
);
test(
  holds,
  'archives-unions/12-cosign-sig-tag',
  1,
  {
    'reg.example/br12/app:1': '0abdb8',
    'reg.example/br12/app:sha256-0abdb8005213e1226abf8e4798bef70f4cf96d3042f200d6a32f152ed36f122b.sig': 'artifact',
  },
  ['application/vnd.dev.cosign.simplesigning.v1+json'],
  [],
);
test(
  holds,
  'archives-unions/12-wasm-module',
  1,
  { 'reg.example/br12/app:1': '0abdb8', 'reg.example/br12/wasm:1': 'artifact' },
  ['application/vnd.wasm.content.layer.v1+wasm'],
  [],
);
test(holds, 'archives-unions/13-complete-both', 2, { 'br13/complete:1': '2 of 4f7aa4' }, [], []);
test(holds, 'archives-unions/13-complete', 2, { 'br13/complete:1': '2 of 4f7aa4' }, [], []);
test(
  holds,
  'archives-unions/13-layers-only-both',
  1,
  { 'br13/layers-only:1': '1 of 4f7aa4' },
  [],
  [/for linux\/arm64: the archive names it/, /1 blob that nothing/],
);
test(
  holds,
  'archives-unions/13-layers-only',
  1,
  { 'br13/layers-only:1': '1 of 4f7aa4' },
  [],
  [/for linux\/arm64: the archive names it/, /1 blob that nothing/],
);
test(holds, 'archives-unions/13-manifest-and-config-both', 2, { 'br13/manifest-and-config:1': '2 of 4f7aa4' }, [], []);
test(holds, 'archives-unions/13-manifest-and-config', 2, { 'br13/manifest-and-config:1': '2 of 4f7aa4' }, [], []);
test(
  holds,
  'archives-unions/13-manifest-only-both',
  1,
  { 'br13/manifest-only:1': '1 of 4f7aa4' },
  [],
  [/for linux\/arm64: the archive names it/],
);
test(
  holds,
  'archives-unions/13-manifest-only',
  1,
  { 'br13/manifest-only:1': '1 of 4f7aa4' },
  [],
  [/for linux\/arm64: the archive names it/],
);
test(
  holds,
  'archives-unions/13-no-manifest-both',
  1,
  { 'br13/no-manifest:1': '1 of 4f7aa4' },
  [],
  [/for linux\/arm64: the archive names it/],
);
test(
  holds,
  'archives-unions/13-no-manifest',
  1,
  { 'br13/no-manifest:1': '1 of 4f7aa4' },
  [],
  [/for linux\/arm64: the archive names it/],
);
test(holds, 'archives-unions/16-multi-platform', 2, { 'br16/multi:1': '2 of 4f7aa4' }, [], []);
test(
  holds,
  'archives-unions/16-second-image-only-in-index',
  2,
  { 'br16/amd:1': '0abdb8', 'br16/arm:1': 'cfe2e2' },
  [],
  [],
);
test(holds, 'archives-unions/17-docker-false', 1, {}, [], [/name .*its digest is not/]);
test(
  holds,
  'archives-unions/17-docker-tag-and-digest-false',
  1,
  { 'br17/app:1': 'image' },
  [],
  [/name .*its digest is not/],
);
test(holds, 'archives-unions/17-oci-containerd-false', 1, {}, [], [/name .*its digest is not/]);
test(
  holds,
  'archives-unions/17-oci-containerd-true',
  1,
  { 'br17/app@sha256:0abdb8005213e1226abf8e4798bef70f4cf96d3042f200d6a32f152ed36f122b': '0abdb8' },
  [],
  [],
);
test(
  holds,
  'archives-unions/17-oci-tag-and-digest-false',
  1,
  { 'br17/app:1': '0abdb8' },
  [],
  [/name .*its digest is not/],
);
test(
  holds,
  'archives-unions/17-oci-tag-and-digest-true',
  1,
  {
    'br17/app:1': '0abdb8',
    'br17/app@sha256:0abdb8005213e1226abf8e4798bef70f4cf96d3042f200d6a32f152ed36f122b': '0abdb8',
  },
  [],
  [],
);
test(holds, 'archives-unions/20-ctr-all-platforms', 3, { 'alc/multi:1': '3 of eae58d' }, [], []);
test(holds, 'archives-new/bx-annot', 2, { 'nw/an:1': '2 of 822a41' }, [], []);
test(
  holds,
  'archives-new/bx-artm',
  2,
  { 'nw/artm:1': '2 of 128172' },
  ['application/vnd.docker.attestation.manifest.v1+json', 'application/vnd.docker.attestation.manifest.v1+json', ''],
  [],
);
test(
  holds,
  'archives-new/bx-oci-multi',
  2,
  { 'nw/bxm:1': '2 of 6e08a1' },
  ['application/vnd.in-toto+json', 'application/vnd.in-toto+json', ''],
  [],
);
test(holds, 'archives-new/bx-zstd', 1, { 'nw/z:1': 'fb39f1' }, [], []);
test(holds, 'archives-new/cache', 0, {}, ['application/vnd.buildkit.cacheconfig.v0'], [/"latest".*--repository/]);
test(
  holds,
  'archives-new/classic-tags',
  1,
  { 'nw/app:1': '23f289', 'nw/app:2': '23f289', 'other/x:y': '23f289' },
  [],
  [],
);
test(
  holds,
  'archives-new/cs-multi',
  2,
  { 'nw/multi:1': '2 of 553eaf' },
  ['application/vnd.in-toto+json', 'application/vnd.in-toto+json', ''],
  [],
);
test(
  holds,
  'archives-new/cs-save',
  2,
  {},
  [
    'application/vnd.in-toto+json',
    'application/vnd.in-toto+json',
    '',
    'application/vnd.dev.cosign.simplesigning.v1+json',
  ],
  [/5 blobs that nothing/],
);
test(
  holds,
  'archives-new/cs-shared',
  1,
  { 'nw/two:1': '1 of 81a184', 'nw/one:1': '1 of 97eb60' },
  ['application/vnd.in-toto+json', '', 'application/vnd.in-toto+json', ''],
  [],
);
test(
  holds,
  'archives-new/ctr-all',
  2,
  { 'nw/bxm:1': '2 of 6e08a1' },
  ['application/vnd.in-toto+json', 'application/vnd.in-toto+json', ''],
  [],
);
test(
  holds,
  'archives-new/or-backup-r',
  2,
  {},
  ['application/vnd.in-toto+json', 'application/vnd.in-toto+json', '', 'application/x.sbom.arm', 'application/x.sbom'],
  [/"1".*--repository/],
);
test(
  holds,
  'archives-new/or-copy-r',
  2,
  {},
  ['application/vnd.in-toto+json', 'application/vnd.in-toto+json', '', 'application/x.sbom.arm', 'application/x.sbom'],
  [/"v1".*--repository/],
);
test(holds, 'archives-new/p-art', 0, { 'p/art:1': 'artifact' }, ['application/x.nw'], []);
test(holds, 'archives-new/p-list2-addz', 2, { 'p/list:2': '4 of ade89f' }, [], []);
test(holds, 'archives-new/p-list2z', 2, { 'p/list:2z': '2 of e8c37d' }, [], []);
test(holds, 'archives-new/p-reg-zstdchunked', 1, { 'p/app:zstdchunked': '1ab48d' }, [], []);
test(
  holds,
  'archives-new/sk-index-only',
  0,
  {},
  [],
  [
    /for linux\/amd64: the archive names it/,
    /for linux\/arm64: the archive names it/,
    /^skipped sha256:[0-9a-f]+: the archive names it/,
    /^skipped sha256:[0-9a-f]+: the archive names it/,
    /contains nothing of that index/,
  ],
);
test(holds, 'archives-new/um', 2, {}, [], [/"z".*--repository/, /"latest".*--repository/, /6 blobs that nothing/]);

const survives = test.macro({
  async exec(t: ExecutionContext, name: string) {
    const before = await readNamed(name);
    for (const format of ['docker', 'oci'] as const) {
      const { contents } = await readBytes(await savedBytes(toSaved(before), { format }));
      t.deepEqual(shownNames(contents), shownNames(before), format);
      t.deepEqual(facts(contents), facts(before), format);
    }
  },
  title: (_, name: string) => `${name}: images, artifacts, digests and annotations survive both formats`,
});

function facts({ images, artifacts, references, content }: ArchiveContents): unknown {
  return {
    images: images.map(({ id }) => id).sort(),
    artifacts: artifacts
      .map(({ descriptor, subject, blobs }) => [descriptor.digest, subject?.digest, blobs.length])
      .sort(),
    annotations: references.map(({ reference, annotations }) => [reference, annotations]).sort(),
    // Saved images without a manifest get one.
    content: [...content.keys()]
      .filter((each) => artifacts.some(({ descriptor }) => descriptor.digest === each))
      .sort(),
  };
}

test(survives, 'archives-new/bx-annot');
test(survives, 'archives-new/bx-artm');
test(survives, 'archives-new/bx-oci-multi');
test(survives, 'archives-new/bx-zstd');
test(survives, 'archives-new/classic-tags');
test(survives, 'archives-new/cs-multi');
test(survives, 'archives-new/cs-shared');
test(survives, 'archives-new/ctr-all');
test(survives, 'archives-new/p-art');
test(survives, 'archives-new/p-list2-addz');
test(survives, 'archives-new/p-list2z');
test(survives, 'archives-new/p-reg-zstdchunked');

test('an index without some of its platforms, as Docker and containerd export it, keeps its digest', async (t) => {
  const before = await readNamed('archives-new/cs-multi', { platforms: [parsePlatform('linux/amd64')] });
  for (const format of ['docker', 'oci'] as const) {
    const notices: string[] = [];
    const onNotice = (text: string): number => notices.push(text);
    const { contents } = await readBytes(await savedBytes(toSaved(before), { format, onNotice }));
    t.deepEqual(shownNames(contents), { 'nw/multi:1': '1 of 553eaf' });
    t.is(contents.images.length, 1);
    t.regex(
      notices.join('\n'),
      /^the index sha256:553eaf\w+ is saved as it came, .*lacks: linux\/arm64, attestations$/,
    );
  }
});

test('a name of manifest.json that index.json points elsewhere is refused', async (t) => {
  const [one, other] = [await buildImage(['a']), await buildImage(['b'])];
  const manifest = manifestOf(other);
  const index = indexOf([manifestDescriptor(manifest, named('docker.io/library/built:0'))]);
  const entries = [LAYOUT, ...ociBlobs([other], [manifest]), { name: 'index.json', body: index }];
  const error = await t.throwsAsync(readEntries([...entries, ...dockerEntries([one])]));
  t.true(isStoreError(error, 'ARCHIVE_MANIFEST_INVALID'));
  t.regex(error?.message ?? '', /points docker.io\/library\/built:0 at/);
});

test('a name of manifest.json means the entry of index.json that has its image and no other name', async (t) => {
  const image = await buildImage(['a']);
  const manifest = manifestOf(image);
  const index = indexOf([manifestDescriptor(manifest, { annotations: { 'org.opencontainers.image.ref.name': '0' } })]);
  const entries = [LAYOUT, ...ociBlobs([image], [manifest]), { name: 'index.json', body: index }];
  const contents = await readEntries([...entries, ...dockerEntries([image], [{ RepoTags: ['built:0', 'built:1'] }])]);
  t.deepEqual(
    contents.references.map(({ reference, target }) => [reference, target?.digest as string | undefined]),
    [
      ['docker.io/library/built:0', digest(manifest)],
      ['docker.io/library/built:1', digest(manifest)],
    ],
  );
  t.deepEqual(contents.notices, []);
});

test('a bare tag gets the repository that the caller names', async (t) => {
  const { references, notices } = await readNamed('archives-new/um', { repository: 'shop/app' });
  t.deepEqual(references.map(({ reference }) => reference).sort(), [
    'docker.io/shop/app:latest',
    'docker.io/shop/app:z',
  ]);
  t.is(notices.length, 1);
});

test('platforms are asked of both parts of an archive, and each must be there', async (t) => {
  const arm = { platforms: [parsePlatform('linux/arm64')] };
  const { images, references, artifacts, notices } = await readNamed('archives-new/cs-multi', arm);
  t.is(images.length, 1);
  t.is(references[0]?.platforms?.length, 1);
  // The index, and the attestation of the platform that is wanted.
  t.is(artifacts.length, 2);
  t.is(notices.length, 2);
  t.regex(notices[0] ?? '', /^skipped sha256:7bd2327f[0-9a-f]+: it is for linux\/amd64$/);
  t.regex(notices[1] ?? '', /^skipped sha256:[0-9a-f]+: it is about sha256:[0-9a-f]+, which is for another platform$/);
  const both = { platforms: ['linux/arm64', 'linux/amd64'].map(parsePlatform) };
  t.is((await readNamed('archives-new/cs-multi', both)).images.length, 2);
  const missing = { platforms: ['linux/arm64', 'linux/s390x'].map(parsePlatform) };
  t.true(isStoreError(await t.throwsAsync(readNamed('archives-new/cs-multi', missing)), 'PLATFORM_NOT_FOUND'));
});

test('index.json without oci-layout does not count beside manifest.json, with a notice', async (t) => {
  const entries = [...dockerEntries([await buildImage(['a'])]), { name: 'index.json', body: '{}' }];
  const { images, notices } = await readEntries(entries);
  t.is(images.length, 1);
  t.deepEqual([...notices], ['skipped index.json: the archive has no oci-layout']);
});

test('the dir form of skopeo, and a layout inside a folder, are refused by name', async (t) => {
  const dir = await t.throwsAsync(readNamed('archives-new/p-docker-dir'));
  t.true(isStoreError(dir, 'ARCHIVE_INVALID'));
  t.regex(dir?.message ?? '', /dir form.*skopeo copy/);
  const inFolder = dockerEntries([await buildImage(['a'])]).map((entry) => ({ ...entry, name: `save/${entry.name}` }));
  const error = await t.throwsAsync(readEntries(inFolder));
  t.true(isStoreError(error, 'ARCHIVE_INVALID'));
  t.regex(error?.message ?? '', /inside the folder "save"/);
});

test('blobs that nothing names are reported, but not the configs of layers that Docker still writes', async (t) => {
  const image = await buildImage(['a']);
  const legacy = (bytes: number): string => `{"container_config":{},"os":"linux","pad":"${'x'.repeat(bytes)}"}`;
  const entries = await ociEntries(image);
  t.deepEqual((await readEntries([...entries, blob(legacy(100))])).notices, []);
  const { notices } = await readEntries([...entries, blob(legacy(MAX_LEGACY_CONFIG_BYTES)), blob('other')]);
  t.is(notices.length, 1);
  t.regex(notices[0] ?? '', /^skipped 2 blobs that nothing in the archive names: sha256:/);
});

test('content that a descriptor has itself needs no blob, up to MAX_MANIFEST_DATA_BYTES', async (t) => {
  for (const [body, isThere] of [
    ['{}', true],
    ['x'.repeat(MAX_MANIFEST_DATA_BYTES + 1), false],
  ] as const) {
    const config = {
      ...descriptor('application/vnd.oci.empty.v1+json', body),
      data: Buffer.from(body).toString('base64'),
    };
    const manifest = JSON.stringify({ schemaVersion: 2, artifactType: 'application/x.note', config, layers: [] });
    const index = indexOf([manifestDescriptor(manifest, named('docker.io/library/note:1'))]);
    const { artifacts } = await readEntries([LAYOUT, blob(manifest), { name: 'index.json', body: index }]);
    t.is(artifacts.length, 1);
    t.is(artifacts[0]?.staged[0] !== undefined, isThere);
  }
});

async function readEntries(
  entries: Parameters<typeof buildTar>[0],
  options: ReadArchiveOptions = {},
): Promise<ArchiveContents> {
  const bytes = await buildTar(entries);
  return readArchive(chunks(bytes), new MemoryStaging(), options);
}

async function* chunks(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}
