import { once } from 'node:events';
import { createServer as createHttpServer, type Server } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import type { ExecutionContext } from 'ava';
import { createServer, type StoreServer } from '../../../src/server/create-server.js';
import type { ServerOptions } from '../../../src/server/service.js';
import type { EventStore } from '../../../src/store/event-store.js';
import { imageConfig } from '../../support/image-configs.js';

/** A store that is served on the loopback. */
export interface Served {
  readonly url: string;
  readonly port: number;
  readonly server: StoreServer;
  readonly http: Server;
  /** The connections that are open. */
  readonly sockets: ReadonlySet<Socket>;
  /** Those that were reported. */
  readonly failures: readonly unknown[];
  readonly notices: readonly string[];
  close(): Promise<void>;
}

/** Serves a store until the test ends. */
export async function serve(
  t: ExecutionContext,
  store: EventStore,
  { port = 0, ...options }: ServerOptions & { readonly port?: number } = {},
): Promise<Served> {
  const failures: unknown[] = [];
  const notices: string[] = [];
  const server = createServer(store, {
    onFailure: (error) => failures.push(error),
    onNotice: (notice) => notices.push(notice),
    ...options,
  });
  const http = createHttpServer(server.listener);
  const sockets = new Set<Socket>();
  http.on('connection', (socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  http.listen(port, '127.0.0.1');
  await once(http, 'listening');
  const address = http.address() as AddressInfo;
  let isOpen = true;
  const close = async (): Promise<void> => {
    if (!isOpen) return;
    isOpen = false;
    await server.close();
    const closed = once(http, 'close');
    http.close();
    http.closeIdleConnections();
    setTimeout(() => http.closeAllConnections(), 500).unref();
    await closed;
  };
  t.teardown(close);
  return {
    url: `http://127.0.0.1:${address.port}`,
    port: address.port,
    server,
    http,
    sockets,
    failures,
    notices,
    close,
  };
}

/** Creates images, so many events. */
export async function write(store: EventStore, count: number, prefix = ''): Promise<void> {
  for (let at = 0; at < count; at++) await store.create(imageConfig(`${prefix}${at}`), { reason: `event\n${at}` });
}

/** Returns the objects of an answer in lines of JSON. */
export async function linesOf(response: Response): Promise<Record<string, unknown>[]> {
  const text = await response.text();
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

/** Returns the code of an answer that reports a failure, with its status. */
export async function failureOf(response: Response): Promise<string> {
  const { errors } = (await response.json()) as { errors: { code: string; message: string }[] };
  return `${response.status} ${errors[0]?.code}: ${errors[0]?.message}`;
}

/** Waits until `isSo`, for at most five seconds. */
export async function until(isSo: () => boolean | Promise<boolean>): Promise<void> {
  const end = Date.now() + 5_000;
  while (!(await isSo())) {
    if (Date.now() > end) throw new Error(`waited in vain: ${isSo}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Whole numbers from `first` to `last`. */
export function seqs(first: number, last: number): number[] {
  return Array.from({ length: last - first + 1 }, (_, at) => first + at);
}
