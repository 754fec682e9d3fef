import { rm } from 'node:fs/promises';
import test, { type ExecutionContext } from 'ava';
import { mirrorEvent } from '../../scripts/examples/mirror.js';
import { newFSStoreBackend, newImageStore } from '../../src/store/docker-backend.js';
import { openStore } from '../../src/store/open/open-store.js';
import type { EventStore } from '../../src/store/event-store.js';
import type { Store } from '../../src/store/store.js';
import { archivePath } from '../store/fixture-archives.js';
import { copyImages, filesBelow } from '../support/filesystem-copy.js';
import { idNamed, imageConfig } from '../support/image-configs.js';
import { temporaryDirectory } from '../support/temporary-directory.js';
import { eventsOf, openTestStore } from '../support/test-store.js';
import { bytesOf, textOf } from '../support/text-bytes.js';
import { runExample } from './run-example.js';

/** Real images, and what becomes of some of them. */
async function fillStore(store: EventStore): Promise<void> {
  await store.load(archivePath('docker25-all.tar'));
  await store.load(archivePath('oci-multi-platform.tar'));
  const app = store.resolve('shop/app:1.0');
  for (const name of ['child', 'passing', 'other']) await store.create(imageConfig(name));
  await store.setParent(idNamed('child'), app);
  await store.setParent(idNamed('other'), app);
  await store.setParent(idNamed('other'), idNamed('passing'));
  await store.setLastUpdated(app);
  await store.setBuiltLocally(idNamed('child'));
  await store.setMetadata(app, 'team', bytesOf('payments'));
  await store.setMetadata(idNamed('passing'), 'team', bytesOf('search'));
}

/** Removes images, one of them permanently, and changes what the others have. */
async function changeStore(store: EventStore): Promise<void> {
  const app = store.resolve('shop/app:1.0');
  await store.deleteMetadata(idNamed('passing'), 'team');
  await store.delete(idNamed('passing'));
  await store.delete(idNamed('child'));
  await store.create(imageConfig('child'));
  await store.setMetadata(app, 'team', bytesOf('checkout'));
  await store.setLastUpdated(idNamed('child'));
  await store.delete(store.resolve('twice:1'));
}

/** The files that hold the images of `store` in Docker's layout. */
async function expectedFiles(t: ExecutionContext, store: EventStore): Promise<Map<string, Uint8Array>> {
  const directory = await temporaryDirectory(t);
  await copyImages(store, await newFSStoreBackend(directory));
  return filesBelow(directory);
}

/** What an image store answers about its images, as plain values. */
function answersOf(store: Store): unknown {
  const ids = [...store.map().keys()].sort();
  const imageOf = (id: (typeof ids)[number]): unknown => ({
    config: textOf(store.get(id).rawJSON()),
    parent: store.get(id).parent,
    children: store.children(id),
    lastUpdated: store.getLastUpdated(id),
    isBuiltLocally: store.isBuiltLocally(id),
    found: store.search(id.slice('sha256:'.length)),
  });
  return { images: ids.map((id) => [id, imageOf(id)]), heads: [...store.heads().keys()].sort(), len: store.len() };
}

/** Asserts that the mirror has the files of the store's images and no other, and that an image store over it answers as the store. */
async function checkMirror(t: ExecutionContext, store: EventStore, mirror: string): Promise<void> {
  t.deepEqual(await filesBelow(mirror), await expectedFiles(t, store));
  const images = await newImageStore(await newFSStoreBackend(mirror), store.layers, { os: 'any' });
  t.deepEqual(answersOf(images), answersOf(store));
}

test('the mirror has the files of Docker, and an image store over it answers as the store does', async (t) => {
  const mirror = await temporaryDirectory(t);
  const store = await openTestStore(t);
  await fillStore(store);
  await store.close();
  const first = await runExample('mirror', [store.directory, mirror]);
  t.deepEqual([first.code, first.stderr], [0, '']);
  await using filled = await openStore(store.directory);
  t.deepEqual(first.lines, [`${filled.len()} images mirrored up to event ${filled.log.head.seq}`]);
  await checkMirror(t, filled, mirror);
  await changeStore(filled);
  await filled.close();

  const second = await runExample('mirror', [store.directory, mirror]);
  const third = await runExample('mirror', [store.directory, mirror]);
  t.deepEqual([second.code, second.stderr, third], [0, '', second]);
  await using changed = await openStore(store.directory);
  await checkMirror(t, changed, mirror);
});

test('a mirror that was removed is rebuilt', async (t) => {
  const mirror = await temporaryDirectory(t);
  const store = await openTestStore(t);
  await fillStore(store);
  await store.close();
  await runExample('mirror', [store.directory, mirror]);
  await rm(mirror, { recursive: true });
  const again = await runExample('mirror', [store.directory, mirror]);
  t.deepEqual([again.code, again.stderr], [0, '']);
  await using reopened = await openStore(store.directory);
  await checkMirror(t, reopened, mirror);
});

test('a run that ended between an event and its acknowledgement leaves nothing to repair', async (t) => {
  const mirror = await temporaryDirectory(t);
  const store = await openTestStore(t);
  await fillStore(store);
  await changeStore(store);
  const backend = await newFSStoreBackend(mirror);
  let given = 0;
  await using consumer = store.consumer('mirror');
  for await (const event of consumer) {
    await mirrorEvent(store, backend, event);
    if (++given === 12) break;
    await consumer.ack(event);
  }
  t.is(consumer.position, 11);
  await store.close();
  const { code, stderr } = await runExample('mirror', [store.directory, mirror]);
  t.deepEqual([code, stderr], [0, '']);
  await using after = await openStore(store.directory);
  await checkMirror(t, after, mirror);
});

test('any last part of the log may be mirrored a second time', async (t) => {
  const mirror = await temporaryDirectory(t);
  const store = await openTestStore(t);
  const backend = await newFSStoreBackend(mirror);
  const mirrorFrom = async (from: number): Promise<void> => {
    for (const event of await eventsOf(store, { from })) await mirrorEvent(store, backend, event);
  };
  await fillStore(store);
  // What is deleted below is in the mirror by then, as in one that keeps up.
  await mirrorFrom(1);
  const { seq } = store.log.head;
  await changeStore(store);
  await mirrorFrom(seq + 1);
  const expected = await expectedFiles(t, store);
  t.deepEqual(await filesBelow(mirror), expected);
  for (let from = store.log.head.seq; from > seq - 5; from--) {
    await mirrorFrom(from);
    t.deepEqual(await filesBelow(mirror), expected, `from event ${from}`);
  }
  await mirrorFrom(1);
  t.deepEqual(await filesBelow(mirror), expected);
});
