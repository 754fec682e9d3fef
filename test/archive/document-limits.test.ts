import test from 'ava';
import { ArchiveFile } from '../../src/archive/archive-file.js';
import { DocumentBudget } from '../../src/archive/document-budget.js';
import { isStoreError } from '../../src/errors.js';
import { MAX_ARCHIVE_DOCUMENT_BYTES, MAX_JSON_VALUES } from '../../src/limits.js';
import { buildTar, type BuiltEntry } from '../tar/build-tar.js';
import {
  type BuiltImage,
  buildImage,
  dockerEntries,
  indexOf,
  LAYOUT,
  manifestDescriptor,
  manifestOf,
  named,
  ociBlobs,
} from './built-archives.js';
import { MemoryStaging } from './memory-staging.js';
import { readBytes } from './read-fixture.js';

function sizeOf(entries: readonly BuiltEntry[], isDocument: (entry: BuiltEntry) => boolean): number {
  return entries.filter(isDocument).reduce((sum, { body }) => sum + Buffer.byteLength(body ?? ''), 0);
}

async function threeImages(): Promise<BuiltImage[]> {
  return Promise.all(['a', 'b', 'c'].map((file) => buildImage([file])));
}

async function dockerArchive(): Promise<{ entries: BuiltEntry[]; bytes: number }> {
  const entries = dockerEntries(await threeImages());
  return { entries, bytes: sizeOf(entries, ({ name }) => name.endsWith('.json')) };
}

/** Each image is named twice: its documents are read, and counted, once. */
async function ociArchive(): Promise<{ entries: BuiltEntry[]; bytes: number }> {
  const images = await threeImages();
  const manifests = images.map((image) => manifestOf(image));
  const inner = [...manifests, ...manifests].map((manifest, at) => manifestDescriptor(manifest, named(`tiny:${at}`)));
  const entries = [LAYOUT, ...ociBlobs(images, manifests), { name: 'index.json', body: indexOf(inner) }];
  const layers = sizeOf(
    ociBlobs(images, []),
    ({ body }) => !images.some(({ config }) => config.equals(Buffer.from(body ?? ''))),
  );
  return { entries, bytes: sizeOf(entries, () => true) - layers };
}

const countsTogether = test.macro({
  async exec(t, _: string, make: () => Promise<{ entries: BuiltEntry[]; bytes: number }>) {
    const { entries, bytes } = await make();
    const archive = await buildTar(entries);
    for (const maxMemoryFileBytes of [0, 100_000]) {
      const read = (maxDocumentBytes: number): Promise<unknown> =>
        readBytes(archive, { limits: { maxDocumentBytes, maxMemoryFileBytes } });
      await t.notThrowsAsync(read(bytes));
      const error = await t.throwsAsync(read(bytes - 1));
      t.true(isStoreError(error, 'ARCHIVE_LIMIT_EXCEEDED'), String(error));
      t.regex(String(error), /configs, manifests and indexes/);
    }
  },
  title: (_, what) => `the documents of ${what} are counted together, each once`,
});

test(countsTogether, 'a docker archive', dockerArchive);
test(countsTogether, 'an OCI layout', ociArchive);

const refusesValues = test.macro({
  async exec(t, name: string, before: readonly BuiltEntry[], json: (values: string) => string) {
    const archive = await buildTar([...before, { name, body: json('{},'.repeat(MAX_JSON_VALUES)) }]);
    const error = await t.throwsAsync(readBytes(archive));
    t.true(isStoreError(error, 'ARCHIVE_LIMIT_EXCEEDED'), String(error));
    t.regex(String(error), new RegExp(`${name} of the archive: there are more than ${MAX_JSON_VALUES} values`));
  },
  title: (_, name) => `${name} of more than ${MAX_JSON_VALUES} values is refused`,
});

test(refusesValues, 'manifest.json', [], (values) => `[${values}{}]`);
test(refusesValues, 'index.json', [LAYOUT], (values) => `{"manifests":[${values}{}]}`);

test('a config of more values than allowed is invalid', async (t) => {
  const image = await buildImage(['a'], { other: Array.from({ length: MAX_JSON_VALUES }, () => 0) });
  const error = await t.throwsAsync(readBytes(await buildTar(dockerEntries([image]))));
  t.true(isStoreError(error, 'CONFIG_INVALID'), String(error));
});

test('without another limit, the documents of an archive may have MAX_ARCHIVE_DOCUMENT_BYTES', async (t) => {
  const file = ArchiveFile.inMemory(
    'config.json',
    new Uint8Array(MAX_ARCHIVE_DOCUMENT_BYTES / 64),
    new MemoryStaging(),
  );
  const budget = new DocumentBudget();
  for (let count = 0; count < 64; count++) await budget.read(file, file.size, 'CONFIG_TOO_LARGE');
  const error = await t.throwsAsync(budget.read(file, file.size, 'CONFIG_TOO_LARGE'));
  t.true(isStoreError(error, 'ARCHIVE_LIMIT_EXCEEDED'), String(error));
});
