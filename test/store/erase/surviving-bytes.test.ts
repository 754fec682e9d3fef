import fs from 'node:fs';
import { copyFile, cp, mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import type { ImageId } from '../../../src/model/digest.js';
import type { EventStore } from '../../../src/store/event-store.js';
import { openStore } from '../../../src/store/open/open-store.js';
import { rebuildStore } from '../../../src/store/rebuild/rebuild-store.js';
import { verifyStore } from '../../../src/store/verify-store.js';
import { filesWith, newSecret } from '../../support/files-with.js';
import { imageConfig } from '../../support/image-configs.js';
import { countingProjection } from '../../support/own-projections.js';
import { rejection } from '../../support/rejection.js';
import { failing, withCalls } from '../../support/replaced-calls.js';
import { tarOf } from '../../support/tar-of.js';
import { eventsOf } from '../../support/test-store.js';
import { reopened, temporaryStore } from '../temporary-store.js';

/** A store with a secret in the config of an image that was deleted. */
interface Secretive {
  readonly store: EventStore;
  readonly id: ImageId;
  readonly secret: string;
}

async function secretStore(t: ExecutionContext): Promise<Secretive> {
  const store = await temporaryStore(t);
  const secret = newSecret();
  const id = await store.create(imageConfig(secret));
  await store.create(imageConfig('kept'));
  await store.delete(id);
  return { store, id, secret };
}

/** The same after its log was damaged and rebuilt. */
async function salvagedStore(t: ExecutionContext): Promise<Secretive> {
  const { store, id, secret } = await secretStore(t);
  await store.close();
  await rm(join(store.directory, 'log', 'CURRENT'));
  const { log } = await rebuildStore(store.directory);
  t.is(log, 'salvaged');
  return { store: await reopened(t, store), id, secret };
}

const DAMAGED = 'log.damaged-1';

test('an erasure is refused while a damaged log is there that may hold the bytes too, and changes nothing', async (t) => {
  const { store, id, secret } = await salvagedStore(t);
  const { seq } = store.log.head;
  t.true((await filesWith(store.directory, secret)).some((path) => path.includes(DAMAGED)));
  for (const refused of [store.erase(id, 'leaked'), store.prune({ before: seq })]) {
    const error = await rejection(t, 'DAMAGED_LOG_KEPT', refused);
    t.is(
      error.message,
      `cannot erase ${id}: ${DAMAGED}, which a rebuild set aside, may contain the same bytes; move it away or have it removed`,
    );
    t.deepEqual(error.data, { digests: [id], damagedLogs: [DAMAGED] });
  }
  t.is(store.log.head.seq, seq);
  t.deepEqual((await store.prune({ before: seq, dryRun: true })).damagedLogs, [DAMAGED]);
  t.true((await readdir(store.directory)).includes(DAMAGED));
});

for (const how of ['erase', 'prune'] as const) {
  test(`a damaged log goes with what is erased when the caller says so: ${how}`, async (t) => {
    const { store, id, secret } = await salvagedStore(t);
    const options = { removeDamagedLogs: true };
    const done =
      how === 'erase'
        ? await store.erase(id, 'leaked', options)
        : await store.prune({ before: store.log.head.seq, ...options });
    t.deepEqual(done.damagedLogs, [DAMAGED]);
    t.deepEqual(await filesWith(store.directory, secret), []);
    t.false((await readdir(store.directory)).includes(DAMAGED));
    t.deepEqual(await store.verify(), []);
  });
}

for (const how of ['erase', 'prune'] as const) {
  test(`a damaged log that cannot be removed is reported, and the other bytes are removed: ${how}`, async (t) => {
    const { store, id, secret } = await salvagedStore(t);
    const damaged = join(store.directory, DAMAGED);
    const left = await filesWith(damaged, secret);
    const before = store.log.head.seq;
    const options = { removeDamagedLogs: true };
    const rm = failing(fs.promises.rm, 'EACCES', (path) => path === damaged);
    const error = await withCalls({ promises: { rm } }, () =>
      rejection(t, 'STORE_NOT_WRITABLE', () =>
        how === 'erase' ? store.erase(id, 'leaked', options) : store.prune({ before, ...options }),
      ),
    );
    t.regex(error.message, /^cannot remove .*log\.damaged-1: not permitted/);
    t.deepEqual(await filesWith(store.directory, secret), left);
    t.true(store.erasures().has(id));
    t.like(await store.prune({ before, ...options }), { damagedLogs: [DAMAGED] });
    t.deepEqual(await filesWith(store.directory, secret), []);
  });
}

test('a damaged log that was moved away hinders nobody', async (t) => {
  const { store, id, secret } = await salvagedStore(t);
  await rm(join(store.directory, DAMAGED), { recursive: true });
  t.deepEqual((await store.erase(id, 'leaked')).damagedLogs, []);
  t.deepEqual(await filesWith(store.directory, secret), []);
});

test('a damaged log holds no layers: it hinders no erasure of one', async (t) => {
  const { store } = await salvagedStore(t);
  await store.layers.register(tarOf('unused'));
  const again = await reopened(t, store);
  const [layer] = (await eventsOf(again)).flatMap((event) => (event.type === 'LayerAdded' ? [event] : []));
  const { layers, damagedLogs } = await again.erase(layer?.blob.digest ?? '', 'unused');
  t.deepEqual([layers.length, damagedLogs], [1, []]);
  t.true((await readdir(store.directory)).includes(DAMAGED));
  t.deepEqual(await again.verify(), []);
});

test('a dry run changes nothing, with any options, and a prune of nothing removes damaged logs on request', async (t) => {
  const { store } = await salvagedStore(t);
  const options = { before: 0, removeDamagedLogs: true };
  t.like(await store.prune({ ...options, dryRun: true }), { contents: [], damagedLogs: [DAMAGED] });
  t.true((await readdir(store.directory)).includes(DAMAGED));
  t.like(await store.prune(options), { contents: [], damagedLogs: [DAMAGED] });
  t.false((await readdir(store.directory)).includes(DAMAGED));
  await t.throwsAsync(store.prune({ before: 0, removeDamagedLogs: 1 as never }), { instanceOf: TypeError });
  await t.throwsAsync(store.erase(`sha256:${'0'.repeat(64)}`, 'r', { removeDamagedLogs: 'no' as never }), {
    instanceOf: TypeError,
  });
});

test('verify, stats and a notice name a damaged log, and erased content that may be in it is a violation', async (t) => {
  const { store, id } = await salvagedStore(t);
  t.deepEqual(store.stats().damagedLogs, [DAMAGED]);
  const notices: string[] = [];
  const onNotice = (notice: string): void => void notices.push(notice);
  t.deepEqual(await store.verify({ onNotice }), []);
  t.deepEqual(await store.verify({ onNotice, fast: true }), []);
  t.is(notices.length, 2);
  for (const notice of notices) t.regex(notice, /^log\.damaged-1 is a damaged log that a rebuild set aside: remove/);
  const damaged = join(store.directory, DAMAGED);
  const elsewhere = join(store.directory, '..', 'elsewhere');
  await cp(damaged, elsewhere, { recursive: true });
  await store.erase(id, 'leaked', { removeDamagedLogs: true });
  t.deepEqual(store.stats().damagedLogs, []);
  // As a version left it that did not look for damaged logs.
  await cp(elsewhere, damaged, { recursive: true });
  const ofOpen = await store.verify();
  await store.close();
  for (const violations of [ofOpen, await verifyStore(store.directory)]) {
    t.like(violations, { length: 1, 0: { code: 'ERASED_KEPT', place: DAMAGED } });
    t.regex(violations[0]?.message ?? '', /may still contain erased content \(1\): remove the folder/);
  }
  await rm(damaged, { recursive: true });
});

// What a crash leaves is there when the store is opened; what an erasure removes must no longer be in it.
const LEFTOVERS: readonly (readonly [what: string, folder: string])[] = [
  ['the work of a rebuild', 'log.rebuilding/copy'],
  ['the repaired log of a rebuild', 'log.rebuilding/repaired'],
  ['the result of a rebuild', 'log.rebuilt'],
  ['a copy that version 0.1 read', 'log.rehearsal-4194305-0123456789abcdef-01234567'],
  ['a write-ahead log being put back', 'log/.tmp-0123456789abcdef01234567'],
  ['a file being added to the store', '.tmp-0123456789abcdef01234567'],
  ['a snapshot being written', 'snapshots/.tmp-0123456789abcdef01234567'],
  ['a file that a load staged', 'blobs/staging/0123456789abcdef01234567'],
];

for (const [what, folder] of LEFTOVERS) {
  test(`what a crash left holds no erased bytes: ${what}`, async (t) => {
    const { store, id, secret } = await secretStore(t);
    await store.close();
    const log = join(store.directory, 'log');
    const [full = ''] = await filesWith(log, secret);
    const leftover = join(store.directory, folder);
    if (/tmp|staging/.test(folder)) {
      await mkdir(join(leftover, '..'), { recursive: true });
      await copyFile(full, leftover);
    } else await cp(log, leftover, { recursive: true });
    t.is((await filesWith(store.directory, secret)).length, 2);
    const again = await reopened(t, store);
    t.is((await filesWith(store.directory, secret)).length, 1);
    await again.erase(id, 'leaked');
    t.deepEqual(await filesWith(store.directory, secret), []);
  });

  if (!folder.startsWith('log.rebui')) continue;
  test(`what a process left beside an open store holds no erased bytes: ${what}`, async (t) => {
    const { store, id, secret } = await secretStore(t);
    await mkdir(join(store.directory, folder), { recursive: true });
    const [full = ''] = await filesWith(join(store.directory, 'log'), secret);
    await copyFile(full, join(store.directory, folder, '000005.log'));
    await store.erase(id, 'leaked');
    t.deepEqual(await filesWith(store.directory, secret), []);
  });
}

test('a failed load leaves nothing that it read', async (t) => {
  const store = await temporaryStore(t);
  const secret = newSecret();
  async function* cut(): AsyncGenerator<Uint8Array> {
    yield Buffer.concat([Buffer.alloc(512), Buffer.from(secret)]);
    throw new Error('the line is cut');
  }
  await t.throwsAsync(store.load(cut()));
  t.deepEqual(await filesWith(store.directory, secret), []);
});

test('the kept state of a projection and the position of a consumer hold nothing of the content', async (t) => {
  const { store, id, secret } = await secretStore(t);
  await store.project(countingProjection('count').projection);
  const consumer = store.consumer('reader', { from: 1, filter: { image: id } });
  for await (const event of consumer) {
    await consumer.ack(event);
    if (event.type === 'ImageDeleted') break;
  }
  await store.snapshot();
  await store.erase(id, 'leaked');
  t.deepEqual(await filesWith(store.directory, secret), []);
  t.true((await readdir(join(store.directory, 'snapshots'))).includes('count.projection'));
  await store.close();
  const again = await openStore(store.directory);
  t.teardown(() => again.close());
  t.deepEqual(await filesWith(store.directory, secret), []);
});
