import test, { type ExecutionContext } from 'ava';
import { isStoreError } from '../../src/errors.js';
import { checkProof, parseCheckpoint } from '../../src/log/checkpoint.js';
import { generatePrivateKey, parsePrivateKey } from '../../src/log/note.js';
import { embedLog } from '../../src/cli/page-blocks.js';
import type { ImageId } from '../../src/model/digest.js';
import { questions } from '../../src/page/questions.js';
import { Reading } from '../../src/page/reading.js';
import { EmbeddedSource } from '../../src/page/source.js';
import type { EventStore } from '../../src/store/event-store.js';
import { readSigner } from '../../src/store/on-demand.js';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { archivePath } from '../store/fixture-archives.js';
import { temporaryStore } from '../store/temporary-store.js';
import { imageConfig } from '../support/image-configs.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { madeLog } from './made-log.js';
import { readingOf } from './store-source.js';

const ORIGIN = 'example.com/images';

async function loaded(t: ExecutionContext): Promise<EventStore> {
  const store = await temporaryStore(t);
  await store.load(archivePath('oci-all.tar'));
  return store;
}

/** A store with more events than a few tiles have. */
async function long(t: ExecutionContext, events: number): Promise<EventStore> {
  const store = await temporaryStore(t);
  const source = await store.create(imageConfig('one'));
  const other = await store.create(imageConfig('two'));
  const writes: Promise<void>[] = [];
  for (let at = 0; store.log.head.seq + writes.length < events; at++) {
    writes.push(store.tag({ source: at % 2 === 0 ? source : other, target: `app:${at % 7}` }));
  }
  await Promise.all(writes);
  return store;
}

async function embedded(store: EventStore, limitBytes: number): Promise<Reading> {
  const { seq: size } = store.log.head;
  const options = {
    size,
    checkpoint: await store.checkpoint(),
    key: undefined,
    madeAt: 0,
    limitBytes,
    templateBytes: 0,
  };
  const { log, blocks } = await embedLog(store, options);
  const reading = await Reading.begin(new EmbeddedSource(log, blocks));
  await reading.read();
  return reading;
}

test('a sound log is verified, and its proofs are taken by the command line', async (t) => {
  const reading = await readingOf(await loaded(t));
  const { size } = parseCheckpoint(reading.checkpoint.text);
  t.like(reading.verdict, { size, hashed: size, leftOut: 0, damage: undefined, unread: undefined });
  for (const seq of [1, 2, size]) t.is((await checkProof(await reading.prove(seq))).seq, seq);
});

test('the first record that was changed is named, with the number of the others', async (t) => {
  const store = await loaded(t);
  const changed = (record: Uint8Array, seq: number): Uint8Array =>
    seq === 5 || seq === 9 ? record.with(record.length - 1, (record.at(-1) ?? 0) ^ 1) : record;
  const reading = await readingOf(store, { record: changed });
  t.like(reading.verdict?.damage, { seq: 5, others: 1 });
  const error = await t.throwsAsync(reading.prove(5));
  t.true(isStoreError(error, 'PROOF_REJECTED'));
});

test('a record that is missing is named', async (t) => {
  const store = await loaded(t);
  const last = store.log.head.seq;
  const reading = await readingOf(store, { record: (record, seq) => (seq === last ? undefined : record) });
  t.like(reading.verdict?.damage, { seq: last, what: 'its record is missing', others: 0 });
});

test('a checkpoint of another root is not that of the records', async (t) => {
  const store = await loaded(t);
  const checkpoint = (text: string): string => text.replace(/\n[^\n]+\n$/, `\n${'A'.repeat(43)}=\n`);
  const reading = await readingOf(store, { checkpoint });
  t.is(reading.verdict?.damage?.seq, undefined);
  t.regex(reading.verdict?.damage?.what ?? '', /another root/);
});

test('a signature is valid by its key, wrong by another, and none where there is none', async (t) => {
  const path = join(await temporaryDirectory(t), 'log.key');
  await writeFile(path, `${await generatePrivateKey(ORIGIN)}\n`, { mode: 0o600 });
  const signer = await readSigner(path);
  const store = await temporaryStore(t, { origin: ORIGIN, signer });
  await store.create(imageConfig('signed'));
  const reading = await readingOf(store);
  t.like(await questions.signature(reading, { key: reading.key }), { state: 'valid', name: ORIGIN });
  const other = (await parsePrivateKey(await generatePrivateKey(ORIGIN))).verifierKey;
  t.is((await questions.signature(reading, { key: other })).state, 'invalid');
  t.is((await questions.signature(await readingOf(await loaded(t)), { key: undefined })).state, 'none');
});

test('a log in a document is read as that of a server, its contents too', async (t) => {
  const store = await loaded(t);
  const reading = await embedded(store, 10_000_000);
  t.like(reading.verdict, { hashed: store.log.head.seq, leftOut: 0, damage: undefined });
  for (const id of store.map().keys()) t.deepEqual(await reading.content(id), store.readContent(id));
  t.is(await reading.content(`sha256:${'0'.repeat(64)}` as ImageId), undefined);
});

test('a document that is too small has the newest events, hashes of the others, and sound proofs', async (t) => {
  const store = await long(t, 5_000);
  const reading = await embedded(store, 1);
  t.like(reading.verdict, { size: 5_000, leftOut: 4_096, hashed: 904, damage: undefined });
  for (const seq of [4_097, 4_500, 5_000]) t.is((await checkProof(await reading.prove(seq))).seq, seq);
  await t.throwsAsync(reading.event(4_096), { code: 'EVENT_NOT_FOUND' });
  t.is((await reading.event(4_097)).seq, 4_097);
  t.is(reading.timeline.first, 4_097);
});

test('events after the first read are read by the next, with the tree that was there', async (t) => {
  const store = await long(t, 300);
  const reading = await readingOf(store);
  t.false(await reading.refresh());
  const [source = ''] = store.map().keys();
  await store.tag({ source, target: 'app:new' });
  t.true(await reading.refresh());
  await reading.read();
  t.like(reading.verdict, { size: 301, hashed: 301, damage: undefined });
  t.is((await reading.event(301)).seq, 301);
});

test('a log continues what was seen of it, or is shorter, or another', async (t) => {
  const store = await long(t, 300);
  const before = await readingOf(store);
  const { size, root } = (await questions.overview(before)).verdict ?? t.fail();
  const [source = ''] = store.map().keys();
  await store.tag({ source, target: 'app:new' });
  const reading = await readingOf(store);
  t.is(await questions.continuity(reading, { size, root }), 'continues');
  t.is(await questions.continuity(reading, { size: size - 1, root }), 'another');
  t.is(await questions.continuity(before, { size: size + 1, root }), 'shorter');
});

test('each proof of a log of several tiles leads to its root', async (t) => {
  const log = madeLog(3_000);
  const { log: facts, blocks } = await embedLog(log, {
    ...log,
    key: undefined,
    madeAt: 0,
    limitBytes: 10_000_000,
    templateBytes: 0,
  });
  const reading = await Reading.begin(new EmbeddedSource(facts, blocks));
  await reading.read();
  t.like(reading.verdict, { hashed: 3_000, damage: undefined });
  for (const seq of [1, 256, 257, 2_817, 3_000]) t.is((await checkProof(await reading.prove(seq))).seq, seq);
});

test('the empty log is verified', async (t) => {
  const store = await temporaryStore(t);
  for (const reading of [await readingOf(store), await embedded(store, 1_000)]) {
    t.like(reading.verdict, { size: 0, hashed: 0, damage: undefined });
    t.is((await questions.overview(reading)).range, undefined);
  }
});
