import test, { type ExecutionContext } from 'ava';
import { isStoreError } from '../../src/errors.js';
import { checkProof, formatCheckpoint, parseCheckpoint } from '../../src/log/checkpoint.js';
import { Frontier, leafHash, parseEntries } from '../../src/log/merkle.js';
import { generatePrivateKey, parsePrivateKey } from '../../src/log/note.js';
import { embedLog } from '../../src/cli/page-blocks.js';
import type { ImageId } from '../../src/model/digest.js';
import type { ImageCard } from '../../src/page/image-card.js';
import { type Continuity, questions, type SeenHead, type Signature } from '../../src/page/questions.js';
import { Reading } from '../../src/page/reading.js';
import { type EmbeddedBlocks, type EmbeddedLog, EmbeddedSource } from '../../src/page/source.js';
import type { EventStore } from '../../src/store/event-store.js';
import { readSigner } from '../../src/store/on-demand.js';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { archivePath } from '../store/fixture-archives.js';
import { temporaryStore } from '../store/temporary-store.js';
import { imageConfig } from '../support/image-configs.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { madeLog } from './made-log.js';
import { readingOf, sourceOf } from './store-source.js';

const ORIGIN = 'example.com/images';

async function signed(reading: Reading, key: string | undefined): Promise<Signature> {
  return (await questions.evidence(reading, { key, seen: undefined })).signature;
}

async function continued(reading: Reading, seen: SeenHead): Promise<Continuity> {
  return (await questions.evidence(reading, { key: undefined, seen })).continuity;
}

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

interface Document {
  readonly log: EmbeddedLog;
  readonly blocks: EmbeddedBlocks;
}

async function documentOf(store: EventStore, limitBytes: number): Promise<Document> {
  const { seq: size } = store.log.head;
  const options = {
    size,
    checkpoint: await store.checkpoint(),
    key: undefined,
    madeAt: 0,
    limitBytes,
    templateBytes: 0,
  };
  return embedLog(store, options);
}

async function embedded(store: EventStore, limitBytes: number): Promise<Reading> {
  const { log, blocks } = await documentOf(store, limitBytes);
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
  t.like(await signed(reading, reading.key), { state: 'valid', name: ORIGIN });
  const other = (await parsePrivateKey(await generatePrivateKey(ORIGIN))).verifierKey;
  t.is((await signed(reading, other)).state, 'invalid');
  t.is((await signed(reading, 'no key')).state, 'unchecked');
  const unsigned = await readingOf(await loaded(t));
  t.is((await signed(unsigned, undefined)).state, 'none');
  // Who takes a signature away does not make it an unsigned log.
  t.is((await signed(unsigned, reading.key)).state, 'invalid');
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

test('content of another digest is not shown, and told', async (t) => {
  const store = await loaded(t);
  const [id = '', other = ''] = [...store.map().keys()];
  const swapped = { ...sourceOf(store), content: async () => store.readContent(other) };
  const reading = await Reading.begin(swapped);
  await reading.read();
  t.is(reading.verdict?.damage, undefined);
  await t.throwsAsync(reading.content(id as ImageId), { code: 'CONTENT_CORRUPT' });
  const card = await questions.card(reading, { digest: id, seq: reading.timeline.last });
  t.like(card, { wrong: `the bytes that came for ${id} have another digest`, erased: undefined, config: [] });
  t.is((card as ImageCard).steps, undefined);
});

test('a comparison with what is left out tells a moved name as changed, and not as new', async (t) => {
  const store = await long(t, 5_000);
  const reading = await embedded(store, 1);
  const [one = '', two = ''] = [...store.map().keys()];
  const { rows } = await questions.compareMoments(reading, { one: 0, other: 4_100, limit: 20 });
  t.true(rows.length > 0);
  for (const { kind, change, before, after } of rows) {
    t.deepEqual([kind, change], ['reference', 'changed']);
    t.deepEqual([before, after].sort(), [one, two].sort());
  }
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
  t.is(await continued(reading, { size, root }), 'continues');
  t.is(await continued(reading, { size: size - 1, root }), 'another');
  t.is(await continued(before, { size: size + 1, root }), 'shorter');
});

test('a record that is given again is the one that was hashed, or refused', async (t) => {
  const store = await loaded(t);
  let isEdited = false;
  const record = (bytes: Uint8Array, seq: number): Uint8Array =>
    isEdited && seq === 5 ? bytes.with(-1 + bytes.length, (bytes.at(-1) ?? 0) ^ 1) : bytes;
  const reading = await readingOf(store, { record });
  t.is(reading.verdict?.damage, undefined);
  isEdited = true;
  await t.throwsAsync(reading.event(5), { code: 'PROOF_REJECTED', message: /not the one that was hashed here/ });
  await t.throwsAsync(reading.prove(5), { code: 'PROOF_REJECTED' });
  t.is((await reading.event(4)).seq, 4);
});

test('a verdict stays that of its checkpoint until all of a later one is read', async (t) => {
  const store = await long(t, 300);
  let isGone = false;
  const onRead = (): void => {
    if (isGone) throw new Error('the server is gone');
  };
  const reading = await readingOf(store, { onRead });
  const before = await questions.evidence(reading, { key: undefined, seen: undefined });
  const [source = ''] = store.map().keys();
  await store.tag({ source, target: 'app:new' });
  isGone = true;
  t.true(await reading.refresh());
  await t.throwsAsync(reading.read(), { message: 'the server is gone' });
  t.deepEqual(await questions.evidence(reading, { key: undefined, seen: undefined }), before);
  t.is(reading.timeline.last, 300);
  isGone = false;
  // The same checkpoint again: what it commits to was not read yet.
  t.true(await reading.refresh());
  await reading.read();
  t.like(reading.verdict, { size: 301, damage: undefined });
  t.is(reading.timeline.last, 301);
  t.is((await reading.event(301)).seq, 301);
});

test('events after one that cannot be read are not shown later either, and it stays named', async (t) => {
  const store = await temporaryStore(t);
  const log = madeLog(5);
  const records = parseEntries(await log.readTile('tile/entries/000.p/5'));
  // What a later version wrote is sound, and cannot be read.
  records[2] = Uint8Array.of(0xff, 0xff);
  const checkpoint = (count: number): string => {
    const tree = new Frontier();
    for (const record of records.slice(0, count)) tree.append(leafHash(record));
    return formatCheckpoint({ origin: ORIGIN, size: count, root: tree.root(), extensions: [] });
  };
  let size = 4;
  const reading = await Reading.begin({
    kind: 'server',
    first: 1,
    key: undefined,
    leftOut: undefined,
    checkpoint: async () => checkpoint(size),
    records: async () => records.slice(0, size),
    witnesses: async () => [],
    tileHash: () => undefined,
    content: async (digest) => store.readContent(digest),
  });
  await reading.read();
  t.like(reading.verdict, { damage: undefined, unread: { seq: 3 } });
  size = 5;
  t.true(await reading.refresh());
  await reading.read();
  t.like(reading.verdict, { size: 5, damage: undefined, unread: { seq: 3 } });
  t.is(reading.timeline.last, 2);
});

test('a server that goes back to an earlier log, or to another one, is not believed', async (t) => {
  const store = await long(t, 300);
  let given = await store.checkpoint();
  const reading = await readingOf(store, { checkpoint: () => given });
  given = await store.checkpoint(299);
  t.true(await reading.refresh());
  await reading.read();
  t.is(reading.verdict?.damage?.what, 'the log has 299 events now, and had 300');
  given = given.replace(/^[^\n]+/, 'example.com/other');
  await t.throwsAsync(reading.refresh(), { code: 'CHECKPOINT_FOREIGN' });
});

test('a document with one wrong byte is damaged, and says where', async (t) => {
  const { log, blocks } = await documentOf(await loaded(t), 10_000_000);
  const flip = (text: string): string =>
    text.replace(/^(.{40})(.)/, (_, head: string, byte: string) => head + (byte === 'A' ? 'B' : 'A'));
  const read = async (changed: Partial<EmbeddedBlocks>, facts: EmbeddedLog = log): Promise<Reading> => {
    const reading = await Reading.begin(new EmbeddedSource(facts, { ...blocks, ...changed }));
    await reading.read();
    return reading;
  };
  t.like((await read({ records: blocks.records.map(flip) })).verdict?.damage, { seq: 1 });
  // Witnesses prove nothing, and are wrong beside sound records.
  t.is((await read({ witnesses: flip(blocks.witnesses) })).verdict?.damage, undefined);
  const { checkpoint } = log;
  const root = checkpoint.replace(/\n[^\n]+\n$/, `\n${'A'.repeat(43)}=\n`);
  t.like((await read({}, { ...log, checkpoint: root })).verdict?.damage, { seq: undefined });
  for (const first of [0, 2, 1.5, -255, 257]) {
    const error = await t.throwsAsync(read({}, { ...log, first }));
    t.true(isStoreError(error, 'BACKUP_INVALID'), `${first}`);
  }
  const id = log.contentBlocks[0] as ImageId;
  t.truthy(await (await read({})).content(id));
  const wrong = await read({ contents: blocks.contents.map(flip) });
  t.is(wrong.verdict?.damage, undefined);
  await t.throwsAsync(wrong.content(id), { code: 'BACKUP_INVALID' });
  const card = await questions.card(wrong, { digest: id, seq: log.first });
  t.is(card?.wrong, 'a block of the document does not decompress');
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
