import test from 'ava';
import { ArchiveFile } from '../../src/archive/archive-files.js';
import { dockerManifestCodec, DocumentBudget, parseDocument } from '../../src/archive/documents.js';
import { isStoreError } from '../../src/errors.js';
import { MAX_ARCHIVE_DOCUMENT_BYTES, MAX_JSON_VALUES } from '../../src/limits.js';
import { buildTar, type BuiltEntry } from '../support/build-tar.js';
import {
  buildImage,
  type BuiltImage,
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

/** Counts the turns of the event loop until `stop` is called. */
function countTurns(): { stop(): number } {
  let turns = 0;
  let next: NodeJS.Immediate;
  const turn = (): void => {
    turns += 1;
    next = setImmediate(turn);
  };
  next = setImmediate(turn);
  return {
    stop() {
      clearImmediate(next);
      return turns;
    },
  };
}

const countsTurns = test.macro({
  async exec(t, _: string, least: number, make: () => Promise<Uint8Array>) {
    const archive = await make();
    let turns: { stop(): number } | undefined;
    // All is in memory: nothing after the last byte waits for the system.
    const onBytes = (bytes: number): void => {
      if (bytes === archive.length) turns = countTurns();
    };
    await readBytes(archive, { onBytes });
    const found = turns?.stop() ?? 0;
    t.true(found >= least, `${found} turns`);
  },
  title: (_, what) => `others have turns while ${what} is read`,
});

const zeros = (count: number): string => Array<string>(count).fill('0').join();

test(countsTurns, 'a docker archive of large configs', 10, async () => {
  const image = await buildImage(['a']);
  const configs = Array.from({ length: 12 }, (_, at) => ({
    ...image,
    config: Buffer.from(`${image.config.subarray(0, -1)},"n":${at},"x":[${zeros(90_000)}]}`),
  }));
  return buildTar(dockerEntries(configs));
});

test(countsTurns, 'a docker archive that names one image thousands of times', 5, async () => {
  const entries = dockerEntries([await buildImage(['a'])]).filter(({ name }) => name !== 'manifest.json');
  const documents = Array.from({ length: 9_000 }, () => ({ Config: 'config.0.json', Layers: ['0.0.tar'] }));
  return buildTar([...entries, { name: 'manifest.json', body: JSON.stringify(documents) }]);
});

test(countsTurns, 'a manifest.json of many values', 5, async () => {
  const entries = dockerEntries([await buildImage(['a'])], [{ x: JSON.parse(`[${zeros(400_000)}]`) as unknown }]);
  return buildTar(entries);
});

test(countsTurns, 'an index.json of many descriptors', 5, async () => {
  const image = await buildImage(['a']);
  const manifest = manifestOf(image);
  const descriptors = Array.from({ length: 9_000 }, () => manifestDescriptor(manifest));
  return buildTar([LAYOUT, ...ociBlobs([image], [manifest]), { name: 'index.json', body: indexOf(descriptors) }]);
});

test('a long document is decoded as a short one is, with errors at their places', async (t) => {
  const budget = new DocumentBudget();
  const text = (last: string): Uint8Array =>
    Buffer.from(`[${'{"Config":"a","LayerSources":{"b":{"size":1}}},'.repeat(5_000)}${last}]`);
  const bytes = text('{"RepoTags":["c",null]}');
  t.deepEqual(
    await budget.parse(bytes, dockerManifestCodec, 'manifest.json'),
    parseDocument(bytes, dockerManifestCodec, 'manifest.json'),
  );
  const error = await t.throwsAsync(budget.parse(text('{"RepoTags":["c",7]}'), dockerManifestCodec, 'manifest.json'));
  t.true(isStoreError(error, 'ARCHIVE_MANIFEST_INVALID'), String(error));
  t.regex(String(error), /5000\.RepoTags\.1: expected a string, found number 7/);
});
