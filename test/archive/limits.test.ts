import test from 'ava';
import { isStoreError } from '../../src/errors.js';
import {
  MAX_ARCHIVE_ENTRIES,
  MAX_ARCHIVE_JSON_BYTES,
  MAX_ARCHIVE_NAME_BYTES,
  MAX_CONFIG_BYTES,
  MAX_EXTENDED_HEADER_BYTES,
  MAX_IMAGES_PER_ARCHIVE,
  MAX_INDEX_DEPTH,
  MAX_LAYERS_PER_IMAGE,
  MAX_LINK_DEPTH,
  MAX_REFERENCES_PER_ARCHIVE,
} from '../../src/limits.js';
import { type BuiltEntry, buildTar } from '../support/build-tar.js';
import {
  type BuiltImage,
  buildImage,
  descriptor,
  digest,
  dockerEntries,
  indexOf,
  LAYOUT,
  manifestDescriptor,
  manifestOf,
  OCI,
  ociBlobs,
} from './built-archives.js';
import { readBytes } from './read-fixture.js';

type Make = (count: number) => Promise<Uint8Array>;

const holds = test.macro({
  async exec(t, _: string, limit: number, make: Make, code: string) {
    await t.notThrowsAsync(readBytes(await make(limit)));
    const error = await t.throwsAsync(readBytes(await make(limit + 1)));
    t.true(isStoreError(error) && error.code === code, String(error));
  },
  title: (_, what, limit) => `${what} may be ${limit}, and not one more`,
});

const EMPTY: BuiltEntry = { name: 'manifest.json', body: '[]' };

/** The header of a directory, which may stand in an archive any number of times. */
async function withDirectories(count: number): Promise<Buffer> {
  const header = (await buildTar([{ name: 'd/', type: 'directory' }])).subarray(0, 512);
  return Buffer.concat([Buffer.alloc(512 * count, header), await buildTar([EMPTY])]);
}

/** An extended header and its records make `bytes` together. */
async function withExtendedHeader(bytes: number): Promise<Buffer> {
  const record = bytes - 512;
  const key = ' comment=';
  const value = 'x'.repeat(record - String(record).length - key.length - 1);
  return buildTar([EMPTY, { name: 'a', pax: { comment: value } }]);
}

async function withIndexDepth(depth: number): Promise<Buffer> {
  const image = await buildImage(['a']);
  const documents = [manifestOf(image)];
  let inner = manifestDescriptor(documents[0] ?? '');
  for (let at = 0; at < depth; at++) {
    const outer = indexOf([inner]);
    documents.push(outer);
    inner = descriptor(`${OCI}.index.v1+json`, outer);
  }
  return buildTar([LAYOUT, ...ociBlobs([image], documents), { name: 'index.json', body: indexOf([inner]) }]);
}

async function withLayers(count: number): Promise<Buffer> {
  const base = await buildImage(['a']);
  const diffIds = Array.from({ length: count }, () => digest(base.layers[0] ?? ''));
  const config = Buffer.from(JSON.stringify({ rootfs: { type: 'layers', diff_ids: diffIds } }));
  const image: BuiltImage = { ...base, id: digest(config), config };
  return buildTar(dockerEntries([image], [{ Layers: diffIds.map(() => '0.0.tar') }]));
}

async function withConfigOf(bytes: number): Promise<Buffer> {
  const image = await buildImage(['a']);
  const config = Buffer.concat([image.config, Buffer.alloc(bytes - image.config.length, ' ')]);
  return buildTar(dockerEntries([{ ...image, config }]));
}

async function withImages(count: number): Promise<Buffer> {
  const [config, layer] = dockerEntries([await buildImage(['a'])]);
  const documents = Array.from({ length: count }, () => ({ Config: 'config.0.json', Layers: ['0.0.tar'] }));
  const manifest = { name: 'manifest.json', body: JSON.stringify(documents) };
  return buildTar([config, layer, manifest].filter((entry) => entry !== undefined));
}

async function withNames(count: number): Promise<Buffer> {
  const names = Array.from({ length: count }, (_, at) => `built:${at}`);
  return buildTar(dockerEntries([await buildImage(['a'])], [{ RepoTags: names }]));
}

function withLinks(count: number): Promise<Buffer> {
  const links = Array.from({ length: count }, (_, at): BuiltEntry => {
    const name = at === count - 1 ? 'manifest.json' : `link${at}`;
    return { name, type: 'symlink', target: at === 0 ? 'list' : `link${at - 1}` };
  });
  return buildTar([...links, { ...EMPTY, name: 'list' }]);
}

const padded = (bytes: number): Promise<Buffer> =>
  buildTar([{ name: 'manifest.json', body: `[]${' '.repeat(bytes - 2)}` }]);
const nameOf = (bytes: number): Promise<Buffer> => buildTar([EMPTY, { name: 'n'.repeat(bytes) }]);

test(holds, 'entries besides one', MAX_ARCHIVE_ENTRIES - 1, withDirectories, 'ARCHIVE_LIMIT_EXCEEDED');
test(holds, 'bytes of a name', MAX_ARCHIVE_NAME_BYTES, nameOf, 'ARCHIVE_LIMIT_EXCEEDED');
test(holds, 'bytes of an extended header', MAX_EXTENDED_HEADER_BYTES, withExtendedHeader, 'ARCHIVE_LIMIT_EXCEEDED');
test(holds, 'bytes of manifest.json', MAX_ARCHIVE_JSON_BYTES, padded, 'ARCHIVE_LIMIT_EXCEEDED');
test(holds, 'bytes of a config', MAX_CONFIG_BYTES, withConfigOf, 'CONFIG_TOO_LARGE');
test(holds, 'images', MAX_IMAGES_PER_ARCHIVE, withImages, 'ARCHIVE_LIMIT_EXCEEDED');
test(holds, 'nested indexes', MAX_INDEX_DEPTH, withIndexDepth, 'ARCHIVE_LIMIT_EXCEEDED');
test(holds, 'names', MAX_REFERENCES_PER_ARCHIVE, withNames, 'ARCHIVE_LIMIT_EXCEEDED');
test(holds, 'layers of an image', MAX_LAYERS_PER_IMAGE, withLayers, 'ARCHIVE_LIMIT_EXCEEDED');
test(holds, 'links one after another', MAX_LINK_DEPTH, withLinks, 'ARCHIVE_LINK_INVALID');

test('more names than a call takes arguments are refused like one too many', async (t) => {
  const error = await t.throwsAsync(readBytes(await withNames(125_000)));
  t.true(isStoreError(error, 'ARCHIVE_LIMIT_EXCEEDED'), String(error));
});
