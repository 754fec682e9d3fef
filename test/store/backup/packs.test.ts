import fs from 'node:fs';
import { cp, mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { MAX_PACK_BYTES, MAX_PACKED_CONTENT_BYTES } from '../../../src/limits.js';
import { digestOf } from '../../../src/model/digest.js';
import { restoreStore } from '../../../src/store/backup/restore.js';
import type { EventStore } from '../../../src/store/event-store.js';
import { openStore } from '../../../src/store/open/open-store.js';
import { readSidecar } from '../../../src/store/open/sidecar.js';
import { verifyStore } from '../../../src/store/verify-store.js';
import { filesBelow } from '../../support/filesystem-copy.js';
import { idNamed, imageConfig } from '../../support/image-configs.js';
import { rejection } from '../../support/rejection.js';
import { failing, withCalls } from '../../support/replaced-calls.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';
import { openTestStore } from '../../support/test-store.js';
import {
  contentOfBackup,
  contentsOfPack,
  makeVersion1,
  packsOfBackup,
  unpackedBackup,
} from '../../support/unpacked-backup.js';
import { archivePath } from '../fixture-archives.js';
import { isBackupOf, newBackup } from './restored-store.js';

/** Asserts that the backup in `target` verifies and has in it what a new one would have. */
async function isWhole(t: ExecutionContext, target: string, store: EventStore): Promise<void> {
  t.deepEqual(await verifyStore(target), []);
  t.deepEqual(await digestsIn(target), await digestsIn(await newBackup(t, store)));
}

/** The digest of each file of a backup: of megabytes, they are compared faster than bytes. */
async function digestsIn(target: string): Promise<Map<string, string>> {
  return new Map([...(await unpackedBackup(target))].map(([path, bytes]) => [path, digestOf(bytes)]));
}

/** Adds images of about `bytes` bytes each. */
async function addImages(store: EventStore, names: readonly string[], bytes = 0): Promise<void> {
  await Promise.all(names.map((name) => store.create(imageConfig(name.padEnd(bytes)))));
}

function numbered(from: number, count: number): string[] {
  return Array.from({ length: count }, (_, at) => `image ${from + at}`);
}

test('many small runs leave few packs, and write each content few times', async (t) => {
  const store = await openTestStore(t);
  const target = await newBackup(t, store);
  const runs = 40;
  let [most, packed] = [0, 0];
  for (let run = 0; run < runs; run++) {
    await addImages(store, numbered(3 * run, 3));
    const before = new Set(await packsOfBackup(target));
    await store.backup(target);
    const after = await packsOfBackup(target);
    for (const pack of after) if (!before.has(pack)) packed += contentsOfPack(await readFile(join(target, pack))).size;
    most = Math.max(most, after.length);
    t.is((await contentOfBackup(target)).length, 3 * (run + 1));
  }
  t.true(most <= 1 + Math.log2(runs), `${most} packs`);
  t.true(packed <= 3 * runs * Math.log2(runs), `${packed} contents were written for ${3 * runs}`);
  t.is((await store.backup(target)).filesWritten, 0);
  await isBackupOf(t, target, store);
});

test('a backup of many small configs takes at most 1.3 times its data on disk', async (t) => {
  const store = await openTestStore(t);
  await addImages(store, numbered(0, 1_500), 200);
  const target = await newBackup(t, store);
  let onDisk = 0;
  for (const path of (await filesBelow(target)).keys()) onDisk += 512 * (await stat(join(target, path))).blocks;
  const data = [...(await unpackedBackup(target)).values()].reduce((sum, { length }) => sum + length, 0);
  t.true(onDisk > 0 && onDisk <= 1.3 * data, `${onDisk} bytes for ${data}`);
});

test('more content than fits goes into several packs, and full ones are not written again', async (t) => {
  const store = await openTestStore(t);
  const each = MAX_PACKED_CONTENT_BYTES - 1_024;
  await addImages(store, numbered(0, Math.ceil((1.7 * MAX_PACK_BYTES) / each)), each);
  const target = await newBackup(t, store);
  const first = await packsOfBackup(target);
  t.is(first.length, 2);
  for (const pack of first) t.true((await readFile(join(target, pack))).length <= MAX_PACK_BYTES);
  await addImages(store, numbered(1_000, 3));
  t.is((await store.backup(target)).filesWritten, 1 + (await addedTiles(store)));
  t.is((await packsOfBackup(target)).filter((pack) => first.includes(pack)).length, 2);
  await isWhole(t, target, store);
});

// Checkpoint, entries and leaf hashes of a log that has one bundle before and after.
async function addedTiles(store: EventStore): Promise<number> {
  return store.log.head.seq <= 256 ? 3 : 4;
}

test('erased content leaves its pack, with all others in it kept and no other pack touched', async (t) => {
  const store = await openTestStore(t);
  const each = MAX_PACKED_CONTENT_BYTES - 1_024;
  await addImages(store, numbered(0, Math.ceil((1.7 * MAX_PACK_BYTES) / each)), each);
  const target = await newBackup(t, store);
  const [stays = '', goes = ''] = await packsOfBackup(target);
  const [digits = '', erased = Buffer.of()] = [...contentsOfPack(await readFile(join(target, goes)))][0] ?? [];
  const image = store.search(digits);
  await store.delete(image);
  await store.backup(target);
  t.true((await contentOfBackup(target)).includes(image), 'a deleted image has its config until it is erased');
  await store.erase(image, 'asked for');
  await store.backup(target);
  const packs = await packsOfBackup(target);
  t.true(packs.includes(stays));
  t.false(packs.includes(goes));
  t.false((await unpackedBackup(target)).has(`content/sha256/${digits}`));
  for (const pack of packs) t.is((await readFile(join(target, pack))).indexOf(erased), -1);
  await isWhole(t, target, store);
});

test('each flipped bit of a pack is found, and named with the content that it hurts', async (t) => {
  const store = await openTestStore(t);
  await addImages(store, ['a', 'b', 'c']);
  const target = await newBackup(t, store);
  const [pack = ''] = await packsOfBackup(target);
  const whole = await readFile(join(target, pack));
  const hurtAt = (at: number): string[] => {
    const contents = [...contentsOfPack(whole)];
    const offsets = contents.map(([, bytes]) => bytes.byteOffset - whole.byteOffset);
    if (at < (offsets[0] ?? 0)) return contents.map(([digits]) => `CONTENT_MISSING sha256:${digits}`);
    const [digits] = contents[offsets.findLastIndex((offset) => offset <= at)] ?? [];
    return [`CONTENT_WRONG sha256:${digits}`];
  };
  for (let at = 0; at < whole.length; at++) {
    const flipped = Buffer.from(whole);
    flipped.writeUInt8(flipped.readUInt8(at) ^ (1 << (at % 8)), at);
    await writeFile(join(target, pack), flipped);
    const found = await verifyStore(target);
    const hurt = found.filter(({ digest }) => digest !== undefined).map(({ code, digest }) => `${code} ${digest}`);
    t.deepEqual(hurt.sort(), hurtAt(at).sort(), `byte ${at}`);
    if (hurt[0]?.startsWith('CONTENT_MISSING'))
      t.is(found.find(({ place }) => place === pack)?.code, 'ROWS_UNREADABLE');
  }
  await rejection(t, 'BACKUP_INVALID', restoreStore(join(await temporaryDirectory(t), 'restored'), target));
  // A damaged head is told by its name, and all that was in it is written again.
  await writeFile(join(target, pack), whole.subarray(0, whole.length - 1));
  t.is((await store.backup(target)).filesWritten, 1);
  t.deepEqual(await readFile(join(target, pack)), whole);
});

const forged: readonly (readonly [what: string, change: (rows: Buffer[]) => void, why: RegExp])[] = [
  ['contents out of order', (rows) => rows.reverse(), /out of order/],
  ['one content twice', (rows) => rows.splice(1, 1, rows[0] as Buffer), /out of order/],
  [
    'a content that is too large',
    (rows) => rows[0]?.writeUInt32BE(MAX_PACKED_CONTENT_BYTES + 1, 32),
    /has 65537 bytes/,
  ],
  ['more bytes than there are', (rows) => rows[0]?.writeUInt32BE(9_999, 32), /expected \d+ by its head/],
];
for (const [what, change, why] of forged) {
  test(`a pack whose head has the digest of its name is still checked: ${what}`, async (t) => {
    const store = await openTestStore(t);
    await addImages(store, ['a', 'b', 'c']);
    const target = await newBackup(t, store);
    const [path = ''] = await packsOfBackup(target);
    const pack = await readFile(join(target, path));
    await rm(join(target, path));
    const rows = [0, 1, 2].map((at) => Buffer.from(pack.subarray(20 + 36 * at, 56 + 36 * at)));
    change(rows);
    const head = Buffer.concat([pack.subarray(0, 20), ...rows]);
    const name = digestOf(head).slice('sha256:'.length);
    await writeFile(join(target, 'content/packs', name), Buffer.concat([head, pack.subarray(head.length)]));
    const found = await verifyStore(target);
    t.regex(found.find(({ place }) => place.endsWith(name))?.message ?? '', why);
    await store.backup(target);
    await isWhole(t, target, store);
  });
}

test('a pack that says that it has four billion contents, and a file that is not a pack, are not read', async (t) => {
  const store = await openTestStore(t);
  await addImages(store, ['a']);
  const target = await newBackup(t, store);
  const [path = ''] = await packsOfBackup(target);
  for (const [text, why] of [
    ['imagelog pack 1\n\xff\xff\xff\xff', /says that it has 4294967295 contents/],
    ['imagelog pack 2\n\0\0\0\0', /is not a pack/],
    ['', /is not a pack/],
  ] as const) {
    await writeFile(join(target, path), text, 'latin1');
    const found = await verifyStore(target);
    t.regex(found.find(({ place }) => place === path)?.message ?? '', why);
  }
  await writeFile(join(target, 'content/packs/notes'), '');
  t.true((await verifyStore(target)).some(({ code, place }) => code === 'FILE_UNKNOWN' && place.endsWith('/notes')));
});

test('a backup of before packs verifies, is restored, and the next run packs it', async (t) => {
  const store = await openTestStore(t);
  await store.load(archivePath('docker25-all.tar'));
  const target = await newBackup(t, store);
  await makeVersion1(target);
  t.deepEqual(await packsOfBackup(target), []);
  t.deepEqual(await verifyStore(target), []);
  const restored = join(await temporaryDirectory(t), 'restored');
  await restoreStore(restored, target);
  t.deepEqual(await readFile(join(restored, 'imagelog.json')), await readFile(join(store.directory, 'imagelog.json')));
  t.deepEqual(await verifyStore(restored), []);
  await addImages(store, ['a']);
  await store.backup(target);
  t.is((await packsOfBackup(target)).length, 1);
  t.regex(await readFile(join(target, 'imagelog.json'), 'utf8'), /"version": 2/);
  await isWhole(t, target, store);
  await isBackupOf(t, target, store);
});

test('a run over a backup of before packs that is aborted at any step leaves it whole, in files and packs', async (t) => {
  const store = await openTestStore(t);
  await addImages(store, ['a', 'b', 'c']);
  const before = await newBackup(t, store);
  await makeVersion1(before);
  await addImages(store, ['d']);
  let isDone = false;
  for (let steps = 0; !isDone; steps++) {
    const copy = join(await temporaryDirectory(t), 'copy');
    await cp(before, copy, { recursive: true });
    const controller = new AbortController();
    let calls = 0;
    const onProgress = (): void => {
      if (calls++ === steps) controller.abort();
    };
    const run = store.backup(copy, { onProgress, signal: controller.signal });
    isDone = await run.then(
      () => true,
      () => false,
    );
    t.deepEqual(await verifyStore(copy), []);
    await restoreStore(`${copy}.restored`, copy);
    await store.backup(copy);
    await isWhole(t, copy, store);
  }
});

test('content that is in two packs after an interrupted run counts once, and the next run leaves it in one', async (t) => {
  const store = await openTestStore(t);
  await addImages(store, ['a', 'b', 'c']);
  const target = await newBackup(t, store);
  const old = await packsOfBackup(target);
  const kept = await readFile(join(target, old[0] ?? ''));
  await addImages(store, ['d']);
  await addImages(store, numbered(0, 9));
  await store.backup(target);
  t.false((await packsOfBackup(target)).includes(old[0] ?? ''), 'it was merged');
  await writeFile(join(target, old[0] ?? ''), kept);
  await mkdir(join(target, '.staging'));
  t.deepEqual(await verifyStore(target), []);
  await restoreStore(join(await temporaryDirectory(t), 'restored'), target);
  const { filesWritten, filesRemoved } = await store.backup(target);
  t.deepEqual([filesWritten, filesRemoved], [0, 1]);
  await isWhole(t, target, store);
});

test('a full disk while a pack is written leaves the backup before, and the next run continues', async (t) => {
  const store = await openTestStore(t);
  await addImages(store, ['a', 'b']);
  const target = await newBackup(t, store);
  const before = await filesBelow(target);
  await addImages(store, ['c']);
  const full = { promises: { open: failing(fs.promises.open, 'ENOSPC', (path) => path.includes('.staging')) } };
  await withCalls(full, async () => {
    await rejection(t, 'DISK_FULL', store.backup(target));
  });
  const after = await filesBelow(target);
  for (const [path, bytes] of before) t.deepEqual(after.get(path), bytes, path);
  t.deepEqual(await verifyStore(target), []);
  await store.backup(target);
  await isWhole(t, target, store);
});

test('the sidecar of a backup stands in for that of a store that lost its own', async (t) => {
  const directory = join(await temporaryDirectory(t), 'store');
  const store = await openStore(directory);
  await addImages(store, ['a']);
  const target = await newBackup(t, store);
  await store.close();
  await cp(join(target, 'imagelog.json'), join(directory, 'imagelog.json'));
  await using again = await openStore(directory);
  t.true(again.map().has(idNamed('a')));
  t.deepEqual(await again.verify(), []);
  // Nobody knows whether its events have routes, and so both have version 4 from now on.
  t.is((await again.backup(target)).filesWritten, 1);
  t.is((await readSidecar(target))?.version, 4);
  t.is((await again.backup(target)).filesWritten, 0);
});
