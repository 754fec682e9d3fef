import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import {
  type EventStore,
  isStoreError,
  newFSStoreBackend,
  openStore,
  type StoreBackend,
  type StoredEvent,
} from '../../src/index.js';

/*
 * Mirrors the images of a store into the directory layout of Docker's own image store:
 *
 *     node dist/scripts/examples/mirror.js [DIRECTORY] [MIRROR]
 *
 * It is a consumer: each run resumes where the last one ended; after an interruption, it repeats
 * the last event. That is harmless because mirroring is idempotent: each event sets a file to a
 * fixed state or removes it. A second mirror of the same store needs its own consumer.
 */

const CONSUMER = 'mirror';

/** Applies `event` to `mirror`. References and layers have no place in this layout. */
export async function mirrorEvent(store: EventStore, mirror: StoreBackend, event: StoredEvent): Promise<void> {
  switch (event.type) {
    case 'ImageCreated':
      // An image deleted since can no longer be copied; its deletion follows in the log.
      return unlessGone(() => mirror.set(store.backend.get(event.image)));
    case 'ImageDeleted':
      return unlessGone(() => mirror.delete(event.image));
    case 'ParentSet':
      return unlessGone(() => mirror.setMetadata(event.image, 'parent', new TextEncoder().encode(event.parent)));
    case 'ParentCleared':
      return mirror.deleteMetadata(event.image, 'parent');
    case 'MetadataSet':
      return unlessGone(() => mirror.setMetadata(event.image, event.key, event.value));
    case 'MetadataCleared':
      return mirror.deleteMetadata(event.image, event.key);
    default:
      return undefined;
  }
}

/** Runs `act`, ignoring errors about deleted images. */
async function unlessGone(act: () => Promise<unknown>): Promise<void> {
  try {
    await act();
  } catch (error) {
    if (!isStoreError(error, 'IMAGE_NOT_FOUND')) throw error;
  }
}

async function main(directory = './data', target = `${resolve(directory)}-mirror`): Promise<void> {
  await using store = await openStore(directory, { create: false });
  // A removed mirror starts over.
  const isBegun = (await store.consumers()).some(({ name }) => name === CONSUMER);
  if (isBegun && !existsSync(target)) await store.resetConsumer(CONSUMER, 0);
  const mirror = await newFSStoreBackend(target);
  await using consumer = store.consumer(CONSUMER);
  // Ends the loop at the end of the log. A service omits this and keeps receiving events.
  const events = consumer[Symbol.asyncIterator]();
  void consumer.caughtUp().then(
    () => events.return?.(),
    // The loop has already ended and throws the error.
    () => undefined,
  );
  for await (const event of consumer) {
    await mirrorEvent(store, mirror, event);
    // The files are durable: a crash before this line repeats the event, one after it does not.
    await consumer.ack(event);
  }
  console.log(`${store.len()} images mirrored up to event ${consumer.position}`);
}

if (import.meta.filename === process.argv[1]) await main(process.argv[2], process.argv[3]);
