import { createServer as createHttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { createServer } from '../../../src/server/create-server.js';
import type { ServerOptions } from '../../../src/server/service.js';
import type { EventStore } from '../../../src/store/event-store.js';
import { createKeyFile, readSigner } from '../../../src/store/keys.js';
import { imageConfig } from '../../support/image-configs.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';
import { openTestStore } from '../../support/test-store.js';

export const ORIGIN = 'example.org/log';

/** A store with a signer and `events` events. */
export async function signedStore(t: ExecutionContext, events: number): Promise<EventStore> {
  const key = join(await temporaryDirectory(t), 'key');
  await createKeyFile(key, ORIGIN);
  const store = await openTestStore(t, { signer: await readSigner(key), layers: 'none' });
  await writeEvents(store, events);
  return store;
}

/** Appends `count` events. */
export async function writeEvents(store: EventStore, count: number): Promise<void> {
  const { seq } = store.log.head;
  await Promise.all(Array.from({ length: count }, (_, index) => store.create(imageConfig(`image ${seq + index}`))));
}

/** Serves a store on a port that the system chooses until the test ends; returns the URL of its log. */
export async function servedLog(t: ExecutionContext, store: EventStore, options?: ServerOptions): Promise<string> {
  const server = createServer(store, options);
  const listening = createHttpServer(server.listener).listen(0, '127.0.0.1');
  await new Promise((resolve) => listening.once('listening', resolve));
  t.teardown(async () => {
    listening.closeAllConnections();
    listening.close();
    await server.close();
  });
  return `http://127.0.0.1:${(listening.address() as AddressInfo).port}/log`;
}
