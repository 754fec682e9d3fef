import { createReadStream } from 'node:fs';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { parseCheckpoint } from '../../src/log/checkpoint.js';
import { openStore } from '../../src/store/open/open-store.js';
import type { EventStore } from '../../src/store/event-store.js';
import { fixturePath } from '../support/fixtures.js';
import { imageConfig } from '../support/image-configs.js';
import { rejection } from '../support/rejection.js';
import { openFailingStore } from '../support/test-store.js';
import { temporaryDirectory } from '../support/temporary-directory.js';

const ARCHIVE = fixturePath('archives', 'docker25-all.tar');

const openAt = (directory: string): Promise<EventStore> => openStore(directory, { actor: 'tester' });

/** A closed store with the images of a real archive; its log is one write-ahead log. */
async function loadedStore(t: ExecutionContext): Promise<string> {
  const directory = join(await temporaryDirectory(t), 'store');
  const store = await openAt(directory);
  await store.load(ARCHIVE);
  await store.close();
  return directory;
}

const blobsOf = (directory: string): Promise<string[]> => readdir(join(directory, 'blobs', 'sha256'));

/** Flips one bit early in the write-ahead log: LevelDB drops all that follows, and opens. */
async function flipEarlyBit(directory: string): Promise<void> {
  const logs = (await readdir(join(directory, 'log'))).filter((name) => name.endsWith('.log'));
  for (const name of logs) {
    const path = join(directory, 'log', name);
    const bytes = await readFile(path);
    bytes[20] = (bytes[20] ?? 0) ^ 1;
    await writeFile(path, bytes);
  }
}

test('a log that lost its end is refused, and its blobs are left alone', async (t) => {
  const directory = await loadedStore(t);
  const blobs = await blobsOf(directory);
  await flipEarlyBit(directory);
  const error = await rejection(t, 'LOG_CORRUPT', openAt(directory));
  t.regex(error.message, /its end was lost/);
  t.deepEqual(await blobsOf(directory), blobs);
});

test('a store without a checkpoint opens, and a log without events takes no blob for garbage', async (t) => {
  const directory = await loadedStore(t);
  const blobs = await blobsOf(directory);
  await rm(join(directory, 'checkpoint'));
  await (await openAt(directory)).close();
  await flipEarlyBit(directory);
  await rm(join(directory, 'checkpoint'));
  const store = await openAt(directory);
  t.teardown(() => store.close());
  t.deepEqual(await blobsOf(directory), blobs);
});

test('a load has its checkpoint before its caller is told, and a thousand creates have it at their end', async (t) => {
  const directory = join(await temporaryDirectory(t), 'store');
  const store = await openAt(directory);
  t.teardown(() => store.close());
  const size = async (): Promise<number> => parseCheckpoint(await readFile(join(directory, 'checkpoint'))).size;
  const { seq } = await store.load(ARCHIVE);
  t.is(await size(), seq);
  const configs = Array.from({ length: 1_000 }, (_, at) => imageConfig(`many ${at}`));
  await Promise.all(configs.map((config) => store.create(config)));
  t.is(await size(), store.log.head.seq);
});

test('blobs whose events may be durable stay when the log can no longer be read', async (t) => {
  const { store, databases } = await openFailingStore(t);
  databases.fates.push('unsure');
  databases.failingOpens = 1;
  await rejection(t, 'OUTCOME_UNKNOWN', store.load(createReadStream(ARCHIVE)));
  const blobs = await blobsOf(store.directory);
  t.true(blobs.length > 0);
  await rejection(t, 'LOG_FAILED', store.create(imageConfig('later')));
});

test('a reader continues behind a write that failed and was settled', async (t) => {
  const { store, databases } = await openFailingStore(t);
  await Promise.all(Array.from({ length: 2_500 }, (_, at) => store.create(imageConfig(`first ${at}`))));
  const seqs: number[] = [];
  for await (const { seq } of store.log.read({ to: 2_500 })) {
    seqs.push(seq);
    if (seq !== 10) continue;
    databases.fates.push('lost');
    await rejection(t, 'OUTCOME_UNKNOWN', store.create(imageConfig('lost')));
  }
  t.deepEqual(
    seqs,
    Array.from({ length: 2_500 }, (_, at) => at + 1),
  );
});

test('a blob of the wrong size is replaced when its archive is loaded again', async (t) => {
  const directory = await loadedStore(t);
  const [name = ''] = await blobsOf(directory);
  const path = join(directory, 'blobs', 'sha256', name);
  const whole = await readFile(path);
  await writeFile(path, whole.subarray(0, 5));
  const store = await openAt(directory);
  t.teardown(() => store.close());
  await store.load(ARCHIVE);
  t.deepEqual(await readFile(path), whole);
});

test('an owner file that can neither be written nor removed keeps no store from opening and closing', async (t) => {
  const directory = await loadedStore(t);
  await mkdir(join(directory, 'owner.json', 'below'), { recursive: true });
  for (let round = 0; round < 2; round++) {
    const store = await openAt(directory);
    t.is(store.len(), 5);
    await store.close();
  }
});

test('options are checked before anything is made', async (t) => {
  const directory = join(await temporaryDirectory(t), 'store');
  await rejection(t, 'ENVELOPE_INVALID', openStore(directory, { actor: '' }));
  await t.throwsAsync(openStore(directory, { now: 5 as unknown as () => number }), { instanceOf: TypeError });
  await t.throwsAsync(readdir(directory), { code: 'ENOENT' });
});
