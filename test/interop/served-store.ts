import { createServer as createHttpServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { StoredEvent } from '../../src/model/events.js';
import { createServer, type StoreServer } from '../../src/server/create-server.js';
import type { EventStore } from '../../src/store/event-store.js';
import { openStore } from '../../src/store/open/open-store.js';

/** A store that is served to real clients at a port of this machine. */
export class ServedStore {
  readonly store: EventStore;
  /** Name of the registry, such as `127.0.0.1:40123`. */
  readonly host: string;
  /** Failures that no client made. */
  readonly failures: readonly unknown[];
  readonly #server: StoreServer;
  readonly #http: Server;

  private constructor(store: EventStore, server: StoreServer, http: Server, failures: readonly unknown[]) {
    this.store = store;
    this.#server = server;
    this.#http = http;
    this.failures = failures;
    this.host = `127.0.0.1:${(http.address() as AddressInfo).port}`;
  }

  /** Opens and serves the store of a directory. */
  static async start(directory: string): Promise<ServedStore> {
    const store = await openStore(directory, { actor: 'server', onNotice: () => undefined });
    const failures: unknown[] = [];
    const server = createServer(store, { onFailure: (error) => failures.push(error) });
    const http = createHttpServer(server.listener);
    await new Promise<void>((resolve) => http.listen(0, '127.0.0.1', resolve));
    return new ServedStore(store, server, http, failures);
  }

  /** The transaction that last set a tag of `docker.io/NAME`. */
  async lastPush(name: string): Promise<StoredEvent[]> {
    const events: StoredEvent[] = [];
    for await (const event of this.store.log.read()) events.push(event);
    const last = events.findLast((event) => event.type === 'ReferenceSet' && event.reference === `docker.io/${name}`);
    return events.filter(({ transaction }) => transaction.first === last?.transaction.first);
  }

  /** Stops serving, and closes the store. */
  async stop(): Promise<void> {
    await this.#server.close();
    this.#http.closeAllConnections();
    await new Promise<void>((resolve) => this.#http.close(() => resolve()));
    await this.store.close();
  }
}
