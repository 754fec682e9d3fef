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
 * Brings a copy of the images of a store up to date, in the directory layout of Docker's own image store:
 *
 *     node dist/scripts/examples/mirror.js [DIRECTORY] [MIRROR]
 *
 * It is a consumer: each run goes on where the last one ended, and a run that was interrupted does its last event again. That
 * does no harm, for to mirror an event twice is to mirror it once: each sets a file to what it was, or removes it. A second mirror
 * of the same store needs a consumer of its own.
 */

const CONSUMER = 'mirror';

/** Does to `mirror` what `event` did to the store. References and layers have other places than this layout. */
export async function mirrorEvent(store: EventStore, mirror: StoreBackend, event: StoredEvent): Promise<void> {
  switch (event.type) {
    case 'ImageCreated':
      // An image that was deleted since cannot be copied any more, and need not be: its deletion comes later in the log.
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

/** Does `act`, unless its image is gone. */
async function unlessGone(act: () => Promise<unknown>): Promise<void> {
  try {
    await act();
  } catch (error) {
    if (!isStoreError(error, 'IMAGE_NOT_FOUND')) throw error;
  }
}

async function main(directory = './data', target = `${resolve(directory)}-mirror`): Promise<void> {
  await using store = await openStore(directory, { create: false });
  // A mirror that was taken away begins anew.
  const isBegun = (await store.consumers()).some(({ name }) => name === CONSUMER);
  if (isBegun && !existsSync(target)) await store.resetConsumer(CONSUMER, 0);
  const mirror = await newFSStoreBackend(target);
  await using consumer = store.consumer(CONSUMER);
  // Ends the loop when all that is in the log was given. A service leaves this out, and goes on with each event that comes.
  const events = consumer[Symbol.asyncIterator]();
  void consumer.caughtUp().then(
    () => events.return?.(),
    // The loop ended before, and throws why.
    () => undefined,
  );
  for await (const event of consumer) {
    await mirrorEvent(store, mirror, event);
    // The files are durable: a crash before this line has the event mirrored again, one after it has not.
    await consumer.ack(event);
  }
  console.log(`${store.len()} images mirrored up to event ${consumer.position}`);
}

if (import.meta.filename === process.argv[1]) await main(process.argv[2], process.argv[3]);
