import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { checkProof, formatCheckpoint, parseCheckpoint } from '../../../src/log/checkpoint.js';
import { treePaths } from '../../../src/store/backup/backup-tiles.js';
import { createKeyFile, readSigner } from '../../../src/store/keys.js';
import { openStore } from '../../../src/store/open/open-store.js';
import { imageConfig } from '../../support/image-configs.js';
import { rejection } from '../../support/rejection.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';
import { eventsOf, openTestStore } from '../../support/test-store.js';

test('every event of a log is proved, at every size that the log had', async (t) => {
  const store = await openTestStore(t, { origin: 'a' });
  const checkpoints: string[] = [];
  for (let at = 0; at < 6; at++) {
    await store.create(imageConfig(`${at}`));
    checkpoints.push(await store.checkpoint());
  }
  for (const event of await eventsOf(store)) {
    t.deepEqual((await checkProof(await store.prove(event.seq))).event, event);
    for (const checkpoint of checkpoints) {
      const { size } = parseCheckpoint(checkpoint);
      if (size < event.seq) await rejection(t, 'EVENT_NOT_FOUND', store.prove(event.seq, { checkpoint }));
      else t.deepEqual((await checkProof(await store.prove(event.seq, { checkpoint }), { checkpoint })).event, event);
    }
  }
});

test('while writers write, a proof is of a checkpoint that has its event', async (t) => {
  const store = await openTestStore(t, { origin: 'a' });
  await Promise.all(
    Array.from({ length: 30 }, async (_, at) => {
      await store.create(imageConfig(`${at}`));
      const seq = store.log.head.seq;
      t.is((await checkProof(await store.prove(seq))).seq, seq);
    }),
  );
});

test('what is not there is not proved, and no checkpoint is written for it', async (t) => {
  const store = await openTestStore(t, { origin: 'a' });
  await rejection(t, 'EVENT_NOT_FOUND', store.prove(1));
  for (const seq of [0, -1, 1.5, Number.NaN]) await t.throwsAsync(store.prove(seq), { instanceOf: RangeError });
});

test('a proof for a checkpoint that is not of this log, or of another history, is refused', async (t) => {
  const store = await openTestStore(t, { origin: 'a' });
  await store.create(imageConfig('one'));
  const checkpoint = parseCheckpoint(await store.checkpoint());
  const forked = { ...checkpoint, root: new Uint8Array(32) };
  await rejection(t, 'CHECKPOINT_INVALID', store.prove(1, { checkpoint: 'x' }));
  await rejection(
    t,
    'CHECKPOINT_FOREIGN',
    store.prove(1, { checkpoint: formatCheckpoint({ ...checkpoint, origin: 'b' }) }),
  );
  await rejection(t, 'CHECKPOINT_FORKED', store.prove(1, { checkpoint: formatCheckpoint(forked) }));
  await rejection(t, 'CHECKPOINT_FORKED', store.prove(1, { checkpoint: formatCheckpoint({ ...checkpoint, size: 2 }) }));
});

test('a checkpoint of an earlier size is the one that was written then, and the file stays', async (t) => {
  const store = await openTestStore(t, { origin: 'a' });
  const checkpoints = [await store.checkpoint()];
  for (let at = 0; at < 5; at++) {
    await store.create(imageConfig(`${at}`));
    checkpoints.push(await store.checkpoint());
  }
  const file = join(store.directory, 'checkpoint');
  const before = await readFile(file, 'utf8');
  for (const [size, checkpoint] of checkpoints.entries()) t.is(await store.checkpoint(size), checkpoint);
  t.is(await readFile(file, 'utf8'), before);
  await rejection(t, 'EVENT_NOT_FOUND', store.checkpoint(6));
  for (const size of [-1, 1.5, Number.NaN]) await t.throwsAsync(store.checkpoint(size), { instanceOf: RangeError });
});

test('a read-only store signs no checkpoint of an earlier size', async (t) => {
  const key = join(await temporaryDirectory(t), 'key');
  await createKeyFile(key, 'a');
  const signer = await readSigner(key);
  const store = await openTestStore(t, { signer });
  for (const name of ['one', 'two']) await store.create(imageConfig(name));
  t.is(parseCheckpoint(await store.checkpoint(1)).signatures.length, 1);
  t.is(store.verifierKey, signer.verifierKey);
  await using readOnly = await openStore(store.directory, { readOnly: true, signer });
  const checkpoint = parseCheckpoint(await readOnly.checkpoint(1));
  t.is(checkpoint.size, 1);
  t.is(checkpoint.signatures.length, 0);
});

test('tiles and bundles are those of a backup, and others are not found', async (t) => {
  const store = await openTestStore(t, { origin: 'a', layers: 'none' });
  await Promise.all(Array.from({ length: 300 }, (_, at) => store.create(imageConfig(`${at}`))));
  const backup = join(await temporaryDirectory(t), 'backup');
  await store.backup(backup);
  for (const path of treePaths(300)) {
    t.deepEqual(new Uint8Array(await store.readTile(path)), new Uint8Array(await readFile(join(backup, path))), path);
  }
  for (const path of ['tile/0/001', 'tile/entries/001.p/45', 'checkpoint', 'tile/0/../0/000', '']) {
    await rejection(t, 'EVENT_NOT_FOUND', store.readTile(path));
  }
  await t.throwsAsync(store.readTile(undefined as unknown as string), { instanceOf: TypeError });
  await store.close();
  await rejection(t, 'STORE_CLOSED', store.readTile('tile/0/000'));
  await rejection(t, 'STORE_CLOSED', store.checkpoint(1));
});
