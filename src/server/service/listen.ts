import {
  createServer,
  type IncomingMessage,
  type RequestListener,
  type Server as HttpServer,
  type ServerOptions,
  type ServerResponse,
} from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo, Server, Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { StoreError } from '../../errors.js';
import { isLoopback } from '../../model/http.js';
import { systemCode } from '../../store/files/files.js';
import { addressText, type ListenAddress } from './addresses.js';
import {
  ConnectionCounter,
  type ConnectionLimits,
  rawAnswer,
  type RefusalBody,
  refusalBody,
  type Refused,
} from './connections.js';
import { bindSocket, isAnswering, type SocketMode } from './socket.js';
import type { TlsKeys } from './tls.js';

/** Where and how a server listens. */
export interface ListenOptions {
  readonly addresses: readonly ListenAddress[];
  /** Path of a unix socket. */
  readonly socket: string | undefined;
  readonly socketMode: SocketMode | undefined;
  /** Sockets at which something else answers, with the mode of the other. */
  readonly docker: {
    readonly sockets: readonly string[];
    readonly listener: RequestListener;
    /** Of what is refused before it is a request. */
    readonly bodyOf?: RefusalBody | undefined;
  };
  /** For all addresses; absent for plain HTTP, on loopback alone. */
  readonly tls: TlsKeys | undefined;
  readonly limits: ConnectionLimits;
  /** Takes connections that leave HTTP; without it their requests are answered as others. */
  readonly onUpgrade: undefined | ((request: IncomingMessage, socket: Duplex, head: Uint8Array) => void);
  /** Told of connections and requests that are refused before any route. */
  readonly onRefused: (refused: Refused) => void;
  /** Told of connections that the system did not give, as for lack of file descriptors. */
  readonly onNotice: (notice: string) => void;
}

/** A server that listens. */
export interface Listening {
  /** One URL for each address; `unix:` and the path for a socket. */
  readonly urls: readonly string[];
  /** Connections that are open. */
  readonly connections: () => number;
  /** Accepts no more, ends idle connections, and the others after `timeoutMs`. Resolves with how many those were. */
  stop(timeoutMs: number): Promise<number>;
}

/** How often connections are asked whether they are idle by now, while the server stops. */
const STOP_POLL_MS = 50;
/** Shortest time between two notices of connections that failed. */
const ACCEPT_NOTICE_MS = 10_000;
/** How often Node looks for connections whose headers take too long. */
const HEADERS_CHECK_MS = 2_000;

/**
 * Listens at every address, or at none.
 * @throws {StoreError} ADDRESS_IN_USE, ADDRESS_REFUSED
 */
export async function listen(listener: RequestListener, options: ListenOptions): Promise<Listening> {
  const counter = new ConnectionCounter(options.limits, options.onRefused);
  const opened: Opened[] = [];
  try {
    for (const address of options.addresses) opened.push(await openAddress(address, listener, options));
    if (options.socket !== undefined) opened.push(await openSocket(options.socket, listener, options));
    const { docker } = options;
    for (const path of docker.sockets) {
      const { listener: answer, bodyOf } = docker;
      opened.push(await openSocket(path, answer, { ...options, onUpgrade: undefined }, bodyOf));
    }
  } catch (error) {
    await Promise.all(opened.map(({ server, remove }) => closed(server, remove)));
    throw error;
  }
  for (const { server, url, bodyOf } of opened) {
    counter.watch(server, bodyOf);
    reportFailedAccepts(server, url, options.onNotice);
  }
  return {
    urls: opened.map(({ url }) => url),
    connections: () => counter.count,
    stop: async (timeoutMs) => stopAll(opened, timeoutMs, counter),
  };
}

/** Without a listener such an error would end the process. */
function reportFailedAccepts(server: Server, url: string, onNotice: (notice: string) => void): void {
  let toldAt = Number.NEGATIVE_INFINITY;
  let failed = 0;
  server.on('error', (error) => {
    failed += 1;
    const now = performance.now();
    // While descriptors are short, every connection fails.
    if (now - toldAt < ACCEPT_NOTICE_MS) return;
    onNotice(`cannot accept connections at ${url}: ${systemCode(error)} (${failed} since the last notice)`);
    toldAt = now;
    failed = 0;
  });
}

interface Opened {
  readonly server: HttpServer;
  readonly bodyOf?: RefusalBody | undefined;
  readonly url: string;
  /** Removes what stands for the server in the file system. */
  readonly remove: () => Promise<void>;
}

async function openAddress(address: ListenAddress, listener: RequestListener, options: ListenOptions): Promise<Opened> {
  const { tls } = options;
  if (tls === undefined && !isLoopback(address.host)) {
    const text = `cannot listen at ${addressText(address)} without TLS: plain HTTP is for this machine alone`;
    throw new StoreError('ADDRESS_REFUSED', text, { data: { address: addressText(address) } });
  }
  const server = tls === undefined ? plainServer(listener, options) : secureServer(tls, listener, options);
  await bound(address, server);
  const { port } = server.address() as AddressInfo;
  const url = `${tls === undefined ? 'http' : 'https'}://${addressText({ host: address.host, port })}`;
  return { server, url, remove: async () => undefined };
}

function bound(address: ListenAddress, server: Server): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', (error) => reject(addressError(addressText(address), error)));
    server.listen({ host: address.host, port: address.port, backlog: 4_096 }, () => {
      server.removeAllListeners('error');
      resolve();
    });
  });
}

function addressError(address: string, cause: unknown): StoreError {
  const code = systemCode(cause);
  const data = { address };
  if (code === 'EADDRINUSE') {
    return new StoreError('ADDRESS_IN_USE', `another program listens at ${address}`, { cause, data });
  }
  return new StoreError('ADDRESS_REFUSED', `cannot listen at ${address}: ${code}`, { cause, data });
}

async function openSocket(
  path: string,
  listener: RequestListener,
  options: ListenOptions,
  bodyOf?: RefusalBody,
): Promise<Opened> {
  const data = { address: path };
  const server = plainServer(listener, options, bodyOf);
  try {
    if (await isAnswering(path)) throw new StoreError('ADDRESS_IN_USE', `a server listens at ${path}`, { data });
    const remove = await bindSocket(server, path, options.socketMode);
    return { server, url: `unix:${path}`, remove, bodyOf };
  } catch (error) {
    server.close();
    throw error instanceof StoreError ? error : addressError(path, error);
  }
}

function plainServer(listener: RequestListener, options: ListenOptions, bodyOf?: RefusalBody): HttpServer {
  return prepared(createServer(serverOptions(options), listener), options, bodyOf);
}

function secureServer(tls: TlsKeys, listener: RequestListener, options: ListenOptions): HttpServer {
  const server = createTlsServer({ ...serverOptions(options), ...tls.options }, listener);
  tls.keepCurrent(server);
  return prepared(server, options);
}

function serverOptions({ limits }: ListenOptions): ServerOptions {
  return {
    maxHeaderSize: limits.maxHeaderBytes,
    headersTimeout: limits.headersTimeoutMs,
    // An upload takes as long as its bytes flow: a watch ends those that are slow.
    requestTimeout: 0,
    keepAliveTimeout: limits.idleTimeoutMs,
    connectionsCheckingInterval: HEADERS_CHECK_MS,
    // Node's own refusal has no body; a request without one is refused before any route.
    requireHostHeader: false,
    insecureHTTPParser: false,
    noDelay: true,
  };
}

const PLAIN_AT_TLS = 'ERR_SSL_HTTP_REQUEST';

const REFUSALS: Readonly<Record<string, readonly [status: number, reason: string, code: string]>> = {
  HPE_HEADER_OVERFLOW: [431, 'Request Header Fields Too Large', 'HEADERS_TOO_LARGE'],
  ERR_HTTP_REQUEST_TIMEOUT: [408, 'Request Timeout', 'REQUEST_TIMEOUT'],
  // Docker shows what this answers instead of why it was refused over TLS.
  [PLAIN_AT_TLS]: [400, 'Use HTTPS Here', 'REQUEST_INVALID'],
};

/** What Node keeps of a socket of TLS beside what its types say. */
interface SecureParts {
  /** The connection below TLS. */
  readonly _parent?: Socket | null;
}

function prepared<Prepared extends HttpServer>(
  server: Prepared,
  { onRefused, onUpgrade }: ListenOptions,
  bodyOf: RefusalBody = refusalBody,
): Prepared {
  if (onUpgrade !== undefined) server.on('upgrade', onUpgrade);
  server.on('checkExpectation', (_, response: ServerResponse) => {
    response.writeHead(417, { 'content-type': 'application/json', connection: 'close' });
    response.end(bodyOf('EXPECTATION_FAILED', 'expected no Expect but 100-continue'));
  });
  server.on('connect', ({ socket: { remoteAddress = '' } }: IncomingMessage, socket: Duplex) => {
    socket.on('error', () => socket.destroy());
    socket.end(rawAnswer(405, 'Method Not Allowed', 'UNSUPPORTED', { bodyOf }), () => socket.destroy());
    onRefused({ address: remoteAddress, status: 405, code: 'UNSUPPORTED' });
  });
  // Node would leave out those beyond, silently: they are counted once the request is read.
  server.maxHeadersCount = 0;
  server.on('clientError', (error: Error, client: Duplex & SecureParts) => {
    const failure = systemCode(error);
    const socket = (failure === PLAIN_AT_TLS ? client._parent : undefined) ?? client;
    // The client is gone, or the handshake of TLS failed: nobody reads an answer.
    const isReadable = socket.writable && failure !== 'ECONNRESET';
    const [status, reason, code] = REFUSALS[failure] ?? [400, 'Bad Request', 'REQUEST_INVALID'];
    const { remoteAddress = '' } = socket as Socket;
    if (!isReadable) {
      socket.destroy();
      return;
    }
    socket.end(rawAnswer(status, reason, code, { bodyOf }), () => socket.destroy());
    onRefused({ address: remoteAddress, status, code });
  });
  return server;
}

async function stopAll(opened: readonly Opened[], timeoutMs: number, counter: ConnectionCounter): Promise<number> {
  const closing = Promise.all(opened.map(({ server, remove }) => closed(server, remove)));
  let cut = 0;
  // A busy connection becomes idle later, and Node keeps it then.
  const poll = setInterval(() => {
    for (const { server } of opened) server.closeIdleConnections();
  }, STOP_POLL_MS);
  const late = setTimeout(() => {
    cut = counter.count;
    for (const { server } of opened) server.closeAllConnections();
  }, timeoutMs);
  try {
    await closing;
    return cut;
  } finally {
    clearInterval(poll);
    clearTimeout(late);
  }
}

async function closed(server: HttpServer, remove: () => Promise<void>): Promise<void> {
  const done = new Promise<void>((resolve) => server.close(() => resolve()));
  // At once: clients must not find a socket that nobody serves.
  await remove();
  await done;
}
