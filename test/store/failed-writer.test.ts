import { createReadStream } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { fixturePath } from '../support/fixtures.js';
import { idNamed, imageConfig } from '../support/image-configs.js';
import { rejection } from '../support/rejection.js';
import { storeError } from '../support/store-error.js';
import { eventsOf, openFailingStore } from '../support/test-store.js';
import { bytesOf } from '../support/text-bytes.js';

const ARCHIVE = fixturePath('archives', 'docker25-untagged.tar');

test('a writer that lost the disk writes and removes nothing more; views answer, the log says so, and closing works', async (t) => {
  const { store, databases } = await openFailingStore(t);
  await store.load(createReadStream(ARCHIVE));
  const [image = idNamed('none')] = store.map().keys();
  await store.create(imageConfig('a'));
  const events = await eventsOf(store);
  const blobs = await readdir(join(store.directory, 'blobs', 'sha256'));
  databases.fates.push('unsure');
  databases.failingOpens = 1;
  // The event that frees the blobs may be durable: nobody can tell, so the blobs stay.
  await rejection(t, 'OUTCOME_UNKNOWN', store.delete(image));
  const { batches } = databases;
  for (const write of [
    () => store.create(imageConfig('b')),
    () => store.delete(image),
    () => store.tag({ source: image, target: 'x:1' }),
    () => store.setMetadata(image, 'k', bytesOf('v')),
    () => store.load(createReadStream(ARCHIVE)),
  ]) {
    await rejection(t, 'LOG_FAILED', write);
  }
  t.is(databases.batches, batches);
  t.deepEqual(await readdir(join(store.directory, 'blobs', 'sha256')), blobs);
  t.true(store.map().has(image));
  t.is(store.log.head.seq, events.length);
  storeError(t, 'LOG_FAILED', () => store.get(image).rawJSON());
  await rejection(t, 'LOG_FAILED', eventsOf(store));
  await store.close();
  t.deepEqual(await readdir(join(store.directory, 'blobs', 'sha256')), blobs);
  storeError(t, 'STORE_CLOSED', () => store.len());
});
