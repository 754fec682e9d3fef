import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readdirSync, rmSync, truncateSync } from 'node:fs';
import { statfs } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { setTimeout as sleep } from 'node:timers/promises';
import { isStoreError } from '../../../src/errors.js';
import { LOG_RETRY_MS, RESERVE_BYTES } from '../../../src/limits.js';
import type { ImageId } from '../../../src/model/digest.js';
import { createServer, type StoreServer } from '../../../src/server/create-server.js';
import { RESERVE_FILE } from '../../../src/store/files/reserve.js';
import { openStore } from '../../../src/store/open/open-store.js';
import type { EventStore } from '../../../src/store/event-store.js';
import { archivePath } from '../../store/fixture-archives.js';
import { footprint, wrongFiles } from '../../store/temporary-store.js';
import { idOf, imageConfig } from '../../support/image-configs.js';
import { testOrSkip } from '../../support/requires.js';
import { rejection } from '../../support/rejection.js';
import { imageNamed, type Pushable, push } from '../../support/pushed-images.js';
import { inChunks } from '../../support/build-tar.js';
import { numberedArchive } from './numbered-archive.js';
import { fillDisk, smallDisk, whyNoDisk } from './small-disk.js';

const KIB = 1_024;

/** Declares tests that need their own disk; skipped, with the reason, where none can be mounted. */
const withSmallDisk = testOrSkip(whyNoDisk());

withSmallDisk('a disk that fills up during a load fails it, and the store is as before and continues', async (t) => {
  const disk = smallDisk(t, 16);
  const directory = join(disk, 'store');
  const archive = await numberedArchive(1);
  await using store = await openStore(directory);
  await store.load(archivePath('docker25-untagged.tar'));
  const before = await footprint(store);
  for (const leaveKib of [4, 64, 160, 240, 320]) {
    const empty = await fillDisk(disk, leaveKib * KIB);
    const error = await rejection(t, 'DISK_FULL', store.load(inChunks(archive.bytes, 10_000)), `${leaveKib} KiB left`);
    t.is(error.kind, 'Unavailable');
    t.deepEqual(await footprint(store), before, `${leaveKib} KiB left`);
    empty();
  }
  await store.load(archivePath('skopeo-tiny-1.tar'));
  await store.load(inChunks(archive.bytes));
  t.true(archive.ids.every((id) => store.map().has(id)));
  const after = await footprint(store);
  await store.close();
  t.deepEqual(await wrongFiles(directory), []);
  await using again = await openStore(directory);
  t.deepEqual(await footprint(again), after);
});

/** Creates images until one fails; returns those that were acknowledged, and the error. */
async function createUntilFull(store: EventStore, name: string): Promise<{ ids: ImageId[]; error: unknown }> {
  const ids: ImageId[] = [];
  for (let at = 0; at < 10_000; at++) {
    const config = imageConfig(`${name} ${at} ${'x'.repeat(4_000)}`);
    try {
      ids.push(await store.create(config));
    } catch (error) {
      return { ids, error };
    }
  }
  throw new Error('the disk never filled up');
}

withSmallDisk(
  'a log that meets a full disk says so, and everything acknowledged is there after a reopening',
  async (t) => {
    const disk = smallDisk(t, 24);
    const directory = join(disk, 'store');
    const acknowledged: ImageId[] = [];
    await (await openStore(directory)).close();
    for (const leaveKib of [0, 16, 100, 300, 1_000]) {
      await using store = await openStore(directory);
      const empty = await fillDisk(disk, leaveKib * KIB);
      const { ids, error } = await createUntilFull(store, `${leaveKib}`);
      acknowledged.push(...ids);
      const code = isStoreError(error) ? error.code : String(error);
      t.true(['DISK_FULL', 'OUTCOME_UNKNOWN', 'LOG_FAILED'].includes(code), code);
      empty?.();
      await store.close();
      await using again = await openStore(directory);
      for (const id of acknowledged) t.is(idOf(again.get(id).rawJSON()), id);
      await again.create(imageConfig(`after ${leaveKib}`));
    }
    t.log(`${acknowledged.length} creates acknowledged on a disk that filled up five times, none lost`);
    t.true(acknowledged.length > 0);
  },
);

/** Tags a manifest, 50 names a request, until the server refuses; returns the tags it acknowledged, and the refusal. */
async function tagUntilFull(server: StoreServer, image: Pushable): Promise<{ tags: string[]; refused: Response }> {
  const acknowledged: string[] = [];
  for (let at = 0; at < 10_000; at++) {
    const tags = Array.from({ length: 50 }, (_, number) => `${at}-${number}-${'x'.repeat(100)}`);
    const answer = await server.fetch(
      manifestRequest(image, `${image.digest}?${tags.map((tag) => `tag=${tag}`).join('&')}`),
    );
    if (answer.status !== 201) return { tags: acknowledged, refused: answer };
    acknowledged.push(...tags);
  }
  throw new Error('the disk never filled up');
}

function manifestRequest({ mediaType, bytes }: Pushable, rest: string): Request {
  const headers = { 'content-type': mediaType };
  const url = `http://localhost/v2/shop/app/manifests/${rest}`;
  return new Request(url, { method: 'PUT', headers, body: bytes as Uint8Array<ArrayBuffer> });
}

const codeOf = async (answer: Response): Promise<string | undefined> =>
  ((await answer.json()) as { errors: { code: string }[] }).errors[0]?.code;

withSmallDisk(
  'a server whose log meets a full disk is read, refuses writes, and continues once there is room',
  async (t) => {
    const disk = smallDisk(t, 24);
    const image = await imageNamed('small');
    for (const leaveKib of [0, 8, 100, 1_000]) {
      const directory = join(disk, `store-${leaveKib}`);
      const store = await openStore(directory);
      await push(store, 'docker.io/shop/app', image, { tags: ['first'] });
      const server = createServer(store, { onFailure: () => undefined });
      const statusOf = async (tag: string): Promise<number> =>
        (await server.fetch(new Request(`http://localhost/v2/shop/app/manifests/${tag}`))).status;
      const empty = await fillDisk(disk, leaveKib * KIB);
      const { tags, refused } = await tagUntilFull(server, image);
      t.is(refused.status, 503);
      t.is(await codeOf(refused), 'OUTCOME_UNKNOWN');
      const late = await server.fetch(manifestRequest(image, 'late'));
      t.deepEqual([late.status, await codeOf(late)], [503, 'LOG_FAILED']);
      t.truthy(late.headers.get('retry-after'));
      const isReady = async (): Promise<boolean> =>
        (await server.fetch(new Request('http://localhost/ready'))).status === 200;
      // It is tried again, in vain.
      await sleep(LOG_RETRY_MS);
      for (let tries = 0; tries < 10; tries++) t.false(await isReady());
      for (const tag of ['first', ...tags]) t.is(await statusOf(tag), 200, tag);
      empty();
      await sleep(LOG_RETRY_MS);
      while (!(await isReady())) await sleep(10);
      t.is((await server.fetch(manifestRequest(image, 'after'))).status, 201);
      for (const tag of ['first', 'after', ...tags]) t.is(await statusOf(tag), 200, tag);
      await server.close();
      await store.close();
      t.is(run(directory, ['verify']).status, 0);
      await using again = await openStore(directory);
      const found = again.registry.tags('docker.io/shop/app') ?? [];
      t.deepEqual(
        ['first', 'after', ...tags].filter((tag) => !found.includes(tag)),
        [],
      );
      rmSync(directory, { recursive: true });
    }
  },
);

withSmallDisk('a store cannot be created on a full disk, and can be when there is room again', async (t) => {
  const disk = smallDisk(t, 8);
  const directory = join(disk, 'store');
  let refused = 0;
  // Making a store takes some files of one block each: with each amount of room another of them is the first without.
  for (let leaveKib = 0; leaveKib <= 64; leaveKib += 4) {
    const empty = await fillDisk(disk, leaveKib * KIB);
    const error = await openStore(directory).then(
      (store) => store.close(),
      (thrown: unknown) => thrown,
    );
    if (error !== undefined) {
      t.true(isStoreError(error, 'DISK_FULL'), `${leaveKib} KiB left: ${String(error)}`);
      refused += 1;
    }
    empty();
    rmSync(directory, { recursive: true, force: true });
  }
  t.true(refused > 2);
  await using store = await openStore(directory);
  await store.load(archivePath('skopeo-tiny-1.tar'));
  t.is(store.len(), 1);
});

function run(store: string, args: readonly string[]): { status: number | null; stdout: string; stderr: string } {
  const main = fileURLToPath(new URL('../../../src/cli/main.js', import.meta.url));
  return spawnSync(process.execPath, [main, '--store', store, ...args], { encoding: 'utf8' });
}

async function freeKib(path: string): Promise<number> {
  const { bavail, bsize } = await statfs(path);
  return (bavail * bsize) / KIB;
}

withSmallDisk('without a byte free, rm, prune and erase work and make room; what writes says what does', async (t) => {
  const disk = smallDisk(t, 48);
  const directory = join(disk, 'store');
  const archives = await Promise.all([1, 2].map(numberedArchive));
  const setUp = await openStore(directory);
  for (const { bytes } of archives) await setUp.load(inChunks(bytes));
  await setUp.close();
  const [first = [], second = []] = archives.map(({ ids }) => ids);
  const empty = await fillDisk(disk, 0);
  t.is(await freeKib(disk), 0);
  const refused = run(directory, ['tag', String(first[0]), 'shop/app:1']);
  t.is(refused.status, 1);
  t.regex(refused.stderr, /\(DISK_FULL\)\nhint: .*`imagelog --store \S+ rm`, `erase` and `prune --yes` make room/);
  t.is(await freeKib(disk), 0, 'what writes does not take the reserve');
  for (const args of [
    ['rm', '--force', ...first, ...second],
    ['erase', String(first[0]), '--reason', 'a secret'],
    ['prune', '--yes'],
  ]) {
    const before = await freeKib(disk);
    const { status, stderr } = run(directory, args);
    t.is(stderr, '', args[0]);
    t.is(status, 0, args[0]);
    t.log(`${args[0]}: ${before} KiB free, then ${await freeKib(disk)}`);
  }
  t.is(run(directory, ['verify']).status, 0);
  empty();
});

/**
 * Opens the store until an open changes no table. A compaction that a close breaks off leaves files
 * that the next open removes, and it has room then.
 */
async function settleTables(directory: string): Promise<void> {
  const tables = (): string =>
    readdirSync(join(directory, 'log'))
      .filter((name) => name.endsWith('.ldb'))
      .join();
  for (let before = ''; before !== tables(); ) {
    before = tables();
    const store = await openStore(directory);
    for (let seen = ''; seen !== tables(); await sleep(500)) seen = tables();
    await store.close();
  }
}

withSmallDisk('erased content that a full disk keeps from being compacted away goes when there is room', async (t) => {
  const disk = smallDisk(t, 48);
  const directory = join(disk, 'store');
  const setUp = await openStore(directory);
  const marker = randomBytes(32).toString('hex');
  const secret = await setUp.create(imageConfig(marker));
  // Configs of more bytes than the reserve has, in the tables in which the secret is.
  for (let at = 0; at < 80; at++) await setUp.create(imageConfig(`${at} ${randomBytes(100_000).toString('base64')}`));
  await setUp.delete(secret);
  await setUp.close();
  await settleTables(directory);
  // Less than any table that has the secret, and enough for the event.
  truncateSync(join(directory, RESERVE_FILE), RESERVE_BYTES / 2);
  const isThere = (): boolean => spawnSync('grep', ['-rqF', marker, directory]).status === 0;
  t.true(isThere());
  const empty = await fillDisk(disk, 0);
  const erased = run(directory, ['erase', secret, '--reason', 'a secret']);
  t.is(erased.status, 1);
  t.regex(erased.stderr, /removed content leaves the disk when \d+ bytes more are free.*\(DISK_FULL\)/);
  t.regex(
    erased.stderr,
    /hint: the removal is in the log; make room on the disk and run `imagelog --store \S+ prune --yes`/,
  );
  t.regex(run(directory, ['log', '--type', 'ContentErased']).stdout, /a secret/);
  empty();
  t.is(run(directory, ['prune', '--yes']).stderr, '');
  t.false(isThere());
  t.is(run(directory, ['verify']).status, 0);
});
