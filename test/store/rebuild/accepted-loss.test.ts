import { createHash } from 'node:crypto';
import { cp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test, { type ExecutionContext } from 'ava';
import { parseRecordFile } from '../../../src/log/leveldb/log-files.js';
import { eventKey } from '../../../src/log/rows.js';
import { createKeyFile, readSigner } from '../../../src/store/keys.js';
import { openStore } from '../../../src/store/open/open-store.js';
import { rebuildStore } from '../../../src/store/rebuild/rebuild-store.js';
import type { OpenOptions } from '../../../src/store/store.js';
import { verifyStore } from '../../../src/store/verify-store.js';
import { imageConfig } from '../../support/image-configs.js';
import { rejection } from '../../support/rejection.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';
import { tamper } from '../../support/test-log.js';
import { archivePath } from '../fixture-archives.js';

/** A closed store of ten images, one event each, and a consumer that has handled all. */
async function closedStore(t: ExecutionContext, options: OpenOptions = {}): Promise<string> {
  const directory = join(await temporaryDirectory(t), 'store');
  const store = await openStore(directory, { actor: 'tester', ...options });
  for (let at = 1; at <= 10; at++) await store.create(imageConfig(`image ${at}`));
  const consumer = store.consumer('reader');
  for await (const event of consumer) {
    await consumer.ack(event);
    if (event.seq === 10) break;
  }
  await store.close();
  return directory;
}

async function lose(directory: string, ...seqs: readonly number[]): Promise<void> {
  await tamper(join(directory, 'log'), async (database) => {
    for (const seq of seqs) await database.del(eventKey(seq));
  });
}

/** Paths and digests of all files but those that LevelDB's lock and debug log are, and what an open remembers of tables. */
async function bytesBelow(directory: string): Promise<string[]> {
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const files = entries.filter(
    (entry) => entry.isFile() && !/^(?:LOCK|LOG|LOG\.old|whole-tables\.json)$/.test(entry.name),
  );
  const lines = files.map(async ({ parentPath, name }) => {
    const bytes = await readFile(join(parentPath, name));
    return `${join(parentPath, name)} ${createHash('sha256').update(bytes).digest('hex')}`;
  });
  return (await Promise.all(lines)).sort();
}

async function headOf(directory: string): Promise<number> {
  const store = await openStore(directory, { create: false, readOnly: true });
  const { seq } = store.log.head;
  await store.close();
  return seq;
}

test('a lost last event is accepted by its number alone, and its checkpoint is kept', async (t) => {
  const directory = await closedStore(t);
  const proof = await readFile(join(directory, 'checkpoint'));
  await lose(directory, 10);
  const before = await bytesBelow(directory);
  const error = await rejection(t, 'LOG_CORRUPT', rebuildStore(directory));
  t.is(
    error.message,
    'cannot rebuild the store: event 10 can no longer be read; restore a backup. Without one, a rebuild that accepts ' +
      'the loss after event 9 keeps events 1 to 9, and loses event 10 permanently (`rebuild --accept-loss 9`)',
  );
  t.like(error.data, { remedy: 'restore', acceptLoss: 9, loss: { first: 10, last: 10 } });
  for (const acceptLoss of [0, 8, 10, 11]) {
    const mismatch = await rejection(t, 'LOSS_MISMATCH', rebuildStore(directory, { acceptLoss }));
    t.regex(mismatch.message, new RegExp(`so the loss is not after event ${acceptLoss}: .* after event 9 keeps`));
    t.like(mismatch.data, { given: acceptLoss, acceptLoss: 9 });
  }
  for (const acceptLoss of [-1, 1.5]) {
    await t.throwsAsync(rebuildStore(directory, { acceptLoss }), { instanceOf: RangeError });
  }
  t.deepEqual(await bytesBelow(directory), before, 'what is refused changes nothing');

  const notices: string[] = [];
  const onNotice = (notice: string): void => void notices.push(notice);
  const result = await rebuildStore(directory, { acceptLoss: 9, onNotice });
  const lostCheckpoint = join(directory, 'checkpoint.lost-after-9');
  t.like(result, { events: 9, log: 'salvaged', acceptedLoss: { first: 10, last: 10 }, lostCheckpoint });
  t.deepEqual(result.lostContent, []);
  t.is(
    notices[0],
    `the store continues without event 10: what is left of the log is in ${result.damagedLog}, and the checkpoint that proves them is kept in ${lostCheckpoint}`,
  );
  t.deepEqual(await readFile(lostCheckpoint), proof);
  t.is(await headOf(directory), 9);

  notices.length = 0;
  t.deepEqual(await verifyStore(directory, { onNotice }), []);
  t.true(notices.some((notice) => notice.startsWith('checkpoint.lost-after-9 proves events that were lost')));
  const against = proof.toString();
  t.like(await verifyStore(directory, { against }), [{ code: 'CHECKPOINT_AHEAD' }]);
  const store = await openStore(directory, { create: false });
  t.is(store.consumer('reader').position, 9, 'the next event is new to a consumer that saw the lost one');
  await store.create(imageConfig('another'));
  await store.close();
  t.like(await verifyStore(directory, { against }), [{ code: 'CHECKPOINT_FORKED' }]);
});

test('no loss is accepted where none is', async (t) => {
  const directory = await closedStore(t);
  const before = await bytesBelow(directory);
  const error = await rejection(t, 'LOSS_MISMATCH', rebuildStore(directory, { acceptLoss: 9 }));
  t.is(error.message, 'cannot rebuild the store with a loss after event 9: no event is lost');
  t.deepEqual(await bytesBelow(directory), before);
});

test('whole events behind a gap are lost with it, and the error says so', async (t) => {
  const directory = await closedStore(t);
  await lose(directory, 4, 5, 8);
  const error = await rejection(t, 'LOG_CORRUPT', rebuildStore(directory));
  t.regex(
    error.message,
    /events 4 to 5, 8 can no longer be read; .* after event 3 keeps events 1 to 3, and loses events 4 to 10/,
  );
  const { acceptedLoss, lostContent } = await rebuildStore(directory, { acceptLoss: 3 });
  t.deepEqual(acceptedLoss, { first: 4, last: 10 });
  t.deepEqual(lostContent, []);
  t.is(await headOf(directory), 3);
  await rm(join(directory, 'log.damaged-1'), { recursive: true });
  t.deepEqual(await verifyStore(directory), []);
});

test('a transaction that lost an event is lost whole, and layer files that only it names go', async (t) => {
  const directory = join(await temporaryDirectory(t), 'store');
  const store = await openStore(directory);
  await store.create(imageConfig('a'), { actor: 'x' });
  await store.load(archivePath('docker25-all.tar'));
  const last = store.log.head.seq;
  await store.close();
  await lose(directory, last);
  const mismatch = await rejection(t, 'LOSS_MISMATCH', rebuildStore(directory, { acceptLoss: last - 1 }));
  t.is(mismatch.data['acceptLoss'], 1);
  await rebuildStore(directory, { acceptLoss: 1 });
  t.deepEqual(await readdir(join(directory, 'blobs', 'sha256')), []);
  t.deepEqual(await verifyStore(directory), []);
});

test('every event may be lost', async (t) => {
  const directory = await closedStore(t);
  await lose(directory, ...Array.from({ length: 10 }, (_, at) => at + 1));
  const error = await rejection(t, 'LOG_CORRUPT', rebuildStore(directory));
  t.regex(error.message, /after event 0 keeps no event, and loses events 1 to 10 permanently/);
  t.is((await rebuildStore(directory, { acceptLoss: 0 })).events, 0);
  t.deepEqual(await verifyStore(directory), []);
});

test('events that only the write-ahead log shows to be lost leave no checkpoint behind', async (t) => {
  const place = await temporaryDirectory(t);
  const store = await openStore(join(place, 'open'), { actor: 'tester' });
  t.teardown(() => store.close());
  for (let image = 0; image < 12; image++) await store.create(imageConfig(`image ${image}`));
  const directory = join(place, 'crashed');
  await cp(join(place, 'open'), directory, { recursive: true });
  const [name = ''] = (await readdir(join(directory, 'log'))).filter((each) => each.endsWith('.log'));
  const path = join(directory, 'log', name);
  const bytes = await readFile(path);
  const { offset } = parseRecordFile(bytes).records[5] ?? { offset: 0 };
  await writeFile(path, bytes.with(offset + 20, (bytes[offset + 20] as number) ^ 1));
  const { data } = await rejection(t, 'LOG_CORRUPT', rebuildStore(directory));
  const result = await rebuildStore(directory, { acceptLoss: data['acceptLoss'] as number });
  t.is(result.events, 5);
  t.is(result.lostCheckpoint, undefined);
  t.is(await headOf(directory), 5);
});

test('a damaged last event is one that is lost, also without a checkpoint', async (t) => {
  const directory = await closedStore(t);
  await rm(join(directory, 'checkpoint'));
  await tamper(join(directory, 'log'), async (database) => {
    const row = Uint8Array.from((await database.get(eventKey(10))) ?? []);
    await database.put(eventKey(10), row.with(40, (row[40] as number) ^ 1));
  });
  const error = await rejection(t, 'LOG_CORRUPT', rebuildStore(directory));
  t.regex(error.message, /event 10 can no longer be read/);
  t.is((await rebuildStore(directory, { acceptLoss: 9 })).events, 9);
});

test('a key that signed lost events refuses, before and after', async (t) => {
  const file = join(await temporaryDirectory(t), 'log.key');
  await createKeyFile(file, 'example.com/images');
  const signer = await readSigner(file);
  const directory = await closedStore(t, { signer });
  await lose(directory, 10);
  const before = await bytesBelow(directory);
  await rejection(t, 'CHECKPOINT_FORKED', rebuildStore(directory, { acceptLoss: 9, signer }));
  t.deepEqual(await bytesBelow(directory), before);
  await rebuildStore(directory, { acceptLoss: 9 });
  await rejection(t, 'CHECKPOINT_FORKED', openStore(directory, { signer }));
  await createKeyFile(`${file}.new`, 'example.com/images');
  const again = await openStore(directory, { signer: await readSigner(`${file}.new`) });
  await again.create(imageConfig('another'));
  await again.close();
  t.deepEqual(await verifyStore(directory), []);
});

test('a checkpoint of another log accepts no loss', async (t) => {
  const directory = await closedStore(t);
  const other = await closedStore(t);
  await lose(directory, 10);
  await cp(join(other, 'checkpoint'), join(directory, 'checkpoint'));
  const before = await bytesBelow(directory);
  await rejection(t, 'CHECKPOINT_FOREIGN', rebuildStore(directory, { acceptLoss: 9 }));
  t.deepEqual(await bytesBelow(directory), before);
});

test('an abort changes nothing, and a crash before the checkpoint is set aside leaves a store that is refused as before', async (t) => {
  const directory = await closedStore(t);
  await lose(directory, 10);
  const before = await bytesBelow(directory);
  const controller = new AbortController();
  const stop = (): void => controller.abort(new Error('enough'));
  const aborted = rebuildStore(directory, { acceptLoss: 9, signal: controller.signal, onProgress: stop });
  await rejection(t, 'ABORTED', aborted);
  t.deepEqual(await bytesBelow(directory), before);

  const proof = await readFile(join(directory, 'checkpoint'));
  await rebuildStore(directory, { acceptLoss: 9 });
  // As that crash leaves it.
  await rm(join(directory, 'checkpoint.lost-after-9'));
  await writeFile(join(directory, 'checkpoint'), proof);
  await rejection(t, 'LOG_CORRUPT', openStore(directory));
  t.is((await rejection(t, 'LOG_CORRUPT', rebuildStore(directory))).data['acceptLoss'], 9);
  t.is((await rebuildStore(directory, { acceptLoss: 9 })).events, 9);
  t.deepEqual(await readFile(join(directory, 'checkpoint.lost-after-9')), proof);
  // A second loss after the same event has its own name.
  await writeFile(join(directory, 'checkpoint'), proof);
  const { lostCheckpoint } = await rebuildStore(directory, { acceptLoss: 9 });
  t.is(lostCheckpoint, join(directory, 'checkpoint.lost-after-9-2'));
});
