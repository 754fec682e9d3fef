import { copyFile, mkdir, readdir, readFile, rm, truncate, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { ErrorCode } from '../../../src/errors.js';
import {
  MAX_CURRENT_BYTES,
  MAX_MISSING_EVENTS,
  MAX_PACKED_CONTENT_BYTES,
  MAX_SIDECAR_BYTES,
} from '../../../src/limits.js';
import { TILE_WIDTH } from '../../../src/log/merkle.js';
import { restoreStore } from '../../../src/store/backup/restore.js';
import { openStore } from '../../../src/store/open/open-store.js';
import type { ViolationCode } from '../../../src/store/verify/verify-source.js';
import { verifyStore } from '../../../src/store/verify-store.js';
import { filesBelow } from '../../support/filesystem-copy.js';
import { imageConfig } from '../../support/image-configs.js';
import { rejection } from '../../support/rejection.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';
import { openTestStore } from '../../support/test-store.js';
import { archivePath } from '../fixture-archives.js';
import { newBackup } from './restored-store.js';

/** Bytes of a file with nothing in it that nobody reads to its end. */
const TERABYTE = 1024 ** 4;

/** Makes the first file at or below `place` a sparse one of a terabyte. */
async function grow(directory: string, place: string): Promise<void> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
  const [path = ''] = paths.filter((each) => each.startsWith(join(directory, place))).sort();
  await truncate(path, TERABYTE);
}

async function backupOf(t: ExecutionContext): Promise<string> {
  const store = await openTestStore(t);
  await store.load(archivePath('docker25-all.tar'));
  await store.create(imageConfig('x'.repeat(MAX_PACKED_CONTENT_BYTES)));
  return newBackup(t, store);
}

const violated: readonly (readonly [place: string, code: ViolationCode])[] = [
  ['blobs/sha256/', 'BLOB_SIZE_WRONG'],
  ['content/sha256/', 'ROWS_UNREADABLE'],
  ['content/packs/', 'ROWS_UNREADABLE'],
  ['tile/0/', 'ROWS_UNREADABLE'],
  ['tile/entries/', 'ROWS_UNREADABLE'],
  ['checkpoint', 'CHECKPOINT_DAMAGED'],
  ['imagelog.json', 'SIDECAR_DAMAGED'],
];
for (const [place, code] of violated) {
  test(`of a backup, a file of a terabyte is not read: ${place}`, async (t) => {
    const source = await backupOf(t);
    await grow(source, place);
    const found = await verifyStore(source);
    t.true(
      found.some((violation) => violation.code === code && violation.place.startsWith(place)),
      JSON.stringify(found),
    );
    const target = join(await temporaryDirectory(t), 'restored');
    const error = await rejection(t, 'BACKUP_INVALID', restoreStore(target, source));
    t.deepEqual(error.data.violations, found);
  });
}

test('a blob of a terabyte that no layer needs is not read either', async (t) => {
  const source = await backupOf(t);
  const [first = ''] = await readdir(join(source, 'blobs/sha256'));
  const place = `blobs/sha256/${'ab'.repeat(32)}`;
  await copyFile(join(source, 'blobs/sha256', first), join(source, place));
  await grow(source, place);
  t.deepEqual(
    (await verifyStore(source)).map((violation) => `${violation.code} ${violation.place}`),
    [`BLOB_UNNEEDED ${place}`, `BLOB_SIZE_WRONG ${place}`],
  );
});

const refused: readonly (readonly [place: string, code: ErrorCode])[] = [
  ['checkpoint', 'BACKUP_INVALID'],
  ['imagelog.json', 'SIDECAR_INVALID'],
];
for (const [place, code] of refused) {
  test(`no backup goes over one that has a file of a terabyte: ${place}`, async (t) => {
    const store = await openTestStore(t);
    await store.load(archivePath('skopeo-tiny-1.tar'));
    const target = await newBackup(t, store);
    await grow(target, place);
    await rejection(t, code, store.backup(target));
  });
}

test('a backup replaces a file of a terabyte that it needs, and does not read it', async (t) => {
  const store = await openTestStore(t);
  await store.load(archivePath('docker25-all.tar'));
  await store.create(imageConfig('x'.repeat(MAX_PACKED_CONTENT_BYTES)));
  const target = await newBackup(t, store);
  const whole = await filesBelow(target);
  const folders = ['blobs/sha256/', 'content/sha256/', 'content/packs/', 'tile/0/', 'tile/entries/'];
  for (const folder of folders) await grow(target, folder);
  t.is((await store.backup(target)).filesWritten, folders.length);
  t.deepEqual(await filesBelow(target), whole);
});

test('a layer file of a terabyte in a store is neither backed up nor hashed to its end', async (t) => {
  const directory = join(await temporaryDirectory(t), 'store');
  await using store = await openStore(directory);
  await store.load(archivePath('docker25-all.tar'));
  await grow(directory, 'blobs/sha256/');
  await rejection(t, 'BLOB_CORRUPT', store.backup(join(await temporaryDirectory(t), 'backup')));
  t.deepEqual(
    (await store.verify()).map(({ code }) => code),
    ['BLOB_SIZE_WRONG'],
  );
});

const ofStore: readonly (readonly [place: string, code: ViolationCode, opened: ErrorCode])[] = [
  ['checkpoint', 'CHECKPOINT_DAMAGED', 'CHECKPOINT_INVALID'],
  ['imagelog.json', 'SIDECAR_DAMAGED', 'SIDECAR_INVALID'],
  ['log/CURRENT', 'LOG_FILE_DAMAGED', 'LOG_CORRUPT'],
];
for (const [place, code, opened] of ofStore) {
  test(`of a store, a file of a terabyte is not read: ${place}`, async (t) => {
    const directory = join(await temporaryDirectory(t), 'store');
    const store = await openStore(directory);
    await store.load(archivePath('skopeo-tiny-1.tar'));
    await store.close();
    await grow(directory, place);
    const found = await verifyStore(directory);
    t.like(found, [{ code, place }]);
    await rejection(t, opened, openStore(directory));
  });
}

test('at its limit a sidecar is read, and beyond it a sidecar and CURRENT are refused', async (t) => {
  const directory = join(await temporaryDirectory(t), 'store');
  await (await openStore(directory)).close();
  const [sidecar, current] = [join(directory, 'imagelog.json'), join(directory, 'log', 'CURRENT')];
  const text = await readFile(sidecar, 'utf8');
  await writeFile(sidecar, text.padEnd(MAX_SIDECAR_BYTES));
  await (await openStore(directory)).close();
  await writeFile(sidecar, text.padEnd(MAX_SIDECAR_BYTES + 1));
  const error = await rejection(t, 'SIDECAR_INVALID', openStore(directory));
  t.regex(error.message, /has more than 65536 bytes/);
  await writeFile(sidecar, text);
  await writeFile(current, (await readFile(current, 'utf8')).padEnd(MAX_CURRENT_BYTES + 1));
  t.like(await verifyStore(directory), [{ code: 'LOG_FILE_DAMAGED', place: 'log/CURRENT' }]);
});

test('the end of a backup is searched tile by tile up to its limit, and reported lost beyond it', async (t) => {
  const source = await backupOf(t);
  const text = await readFile(join(source, 'checkpoint'), 'utf8');
  const isAhead = async (events: number): Promise<boolean> => {
    await writeFile(join(source, 'checkpoint'), text.replace(/\n\d+\n/, `\n${events}\n`));
    return (await verifyStore(source)).some(({ code }) => code === 'CHECKPOINT_AHEAD');
  };
  t.false(await isAhead(TILE_WIDTH + MAX_MISSING_EVENTS));
  t.true(await isAhead(TILE_WIDTH + MAX_MISSING_EVENTS + 1));
});

test('a checkpoint or a tile that says that there are 2^53 events is not believed', async (t) => {
  const source = await backupOf(t);
  const text = await readFile(join(source, 'checkpoint'), 'utf8');
  await writeFile(join(source, 'checkpoint'), text.replace(/\n\d+\n/, `\n${Number.MAX_SAFE_INTEGER}\n`));
  for (const fast of [false, true]) {
    const found = await verifyStore(source, { fast });
    t.true(found.some(({ code }) => code === 'CHECKPOINT_AHEAD'));
  }
  const target = join(await temporaryDirectory(t), 'restored');
  await rejection(t, 'BACKUP_INVALID', restoreStore(target, source));
  await rm(join(source, 'checkpoint'));
  const place = 'tile/entries/x999/x999/x999/x999/999';
  await mkdir(dirname(join(source, place)), { recursive: true });
  await writeFile(join(source, place), '');
  t.true((await verifyStore(source)).some((violation) => violation.place === place));
});

test('a bundle of millions of empty entries is read up to the last that it can have', async (t) => {
  const source = await backupOf(t);
  const [path = ''] = [...(await filesBelow(source)).keys()].filter((each) => each.startsWith('tile/entries/'));
  await writeFile(join(source, path), new Uint8Array(16_000_000));
  const found = await verifyStore(source);
  t.true(
    found.some(({ message, place }) => place === path && message.includes('has more than 256 entries')),
    JSON.stringify(found.slice(0, 2)),
  );
});
