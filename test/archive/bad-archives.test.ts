import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import test from 'ava';
import { isStoreError } from '../../src/errors.js';
import { MAX_ARCHIVE_NAME_BYTES } from '../../src/limits.js';
import type { ReadArchiveOptions } from '../../src/archive/read-archive.js';
import { fixturePath } from '../support/fixtures.js';
import { buildTar, type BuiltEntry } from '../support/build-tar.js';
import {
  blob,
  blobName,
  type BuiltImage,
  buildImage,
  dockerEntries,
  indexOf,
  LAYOUT,
  manifestDescriptor,
  manifestOf,
  OCI,
  ociBlobs,
  ociEntries,
} from './built-archives.js';
import { readBytes } from './read-fixture.js';

type Make = (image: BuiltImage) => Promise<readonly BuiltEntry[]> | readonly BuiltEntry[];

/** Every staged layer goes through the staging area, so that what an error leaves there is seen. */
const STAGE_ALL = { maxMemoryFileBytes: 0 };

async function expectCode(
  t: { true(value: boolean, message?: string): unknown; throwsAsync(run: Promise<unknown>): Promise<unknown> },
  bytes: Uint8Array,
  code: string,
  options: ReadArchiveOptions = {},
): Promise<string> {
  let message = '';
  for (const limits of [options.limits ?? {}, { ...STAGE_ALL, ...options.limits }]) {
    const error = await t.throwsAsync(readBytes(bytes, { ...options, limits }));
    t.true(isStoreError(error) && error.code === code, String(error));
    message = String(error);
  }
  return message;
}

const refuses = test.macro({
  async exec(t, _: string, make: Make, code: string, found: RegExp, options?: ReadArchiveOptions) {
    const image = await buildImage(['a', 'b']);
    const message = await expectCode(t, await buildTar(await make(image)), code, options);
    t.regex(message, found);
  },
  title: (_, what) => `refuses ${what}`,
});

const file = (name: string, body = 'x'): BuiltEntry => ({ name, body });
const link = (name: string, target: string): BuiltEntry => ({ name, type: 'symlink', target });
const hardLink = (name: string, target: string): BuiltEntry => ({ name, type: 'link', target });

// Names and links that are used.
const usesLayer =
  (name: string, ...more: readonly BuiltEntry[]): Make =>
  (image) => [...more, ...dockerEntries([image], [{ Layers: ['0.0.tar', name] }])];
test(refuses, 'a layer name with NUL', usesLayer('a\0b'), 'ARCHIVE_NAME_UNSAFE', /NUL/);
test(refuses, 'a layer name that leads out', usesLayer('a/../../b', file('../b')), 'ARCHIVE_NAME_UNSAFE', /leads out/);
test(refuses, 'a link that leads out', usesLayer('a/b', link('a/b', '../../c')), 'ARCHIVE_LINK_INVALID', /inside/);
test(
  refuses,
  'a hard link that leads out',
  usesLayer('a/b', hardLink('a/b', '../c')),
  'ARCHIVE_LINK_INVALID',
  /inside/,
);
test(refuses, 'a link to itself', usesLayer('a', link('a', 'a')), 'ARCHIVE_LINK_INVALID', /loop/);
test(
  refuses,
  'a folder that is a link that leads out',
  usesLayer('a/b', link('a', '../x')),
  'ARCHIVE_LINK_INVALID',
  /"a".*inside/,
);
test(
  refuses,
  'links in a circle',
  usesLayer('b/y', link('a', 'b'), link('b', 'c/x'), link('c', 'a')),
  'ARCHIVE_LINK_INVALID',
  /loop/,
);
test(
  refuses,
  'a link whose target is too long',
  usesLayer('a', link('a', 'x'.repeat(MAX_ARCHIVE_NAME_BYTES + 1))),
  'ARCHIVE_LINK_INVALID',
  /found one of 4097/,
);
test(
  refuses,
  'a link to an absolute path that is not there',
  (image) => [...dockerEntries([image], [{ Config: 'a' }]), link('a', '/etc/passwd')],
  'ARCHIVE_FILE_MISSING',
  /"a"/,
);
const typed = (type: string): Make => usesLayer('a', { name: 'a', type });
test(refuses, 'a device as a layer', typed('3'), 'ARCHIVE_INVALID', /expected a file, found a device/);
test(refuses, 'a pipe as a layer', typed('6'), 'ARCHIVE_INVALID', /found a pipe/);
test(refuses, 'a part of a volume as a layer', typed('M'), 'ARCHIVE_INVALID', /spans volumes/);
test(refuses, 'an unknown type as a layer', typed('Q'), 'ARCHIVE_INVALID', /unknown type "Q"/);
test(
  refuses,
  'a pipe that replaces a layer',
  (image) => [...dockerEntries([image]), { name: '0.1.tar', type: 'fifo' }],
  'ARCHIVE_INVALID',
  /"0\.1\.tar".*found a pipe/,
);
test(
  refuses,
  'data after a link, used or not',
  (image) => [...dockerEntries([image]), { name: 'l', type: 'symlink', target: 'x', body: 'data' }],
  'ARCHIVE_INVALID',
  /expected no data for an entry of type 2, found 4 bytes, at byte \d+, after the entry "manifest\.json"/,
);
// What is not an archive at all.
const isNot = test.macro({
  async exec(t, _: string, make: () => Promise<Uint8Array> | Uint8Array, found: RegExp) {
    t.regex(await expectCode(t, await make(), 'ARCHIVE_INVALID'), found);
  },
  title: (_, what) => `says what it found instead of an archive in ${what}`,
});

test(isNot, 'an empty file', () => Buffer.alloc(0), /an empty file/);
test(isNot, 'a page of HTML', () => Buffer.from(`<!DOCTYPE html>${'<p>no'.repeat(500)}`), /an HTML page/);
test(isNot, 'a short page of HTML', () => Buffer.from('<!DOCTYPE html>'), /an HTML page/);
test(isNot, 'random bytes', () => Buffer.alloc(4000, Buffer.from('c0ffee01', 'hex')), /c0ffee01/);
test(isNot, 'compressed text', () => gzipSync(Buffer.alloc(3000, 'text ')), /text text/);
test(isNot, 'a tar of something else', () => buildTar([file('README.md'), file('src/a.c')]), /README\.md/);
test(isNot, 'a tar with nothing in it', () => Buffer.alloc(1024), /nothing in it/);
test(
  isNot,
  'an archive of Docker before 1.10',
  () => buildTar([file('repositories', '{}'), file('ab/json')]),
  /before 1\.10/,
);
test(isNot, 'an index.json without oci-layout', () => buildTar([file('index.json', indexOf([]))]), /no oci-layout/);
test(isNot, 'an oci-layout without index.json', () => buildTar([LAYOUT]), /no index\.json/);
test(
  isNot,
  'an OCI layout of another version',
  () => buildTar([file('oci-layout', '{"imageLayoutVersion":"2.0.0"}'), file('index.json', indexOf([]))]),
  /"2\.0\.0"/,
);

// manifest.json.
const docker =
  (...changes: object[]): Make =>
  (image) =>
    dockerEntries([image], changes);
const manifest =
  (body: string): Make =>
  () => [file('manifest.json', body)];
test(refuses, 'manifest.json that is null', manifest('null'), 'ARCHIVE_MANIFEST_INVALID', /found null/);
test(refuses, 'manifest.json that is an object', manifest('{}'), 'ARCHIVE_MANIFEST_INVALID', /array/);
test(refuses, 'manifest.json that is not JSON', manifest('[{'), 'ARCHIVE_MANIFEST_INVALID', /manifest\.json/);
test(refuses, 'a config that is not there', docker({ Config: 'no.json' }), 'ARCHIVE_FILE_MISSING', /no\.json/);
test(
  refuses,
  'a config behind a dangling link',
  (image) => [...dockerEntries([image], [{ Config: 'l' }]), link('l', 'no')],
  'ARCHIVE_FILE_MISSING',
  /"l"/,
);
test(refuses, 'a config that is not JSON', docker({ Config: '0.0.tar' }), 'CONFIG_INVALID', /./);
test(refuses, 'a config name that leads out', docker({ Config: '../x' }), 'ARCHIVE_NAME_UNSAFE', /\.\.\/x/);
test(
  refuses,
  'fewer layers than diff ids',
  docker({ Layers: ['0.0.tar'] }),
  'ARCHIVE_MANIFEST_INVALID',
  /expected 2 layers/,
);
test(
  refuses,
  'more layers than diff ids',
  docker({ Layers: ['0.0.tar', '0.1.tar', '0.1.tar'] }),
  'ARCHIVE_MANIFEST_INVALID',
  /found 3/,
);
test(
  refuses,
  'layers in another order',
  docker({ Layers: ['0.1.tar', '0.0.tar'] }),
  'LAYER_MISMATCH',
  /0\.1\.tar: expected diff id sha256:.* found sha256:/,
);
test(
  refuses,
  'a layer that is not a tar',
  docker({ Layers: ['0.0.tar', 'config.0.json'] }),
  'LAYER_INVALID',
  /config\.0\.json/,
);
test(refuses, 'a tag that is not a reference', docker({ RepoTags: ['Not A Tag'] }), 'REFERENCE_INVALID', /Not A Tag/);
test(refuses, 'a parent that is not an id', docker({ Parent: 'mother' }), 'ARCHIVE_MANIFEST_INVALID', /mother/);
test(
  refuses,
  'a config under the digest of something else',
  (image) => [...dockerEntries([image], [{ Config: blobName('x') }]), { name: blobName('x'), body: image.config }],
  'BLOB_MISMATCH',
  /expected the digest sha256/,
);
test(
  refuses,
  'a layer under the digest of something else',
  (image) => [
    ...dockerEntries([image], [{ Layers: ['0.0.tar', blobName('x')] }]),
    { name: blobName('x'), body: image.layers[1] ?? '' },
  ],
  'BLOB_MISMATCH',
  /expected the digest sha256/,
);
test(
  refuses,
  'a diff id that is not a digest',
  () => [
    file('c', '{"rootfs":{"type":"layers","diff_ids":["../../etc"]}}'),
    file('manifest.json', '[{"Config":"c","Layers":["x"]}]'),
  ],
  'CONFIG_INVALID',
  /\.\.\/\.\.\/etc/,
);
test(
  refuses,
  'a layer whose gzip stream is cut',
  (image) => {
    const cut = gzipSync(image.layers[1] ?? '').subarray(0, -9);
    return [...dockerEntries([image], [{ Layers: ['0.0.tar', 'cut'] }]), { name: 'cut', body: cut }];
  },
  'COMPRESSION_INVALID',
  /layer cut/,
);

// Limits.
const limited = (limits: NonNullable<ReadArchiveOptions['limits']>): ReadArchiveOptions => ({ limits });
test(refuses, 'more entries than allowed', docker(), 'ARCHIVE_LIMIT_EXCEEDED', /3 entries/, limited({ maxEntries: 3 }));
test(
  refuses,
  'a longer name than allowed',
  docker(),
  'ARCHIVE_LIMIT_EXCEEDED',
  /10 bytes/,
  limited({ maxNameBytes: 10 }),
);
test(
  refuses,
  'a larger config than allowed',
  docker(),
  'CONFIG_TOO_LARGE',
  /20 bytes/,
  limited({ maxConfigBytes: 20 }),
);
test(
  refuses,
  'a larger manifest.json than allowed',
  docker(),
  'ARCHIVE_LIMIT_EXCEEDED',
  /manifest\.json/,
  limited({ maxJsonBytes: 20 }),
);
test(
  refuses,
  'more layers than allowed',
  docker(),
  'ARCHIVE_LIMIT_EXCEEDED',
  /1 layers/,
  limited({ maxLayersPerImage: 1 }),
);
test(
  refuses,
  'a layer of more entries than allowed',
  docker(),
  'ARCHIVE_LIMIT_EXCEEDED',
  /layer 0\.0\.tar/,
  limited({ layer: { maxEntries: 0 } }),
);
test(
  refuses,
  'more images than allowed',
  (image) => dockerEntries([image, image]),
  'ARCHIVE_LIMIT_EXCEEDED',
  /at most 1 images/,
  limited({ maxImages: 1 }),
);
const sparse = (map: string): BuiltEntry => ({
  ...file('s', 'abc'),
  pax: { 'GNU.sparse.map': map, 'GNU.sparse.size': '1000' },
});
test(
  refuses,
  'a sparse layer whose map overlaps',
  usesLayer('s', sparse('0,2,1,1')),
  'ARCHIVE_INVALID',
  /"s".*expected a sparse file, found a map whose pieces overlap/,
);
test(
  refuses,
  'a sparse layer of larger holes than allowed',
  usesLayer('s', sparse('0,3')),
  'ARCHIVE_LIMIT_EXCEEDED',
  /"s".*holes of at most 996 bytes in sparse files, found 997 bytes/,
  limited({ maxSparseHoleBytes: 996 }),
);
test('refuses an archive that expands like a bomb', async (t) => {
  const bomb = gzipSync(await buildTar([{ name: 'a', body: Buffer.alloc(5_000_000) }]));
  const expansion = { maxBytes: 1e9, maxRatio: 10, ratioFreeBytes: 1_000_000 };
  await expectCode(t, bomb, 'ARCHIVE_LIMIT_EXCEEDED', { limits: { expansion } });
});
test('refuses a layer that expands like a bomb when it is named, and not before', async (t) => {
  const bomb = { name: 'bomb', body: gzipSync(Buffer.alloc(5_000_000)) };
  const expansion = { maxBytes: 1e9, maxRatio: 10, ratioFreeBytes: 1_000_000 };
  const image = await buildImage(['a']);
  const named = await buildTar([bomb, ...dockerEntries([image], [{ Layers: ['bomb'] }])]);
  await expectCode(t, named, 'ARCHIVE_LIMIT_EXCEEDED', { limits: { layer: { expansion } } });
  const { contents } = await readBytes(await buildTar([bomb, ...dockerEntries([image])]), {
    limits: { layer: { expansion } },
  });
  t.is(contents.images.length, 1);
});

// OCI layouts.
const layout = (make: (image: BuiltImage, document: string) => readonly BuiltEntry[]): Make => {
  return (image) => [LAYOUT, ...make(image, manifestOf(image))];
};
const index = (...manifests: Parameters<typeof indexOf>[0]): BuiltEntry => file('index.json', indexOf(manifests));

test(
  refuses,
  'a manifest that is not there',
  layout((_, document) => [index(manifestDescriptor(document))]),
  'ARCHIVE_FILE_MISSING',
  /no such blob/,
);
test(
  refuses,
  'a descriptor with another size',
  layout((image, document) => [...ociBlobs([image], [document]), index({ ...manifestDescriptor(document), size: 1 })]),
  'BLOB_MISMATCH',
  /expected 1 bytes/,
);
test(
  refuses,
  'a blob that is not what its name says',
  layout((image, document) => [
    ...ociBlobs([image], [document]).filter(({ name }) => name !== blobName(document)),
    { name: blobName(document), body: `${document} ` },
    index(manifestDescriptor(document)),
  ]),
  'BLOB_MISMATCH',
  /expected the digest/,
);
test(
  refuses,
  'a manifest with fewer layers than diff ids',
  (image) => {
    const document = manifestOf(image, { layers: [] });
    return [LAYOUT, ...ociBlobs([image], [document]), index(manifestDescriptor(document))];
  },
  'ARCHIVE_MANIFEST_INVALID',
  /expected 2 layers/,
);
test(
  refuses,
  'a digest that is a path',
  layout(() => [index({ mediaType: `${OCI}.manifest.v1+json`, digest: 'sha256:../../x', size: 1 })]),
  'ARCHIVE_MANIFEST_INVALID',
  /SHA-256 digest/,
);
test(
  refuses,
  'an index.json that is not JSON',
  layout(() => [file('index.json', '{')]),
  'ARCHIVE_MANIFEST_INVALID',
  /index\.json/,
);
test(
  refuses,
  "containerd's name when it is not a reference",
  layout((image, document) => [
    ...ociBlobs([image], [document]),
    index(manifestDescriptor(document, { annotations: { 'io.containerd.image.name': 'NO NAME' } })),
  ]),
  'REFERENCE_INVALID',
  /NO NAME/,
);
test(
  refuses,
  'an index of more manifests than allowed',
  layout((_, document) => [index(manifestDescriptor(document), manifestDescriptor(document))]),
  'ARCHIVE_LIMIT_EXCEEDED',
  /at most 1 manifests/,
  limited({ maxImages: 1 }),
);
test(
  refuses,
  'a larger index than allowed',
  ociEntries,
  'ARCHIVE_LIMIT_EXCEEDED',
  /index\.json/,
  limited({ maxJsonBytes: 100 }),
);

// Interruption.
test('stops when it is aborted, before the first byte and between bytes', async (t) => {
  const bytes = readFileSync(fixturePath('archives', 'docker25-all.tar'));
  await expectCode(t, bytes, 'ABORTED', { signal: AbortSignal.abort() });
  for (const after of [1000, 200_000]) {
    const abort = new AbortController();
    const onBytes = (count: number): void => void (count >= after && abort.abort());
    const error = await t.throwsAsync(
      readBytes(bytes, { chunkBytes: 1000, signal: abort.signal, onBytes, limits: STAGE_ALL }),
    );
    t.true(isStoreError(error, 'ABORTED'));
  }
});

test('a blob that nothing names may be anything', async (t) => {
  const image = await buildImage(['a']);
  const entries = [
    ...(await ociEntries(image)),
    blob('anything'),
    file('blobs/sha256/short'),
    link('dangling', 'nowhere'),
  ];
  t.is((await readBytes(await buildTar(entries))).contents.images[0]?.id as string, image.id);
});
