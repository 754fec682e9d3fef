import fs, { readdirSync, readlinkSync } from 'node:fs';
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import type { EventStore } from '../../../src/store/event-store.js';
import { type CheckpointSigner, createKeyFile, readSigner } from '../../../src/store/keys.js';
import { openStore } from '../../../src/store/open/open-store.js';
import { verifyStore } from '../../../src/store/verify-store.js';
import { statesBelow } from '../../support/filesystem-copy.js';
import { idNamed, imageConfig } from '../../support/image-configs.js';
import { countingProjection } from '../../support/own-projections.js';
import { rejection } from '../../support/rejection.js';
import { withCalls } from '../../support/replaced-calls.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';
import { archivePath } from '../fixture-archives.js';
import { temporaryStore } from '../temporary-store.js';

async function createAll(store: EventStore, names: readonly string[]): Promise<void> {
  await Promise.all(names.map((name) => store.create(imageConfig(name))));
}

async function seqsOf(store: EventStore): Promise<number[]> {
  const seqs: number[] = [];
  for await (const { seq } of store.log.read()) seqs.push(seq);
  return seqs;
}

/** Reads all that a reader can. */
async function readEverything(store: EventStore): Promise<void> {
  await seqsOf(store);
  for (const [id, image] of store.map()) {
    image.rawJSON();
    for await (const _ of store.history(id)) store.children(id);
  }
  await store.at(1);
  store.stats();
  await store.verify();
  for await (const _ of store.save([...store.map().keys()]));
}

test('a reader leaves every file as it is, and makes none', async (t) => {
  const store = await temporaryStore(t);
  await createAll(store, ['a', 'b', 'c']);
  await store.close();
  const before = await statesBelow(store.directory);
  const reader = await openStore(store.directory, { readOnly: true });
  await readEverything(reader);
  await reader.close();
  t.deepEqual(await verifyStore(store.directory), []);
  t.deepEqual(await statesBelow(store.directory), before);
});

test('of a store with an unfinished write, too', async (t) => {
  const store = await temporaryStore(t);
  await createAll(store, ['a', 'b']);
  await store.close();
  const [log = ''] = (await readdir(join(store.directory, 'log'))).filter((name) => name.endsWith('.log'));
  await writeFile(join(store.directory, 'log', log), 'torn', { flag: 'a' });
  const before = await statesBelow(store.directory);
  const reader = await openStore(store.directory, { readOnly: true });
  t.is(reader.len(), 2);
  await reader.close();
  t.deepEqual(await verifyStore(store.directory), []);
  t.deepEqual(await statesBelow(store.directory), before);
});

test('readers and a writer have a store open at once, and each reader sees what was there when it opened', async (t) => {
  const store = await temporaryStore(t);
  await createAll(store, ['a']);
  const first = await openStore(store.directory, { readOnly: true });
  await createAll(store, ['b', 'c']);
  const second = await openStore(store.directory, { readOnly: true });
  await store.delete(idNamed('a'));
  t.deepEqual([first.len(), second.len(), store.len()], [1, 3, 2]);
  t.deepEqual(await seqsOf(first), [1]);
  // What was added since would look like damage.
  await store.load(archivePath('skopeo-tiny-1.tar'));
  const error = await rejection(t, 'STORE_LOCKED', first.verify());
  t.regex(error.message, /another process writes to it/);
  await first.close();
  await second.close();
});

test('a reader gives every event that it opened with, though a writer compacts its tables away', async (t) => {
  const store = await temporaryStore(t);
  await createAll(
    store,
    Array.from({ length: 300 }, (_, at) => `image ${at}`),
  );
  await store.close();
  const reader = await openStore(store.directory, { readOnly: true });
  // What a copy of the folder does to a lock of this process: a reader has none.
  await readFile(join(store.directory, 'log', 'LOCK'));
  const writer = await openStore(store.directory);
  const tables = await readdir(join(store.directory, 'log'));
  for (let at = 0; at < 300; at++) await writer.delete(idNamed(`image ${at}`));
  await writer.prune({ before: writer.log.head.seq });
  await writer.close();
  const left = new Set(await readdir(join(store.directory, 'log')));
  t.true(
    tables.some((name) => name.endsWith('.ldb') && !left.has(name)),
    'the tables that were read are gone',
  );
  t.is((await seqsOf(reader)).length, 300);
  t.is(reader.get(idNamed('image 7')).operatingSystem(), 'linux');
  await reader.close();
});

test('a reader opens beside a writer that never rests, and sees a whole store each time', async (t) => {
  const store = await temporaryStore(t, { snapshotEvery: 50 });
  let isWriting = true;
  const writing = (async () => {
    for (let at = 0; isWriting; at++) {
      await createAll(store, [`image ${at}`, `other ${at}`]);
      await store.tag({ source: idNamed(`image ${at}`), target: 'shop/app:1' });
      if (at % 20 === 0) await store.checkpoint();
    }
  })();
  for (let at = 0; at < 30; at++) {
    const reader = await openStore(store.directory, { readOnly: true });
    t.deepEqual(
      await seqsOf(reader),
      Array.from({ length: reader.log.head.seq }, (_, of) => of + 1),
    );
    t.is(reader.log.head.seq, reader.len() + (await reader.referenceHistory('shop/app:1')).length);
    await reader.close();
  }
  isWriting = false;
  await writing;
});

test('a reader that is closed leaves no file open', async (t) => {
  const store = await temporaryStore(t);
  await createAll(store, ['a', 'b']);
  const openFiles = (): number =>
    readdirSync('/proc/self/fd').filter((fd) => leadsTo(fd).startsWith(store.directory)).length;
  const before = openFiles();
  for (let at = 0; at < 5; at++) await (await openStore(store.directory, { readOnly: true })).close();
  t.is(openFiles(), before);
});

function leadsTo(descriptor: string): string {
  try {
    return readlinkSync(`/proc/self/fd/${descriptor}`);
  } catch {
    // It was closed since, or there is no /proc.
    return '';
  }
}

test('a verification that a writer runs beside is refused, not taken for damage', async (t) => {
  const store = await temporaryStore(t);
  await store.load(archivePath('skopeo-tiny-1.tar'));
  await store.close();
  let written: Promise<void> | undefined;
  const child = async (): Promise<void> => {
    await using writer = await openStore(join(store.directory, '..', 'store'), { actor: 'other' });
    await writer.load(archivePath('docker25-all.tar'));
  };
  const reader = await openStore(store.directory, { readOnly: true });
  const error = await rejection(
    t,
    'STORE_LOCKED',
    (async () => {
      written = child();
      await written;
      return reader.verify();
    })(),
  );
  t.is(error.kind, 'Unavailable');
  await reader.close();
  t.deepEqual(await verifyStore(store.directory), []);
});

test('a checkpoint that is newer than what a reader sees is no error', async (t) => {
  const store = await temporaryStore(t);
  await createAll(store, ['a']);
  await store.checkpoint();
  const { open } = fs.promises;
  let written = 0;
  // The writer is there just before the reader takes the checkpoint, however often that tries.
  const openLate = async (...[path, ...rest]: Parameters<typeof open>): ReturnType<typeof open> => {
    if (path === join(store.directory, 'checkpoint')) {
      await createAll(store, [`later ${written++}`]);
      await store.checkpoint();
    }
    return open(path, ...rest);
  };
  const reader = await withCalls({ promises: { open: openLate } }, () =>
    openStore(store.directory, { readOnly: true }),
  );
  t.deepEqual([reader.log.head.seq, written], [2, 1], 'one try is enough');
  await reader.close();
});

test('what the key signed since a reader began to look is no error', async (t) => {
  const key = join(await temporaryDirectory(t), 'log.key');
  await createKeyFile(key, 'example.com/log');
  const store = await temporaryStore(t, { signer: await readSigner(key) });
  await createAll(store, ['a']);
  await store.checkpoint();
  const signer = await readSigner(key);
  let looks = 0;
  const late: CheckpointSigner = {
    origin: signer.origin,
    verifierKey: signer.verifierKey,
    sign: (...args) => signer.sign(...args),
    check: async (beginsWith) => {
      if (looks++ === 0) {
        await createAll(store, ['b']);
        await store.checkpoint();
      }
      return signer.check(beginsWith);
    },
  };
  await using reader = await openStore(store.directory, { readOnly: true, signer: late });
  t.deepEqual([reader.log.head.seq, looks], [2, 2]);
});

test('a reader says nothing of snapshots and states of projections that are newer than what it sees', async (t) => {
  const { projection } = countingProjection('count');
  const store = await temporaryStore(t);
  await createAll(store, ['a', 'b']);
  await store.project(projection);
  const notices: string[] = [];
  const onNotice = (notice: string): void => void notices.push(notice);
  await using reader = await openStore(store.directory, { readOnly: true, onNotice });
  await createAll(store, ['c']);
  await store.snapshot();
  const names = await readdir(join(store.directory, 'snapshots'));
  t.deepEqual(names.sort(), ['0000000000000003.views', 'count.projection']);
  t.is((await reader.at(1)).len(), 1);
  t.is((await reader.project(projection)).current, 2);
  t.deepEqual(notices, []);
});
