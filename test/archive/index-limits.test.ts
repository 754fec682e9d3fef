import test from 'ava';
import { isStoreError } from '../../src/errors.js';
import { MAX_ARCHIVE_DESCRIPTORS, MAX_INDEX_DEPTH } from '../../src/limits.js';
import { buildTar } from '../support/build-tar.js';
import {
  type BuiltDescriptor,
  type BuiltImage,
  buildImage,
  descriptor,
  indexOf,
  LAYOUT,
  manifestDescriptor,
  manifestOf,
  OCI,
  ociBlobs,
} from './built-archives.js';
import { readBytes } from './read-fixture.js';

/** An OCI layout of one image; `describe` adds indexes and returns what index.json names. */
async function layout(
  describe: (
    manifest: BuiltDescriptor,
    addIndex: (manifests: readonly BuiltDescriptor[]) => BuiltDescriptor,
  ) => readonly BuiltDescriptor[],
): Promise<Buffer> {
  const image: BuiltImage = await buildImage(['a']);
  const documents = [manifestOf(image)];
  const top = describe(manifestDescriptor(documents[0] ?? ''), (manifests) => {
    const index = indexOf(manifests);
    documents.push(index);
    return descriptor(`${OCI}.index.v1+json`, index);
  });
  return buildTar([LAYOUT, ...ociBlobs([image], documents), { name: 'index.json', body: indexOf(top) }]);
}

/** Each index names the one before, and index.json names all, the innermost first: each is known when it is met again. */
function chainFromInside(length: number): Promise<Buffer> {
  return layout((manifest, addIndex) => {
    const chain = [addIndex([manifest])];
    while (chain.length < length) chain.push(addIndex(chain.slice(-1)));
    return chain;
  });
}

test('indexes that were read already count as nested where they are named again', async (t) => {
  await t.notThrowsAsync(readBytes(await chainFromInside(MAX_INDEX_DEPTH)));
  const error = await t.throwsAsync(readBytes(await chainFromInside(MAX_INDEX_DEPTH + 1)));
  t.true(isStoreError(error, 'ARCHIVE_LIMIT_EXCEEDED'), String(error));
  t.regex(String(error), new RegExp(`at most ${MAX_INDEX_DEPTH} nested indexes, found ${MAX_INDEX_DEPTH + 1}`));
});

test('descriptors are counted over all indexes, as often as they are reached', async (t) => {
  // Two in index.json; each is an index that names three times one of two manifests.
  const archive = await layout((manifest, addIndex) => {
    const inner = addIndex([manifest, manifest]);
    const outer = addIndex([inner, inner, inner]);
    return [outer, outer];
  });
  const reached = 2 + 2 * (3 + 3 * 2);
  await t.notThrowsAsync(readBytes(archive, { limits: { maxDescriptors: reached } }));
  const error = await t.throwsAsync(readBytes(archive, { limits: { maxDescriptors: reached - 1 } }));
  t.true(isStoreError(error, 'ARCHIVE_LIMIT_EXCEEDED'), String(error));
  t.regex(
    String(error),
    new RegExp(`at most ${reached - 1} descriptors in the indexes of the archive, found ${reached}`),
  );
});

test('a few indexes that multiply to more than MAX_ARCHIVE_DESCRIPTORS are refused', async (t) => {
  const side = Math.ceil(Math.sqrt(MAX_ARCHIVE_DESCRIPTORS));
  const archive = await layout((manifest, addIndex) => {
    const inner = addIndex(Array.from({ length: side }, () => manifest));
    return Array.from({ length: side }, () => inner);
  });
  const error = await t.throwsAsync(readBytes(archive));
  t.true(isStoreError(error, 'ARCHIVE_LIMIT_EXCEEDED'), String(error));
});
