import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import type { ExecutionContext } from 'ava';
import { join } from 'node:path';
import { run } from '../../src/cli/run.js';
import { servedRunner } from '../../src/cli/served/run-served.js';
import type { RunCommand } from '../../src/server/command/frames.js';
import { createServer, type StoreServer } from '../../src/server/create-server.js';
import type { ServerOptions } from '../../src/server/service.js';
import type { EventStore } from '../../src/store/event-store.js';
import type { OpenOptions } from '../../src/store/store.js';
import { openStore } from '../../src/store/open/open-store.js';

/** A store that this process serves. */
export interface Served {
  readonly store: EventStore;
  readonly server: StoreServer;
  /** URL of the same server on loopback. */
  readonly url: string;
  readonly socket: string;
  /** Command lines that the server has run. */
  readonly ran: () => number;
  /** What handlers failed with. */
  readonly failures: unknown[];
  /** Stops as a service does: the server first, then the store. */
  readonly stop: () => Promise<void>;
}

/** Opens the store in `directory` and serves it, on a socket there and on loopback, until the test ends. */
export async function serveHere(
  t: ExecutionContext,
  directory: string,
  {
    server: options = {},
    store: storeOptions = {},
  }: { readonly server?: ServerOptions; readonly store?: OpenOptions } = {},
): Promise<Served> {
  const store = await openStore(directory, { onNotice: () => undefined, ...storeOptions });
  const failures: unknown[] = [];
  let ran = 0;
  const runCommand: RunCommand = (call) => {
    ran += 1;
    return servedRunner(run)(call);
  };
  const server = createServer(store, { runCommand, onFailure: (error) => failures.push(error), ...options });
  const socket = join(directory, 'serve.sock');
  const listeners = [createHttpServer(server.listener), createHttpServer(server.listener)];
  for (const each of listeners) each.on('upgrade', server.upgrade);
  const [unix, tcp] = listeners;
  unix?.listen(socket);
  tcp?.listen(0, '127.0.0.1');
  await Promise.all(listeners.map((each) => once(each, 'listening')));
  let stopping: Promise<void> | undefined;
  const stop = (): Promise<void> => {
    stopping ??= (async () => {
      for (const each of listeners) each.close();
      await server.close();
      await store.close();
    })();
    return stopping;
  };
  t.teardown(stop);
  const address = tcp?.address();
  const port = typeof address === 'object' ? address?.port : undefined;
  return { store, server, url: `http://127.0.0.1:${port}`, socket, ran: () => ran, failures, stop };
}
