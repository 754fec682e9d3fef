import { appendFileSync, rmSync, truncateSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import test from 'ava';
import type { ErrorCode } from '../../src/errors.js';
import type { LoadResult } from '../../src/store/store.js';
import { rejection } from '../support/rejection.js';
import { inChunks } from '../support/build-tar.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { archiveBytes, archivePath, expectedArchives, imagesIn, withoutManifests } from './fixture-archives.js';
import { footprint, reopened, temporaryStore } from './temporary-store.js';

type Source = (name: string) => Readable | string;

/** Odd sizes, so that no chunk ends where a tar block does. */
const pipe =
  (chunkBytes: number): Source =>
  (name) =>
    Readable.from(inChunks(archiveBytes(name), chunkBytes), { objectMode: false });

const loads = test.macro(async (t, name: string, source: Source) => {
  const expected = expectedArchives[name] ?? [];
  const hasManifests = expected.some(({ manifest }) => manifest !== undefined);
  const store = await temporaryStore(t);
  const result = await store.load(source(name));
  t.deepEqual(result.notices, []);
  t.deepEqual(
    result.images.map(({ id }) => id as string).sort(),
    expected.map(({ id }) => id),
  );
  t.true(result.images.every(({ created }) => created));
  t.is(result.seq, store.log.head.seq);
  const images = await imagesIn(store);
  t.deepEqual(hasManifests ? images : withoutManifests(images), expected);
  const again = await reopened(t, store);
  t.deepEqual(await imagesIn(again), images);
});

for (const name of Object.keys(expectedArchives)) {
  test(`${name} from a path gives what it holds, and so after a reopening`, loads, name, archivePath);
  test(`${name} from a pipe in chunks of 977 bytes gives what it holds`, loads, name, pipe(977));
  test(`${name} from a pipe in chunks of 65,537 bytes gives what it holds`, loads, name, pipe(65_537));
}

test('the result tells of each image its platform, its parent and the manifest it came with', async (t) => {
  const store = await temporaryStore(t);
  const { images, format, layersAdded } = await store.load(archivePath('docker25-all.tar'));
  const facts = new Map((expectedArchives['docker25-all.tar'] ?? []).map((image) => [image.id, image]));
  t.is(format, 'docker');
  t.is(layersAdded, store.stats().layers);
  for (const { id, parent, platform, manifest } of images) {
    t.is(parent ?? '', facts.get(id)?.parent as string);
    t.deepEqual([platform.os, platform.architecture], [facts.get(id)?.os, facts.get(id)?.architecture]);
    t.regex(manifest ?? '', /^sha256:/);
  }
});

test('progress counts the bytes of the file, up to its size', async (t) => {
  const store = await temporaryStore(t);
  const told: [number, number | undefined][] = [];
  const onProgress = (bytes: number, total: number | undefined): void => void told.push([bytes, total]);
  await store.load(archivePath('docker25-all.tar'), { onProgress });
  const size = archiveBytes('docker25-all.tar').length;
  t.deepEqual(told.at(-1), [size, size]);
  t.deepEqual(
    told,
    [...told].sort(([a], [b]) => a - b),
  );
  told.length = 0;
  await store.load(Readable.from(inChunks(archiveBytes('skopeo-tiny-1.tar'), 4_000)), { onProgress });
  t.deepEqual(told.at(-1), [archiveBytes('skopeo-tiny-1.tar').length, undefined]);
});

test('a path that leads to no file, or to a directory, is refused by name', async (t) => {
  const store = await temporaryStore(t);
  await rejection(t, 'FILE_NOT_FOUND', store.load(`${store.directory}/nothing.tar`));
  await rejection(t, 'ARCHIVE_INVALID', store.load(store.directory));
  t.is(store.log.head.seq, 0);
});

const summary = ({ images, references, layersAdded }: LoadResult): unknown => ({
  created: images.filter(({ created }) => created).length,
  moved: references.filter(({ previous }) => previous !== undefined).length,
  layersAdded,
});

for (const name of Object.keys(expectedArchives)) {
  test(`${name} loaded twice adds no event the second time`, async (t) => {
    const store = await temporaryStore(t);
    await store.load(archivePath(name));
    const { seq } = store.log.head;
    const result = await store.load(archivePath(name));
    t.deepEqual(summary(result), { created: 0, moved: 0, layersAdded: 0 });
    t.is(result.seq, seq);
    t.is(store.log.head.seq, seq);
  });
}

test('all the archives together in one store give the union of what they hold, in any order', async (t) => {
  const names = Object.keys(expectedArchives);
  const forward = await temporaryStore(t);
  for (const name of names) await forward.load(archivePath(name));
  const backward = await temporaryStore(t);
  for (const name of names.toReversed()) await backward.load(archivePath(name));
  const ids = [...new Set(Object.values(expectedArchives).flatMap((images) => images.map(({ id }) => id)))].sort();
  for (const store of [forward, backward]) {
    const images = await imagesIn(store);
    t.deepEqual(
      images.map(({ id }) => id),
      ids,
    );
    const parents = new Map((expectedArchives['docker25-all.tar'] ?? []).map(({ id, parent }) => [id, parent]));
    for (const { id, parent } of images) t.is(parent, parents.get(id) ?? '');
  }
});

test('a file of a directory that goes away or changes while it is read is named, and nothing is kept', async (t) => {
  const store = await temporaryStore(t);
  const directory = await temporaryDirectory(t);
  const text = Buffer.alloc(2 ** 22, 'x');
  await mkdir(join(directory, 'blobs', 'sha256'), { recursive: true });
  await writeFile(join(directory, 'index.json'), '{"manifests":[]}');
  await writeFile(join(directory, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  const changes: readonly (readonly [code: ErrorCode, change: (file: string) => void])[] = [
    ['ARCHIVE_TRUNCATED', (file) => truncateSync(file, 100)],
    ['ARCHIVE_TRUNCATED', (file) => appendFileSync(file, 'more')],
    ['FILE_NOT_FOUND', (file) => rmSync(file, { force: true })],
  ];
  const before = JSON.stringify(await footprint(store));
  for (const [code, change] of changes) {
    // The last file that is read.
    const file = join(directory, 'z');
    await writeFile(file, text);
    const { message } = await rejection(t, code, store.load(directory, { onProgress: () => change(file) }));
    t.true(message.includes(file), message);
    t.is(JSON.stringify(await footprint(store)), before);
  }
  await rejection(t, 'REFERENCE_INVALID', store.load(directory, { repository: 'shop/app:1' }));
});
