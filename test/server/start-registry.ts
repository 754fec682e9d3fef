import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { ExecutionContext } from 'ava';
import { createServer } from '../../src/server/create-server.js';
import type { ServerOptions } from '../../src/server/service.js';
import type { EventStore } from '../../src/store/event-store.js';
import { openTestStore } from '../support/test-store.js';

/** A served store. */
export interface ServedStore {
  readonly store: EventStore;
  /** As `http://127.0.0.1:PORT`. */
  readonly base: string;
  /** What handlers failed with unexpectedly. */
  readonly failures: readonly unknown[];
  /** Ends the server; the store stays open. */
  stop(): Promise<void>;
}

/** Serves an open store on a loopback port. */
export async function serveStore(store: EventStore, options: ServerOptions = {}): Promise<ServedStore> {
  const failures: unknown[] = [];
  const server = createServer(store, { ...options, onFailure: (error) => failures.push(error) });
  const http = createHttpServer(server.listener).listen(0, '127.0.0.1');
  await once(http, 'listening');
  const { port } = http.address() as AddressInfo;
  const stop = async (): Promise<void> => {
    await server.close();
    http.close();
    http.closeAllConnections();
    await once(http, 'close');
  };
  return { store, base: `http://127.0.0.1:${port}`, failures, stop };
}

/** Serves a new store, in `directory` if given, until the test ends. */
export async function startRegistry(t: ExecutionContext, directory?: string): Promise<ServedStore> {
  const options = directory === undefined ? {} : { directory };
  const served = await serveStore(await openTestStore(t, { ...options, onNotice: () => undefined }));
  t.teardown(() => served.stop());
  return served;
}
