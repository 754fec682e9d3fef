import type { EventStore } from '../../store/event-store.js';
import {
  HEADERS_TIMEOUT_MS,
  IDLE_TIMEOUT_MS,
  MAX_CONNECTIONS,
  MAX_CONNECTIONS_PER_ADDRESS,
  MAX_REQUEST_HEADER_BYTES,
  STOP_TIMEOUT_MS,
} from '../../limits.js';
import { buildServer } from '../create-server.js';
import type { ServerOptions } from '../service.js';
import type { ListenAddress } from './address.js';
import type { ConnectionLimits } from './connections.js';
import { listen } from './listen.js';
import { type TlsFiles, TlsKeys } from './tls.js';

/** How a store is served. */
export interface ServeOptions {
  readonly server: ServerOptions;
  readonly listen: readonly ListenAddress[];
  /** Path of a unix socket; absent for none. */
  readonly socket?: string | undefined;
  readonly tls?: TlsFiles | undefined;
  readonly limits?: Partial<Omit<ConnectionLimits, 'isProxy'>> | undefined;
  /** Told of what does no harm, as a certificate that was read again. */
  readonly onNotice: (notice: string) => void;
}

/** A store that is served. */
export interface Serving {
  /** One URL for each address; `unix:` and the path for a socket. */
  readonly urls: readonly string[];
  /** Reads certificates and opens logs again. */
  reload(): Promise<void>;
  /** Finishes requests, at most for `timeoutMs`, and ends feeds. Resolves with how many connections it cut. */
  stop(timeoutMs?: number): Promise<number>;
}

const usualLimits: Omit<ConnectionLimits, 'isProxy'> = {
  maxHeaderBytes: MAX_REQUEST_HEADER_BYTES,
  headersTimeoutMs: HEADERS_TIMEOUT_MS,
  idleTimeoutMs: IDLE_TIMEOUT_MS,
  maxConnections: MAX_CONNECTIONS,
  maxConnectionsPerAddress: MAX_CONNECTIONS_PER_ADDRESS,
};

/**
 * Serves an open store at its addresses. The store stays the caller's to close, after `stop`.
 * @throws {StoreError} ADDRESS_IN_USE, ADDRESS_REFUSED, TLS_INVALID
 */
export async function serveStore(store: EventStore, options: ServeOptions): Promise<Serving> {
  const tls = options.tls === undefined ? undefined : await TlsKeys.read(options.tls, options.onNotice);
  try {
    const { server, service } = buildServer(store, options.server);
    const { metrics, proxies } = service;
    const listening = await listen(server.listener, {
      addresses: options.listen,
      socket: options.socket,
      tls,
      limits: { ...usualLimits, ...options.limits, isProxy: (address) => proxies.has(address) },
      onRefused: ({ code }) => metrics.refused(code),
    });
    metrics.gauge('imagelog_http_connections', 'Open connections.', listening.connections);
    return {
      urls: listening.urls,
      reload: async () => tls?.reload(),
      async stop(timeoutMs = STOP_TIMEOUT_MS) {
        const stopped = listening.stop(timeoutMs);
        await server.close();
        const cut = await stopped;
        await tls?.[Symbol.asyncDispose]();
        return cut;
      },
    };
  } catch (error) {
    await tls?.[Symbol.asyncDispose]();
    throw error;
  }
}
