import { readFile } from 'node:fs/promises';
import type { RequestListener } from 'node:http';
import type { Writable } from 'node:stream';
import { StoreError, thrownText } from '../../errors.js';
import {
  HEADERS_TIMEOUT_MS,
  IDLE_TIMEOUT_MS,
  MAX_CONNECTIONS,
  MAX_CONNECTIONS_PER_ADDRESS,
  MAX_REQUEST_HEADER_BYTES,
  MAX_SETTINGS_FILE_BYTES,
  STOP_TIMEOUT_MS,
} from '../../limits.js';
import type { EventStore } from '../../store/event-store.js';
import { systemCode } from '../../store/files/files.js';
import { accessFrom } from '../access/access-from.js';
import type { AccessOptions } from '../access/options.js';
import { buildServer, type StoreServer } from '../create-server.js';
import { dockerListener } from '../docker/app.js';
import { dockerRefusal } from '../docker/failures.js';
import { checkedWebhooks, type WebhookOptions } from '../feed/webhook-options.js';
import { compileRule, type MirrorRule } from '../mirror/rules.js';
import type { ServerOptions, Service } from '../service.js';
import { AccessLog, openLogFile, streamLog } from './access-log.js';
import type { ListenAddress } from './addresses.js';
import type { ConnectionLimits } from './connections.js';
import { listen, type Listening } from './listen.js';
import type { SocketMode } from './socket.js';
import { type TlsFiles, TlsKeys } from './tls.js';

/** Limits of connections that may be set. */
type ConnectionOptions = { readonly [Name in keyof Omit<ConnectionLimits, 'isProxy'>]?: number | undefined };

/** The path of a file, or a stream that stays open. */
export type AccessLogTarget = string | Writable;

/** Files of settings that have more than a text. */
interface SettingsFiles {
  /** `AccessOptions`. */
  readonly access?: string | undefined;
  /** A list of `MirrorRule`. */
  readonly mirrors?: string | undefined;
  /** A list of `WebhookOptions`. */
  readonly webhooks?: string | undefined;
}

/** How a store is served. */
export interface ServeOptions {
  readonly server: ServerOptions;
  readonly listen: readonly ListenAddress[];
  /** Path of a unix socket; absent for none. */
  readonly socket?: string | undefined;
  /** Default 0600: its owner alone may connect. */
  readonly socketMode?: SocketMode | undefined;
  /** Paths of unix sockets at which Docker's own clients are answered, with the mode of the other socket. */
  readonly docker?: readonly string[] | undefined;
  readonly tls?: TlsFiles | undefined;
  /** Paths of files in JSON, each instead of the option of `server` of the same name. */
  readonly files?: SettingsFiles | undefined;
  readonly limits?: ConnectionOptions | undefined;
  /** A line of JSON for each request; absent for none. */
  readonly accessLog?: AccessLogTarget | undefined;
  /** Told of what does no harm, as a certificate that was read again. */
  readonly onNotice: (notice: string) => void;
}

/** A store that is served. */
export interface Serving {
  /** One URL for each address; `unix:` and the path for a socket. */
  readonly urls: readonly string[];
  /** Reads certificates and opens the access log again. */
  reload(): Promise<void>;
  /** Finishes requests, at most for `timeoutMs`, and ends feeds. Resolves with how many connections it cut. */
  stop(timeoutMs?: number): Promise<number>;
}

/** What was opened beside the store, closed in the reverse order. */
interface Opened {
  readonly tls: TlsKeys | undefined;
  readonly log: AccessLog | undefined;
}

/**
 * Serves an open store at its addresses. The store stays the caller's to close, after `stop`.
 * @throws {StoreError} ADDRESS_IN_USE, ADDRESS_REFUSED, TLS_INVALID, SETTING_INVALID; of the file system
 *   for the access log
 */
export async function serveStore(store: EventStore, options: ServeOptions): Promise<Serving> {
  const { accessLog, onNotice } = options;
  const log = accessLog === undefined ? undefined : await openAccessLog(accessLog, onNotice);
  try {
    const tls = options.tls === undefined ? undefined : await TlsKeys.read(options.tls, onNotice);
    try {
      return await serveWith(store, options, { log, tls });
    } catch (error) {
      await tls?.[Symbol.asyncDispose]();
      throw error;
    }
  } catch (error) {
    await log?.close();
    throw error;
  }
}

/**
 * Fails as `serveStore` would for its files and addresses, without a store: so that none is created in vain.
 * @throws {StoreError} as `serveStore`
 */
export async function checkServing(given: ServeOptions): Promise<void> {
  const options = { ...given, onNotice: () => undefined };
  await using tls = options.tls === undefined ? undefined : await TlsKeys.read(options.tls, options.onNotice);
  await serverOptions(options);
  const busy: RequestListener = (_, response) => response.writeHead(503, { 'retry-after': '1' }).end();
  const listening = await listen(busy, {
    addresses: options.listen,
    socket: options.socket,
    socketMode: options.socketMode,
    docker: { sockets: options.docker ?? [], listener: busy },
    tls,
    onUpgrade: (_, socket) => socket.destroy(),
    limits: connectionLimits(options.limits, () => false),
    onRefused: () => undefined,
    onNotice: options.onNotice,
  });
  await listening.stop(0);
  if (typeof options.accessLog === 'string') await (await openLogFile(options.accessLog)).close();
}

async function serveWith(store: EventStore, options: ServeOptions, { log, tls }: Opened): Promise<Serving> {
  const fromFiles = await serverOptions(options);
  const { server, service } = buildServer(store, withLog({ ...options.server, ...fromFiles }, log));
  try {
    await service.past;
    const listening = await listenWith(server, service, { options, log, tls });
    return servingOf(server, listening, { log, tls });
  } catch (error) {
    // Webhooks, mirrors and the upkeep of uploads run by now.
    await server.close();
    throw error;
  }
}

interface Listeners extends Opened {
  readonly options: ServeOptions;
}

async function listenWith(server: StoreServer, service: Service, { options, log, tls }: Listeners): Promise<Listening> {
  const { metrics, proxies } = service;
  const listening = await listen(server.listener, {
    addresses: options.listen,
    socket: options.socket,
    socketMode: options.socketMode,
    docker: { sockets: options.docker ?? [], listener: dockerListener(service), bodyOf: dockerRefusal },
    tls,
    onUpgrade: server.upgrade,
    limits: connectionLimits(options.limits, (address) => proxies.has(address)),
    onRefused: (refused) => {
      metrics.refused(refused.code);
      log?.refused(refused, Date.now());
    },
    onNotice: options.onNotice,
  });
  metrics.gauge('imagelog_http_connections', 'Open connections.', listening.connections);
  return listening;
}

function servingOf(server: StoreServer, listening: Listening, { log, tls }: Opened): Serving {
  return {
    urls: listening.urls,
    async reload() {
      await log?.reopen();
      await tls?.reload();
    },
    async stop(timeoutMs = STOP_TIMEOUT_MS) {
      const stopped = listening.stop(timeoutMs);
      await server.close(timeoutMs);
      const cut = await stopped;
      await tls?.[Symbol.asyncDispose]();
      await log?.close();
      return cut;
    },
  };
}

/** Options of the server that are in files, and those beside them that are not. */
async function serverOptions({ files = {}, server, onNotice }: ServeOptions): Promise<ServerOptions> {
  const { access, mirrors, webhooks } = files;
  return {
    access:
      access === undefined
        ? server.access
        : await readSettings({ option: 'access', path: access }, (options: AccessOptions) =>
            accessFrom(options, { onNotice }),
          ),
    mirrors:
      mirrors === undefined ? server.mirrors : await readSettings({ option: 'mirrors', path: mirrors }, checkedRules),
    webhooks:
      webhooks === undefined
        ? server.webhooks
        : await readSettings({ option: 'webhooks', path: webhooks }, checkedTargets),
    onNotice: server.onNotice ?? onNotice,
  };
}

function checkedTargets(webhooks: readonly WebhookOptions[]): readonly WebhookOptions[] {
  checkedWebhooks(webhooks);
  return webhooks;
}

function checkedRules(rules: readonly MirrorRule[]): readonly MirrorRule[] {
  if (!Array.isArray(rules)) throw new TypeError('expected a list of mirrors');
  for (const rule of rules) compileRule(rule);
  return rules;
}

function withLog(options: ServerOptions, log: AccessLog | undefined): ServerOptions {
  if (log === undefined) return options;
  const { onRequest } = options;
  return {
    ...options,
    onRequest: (report) => {
      log.request(report);
      onRequest?.(report);
    },
  };
}

async function openAccessLog(target: AccessLogTarget, onNotice: (notice: string) => void): Promise<AccessLog> {
  return new AccessLog(typeof target === 'string' ? await openLogFile(target) : streamLog(target), onNotice);
}

function connectionLimits(given: ConnectionOptions = {}, isProxy: (address: string) => boolean): ConnectionLimits {
  return {
    maxHeaderBytes: given.maxHeaderBytes ?? MAX_REQUEST_HEADER_BYTES,
    headersTimeoutMs: given.headersTimeoutMs ?? HEADERS_TIMEOUT_MS,
    idleTimeoutMs: given.idleTimeoutMs ?? IDLE_TIMEOUT_MS,
    maxConnections: given.maxConnections ?? MAX_CONNECTIONS,
    maxConnectionsPerAddress: given.maxConnectionsPerAddress ?? MAX_CONNECTIONS_PER_ADDRESS,
    isProxy,
  };
}

/** A file of settings, and the option that names it. */
interface SettingsFile {
  readonly option: string;
  readonly path: string;
}

/**
 * Reads the file of settings of `option`, JSON in the form of `Options`, and resolves with what `check` makes of it.
 * @throws {StoreError} SETTING_INVALID naming option and file: it cannot be read, is not JSON or too large, or
 *   `check` throws a TypeError or RangeError; those of `check`, naming them too
 */
async function readSettings<Options, Checked>(
  { option, path }: SettingsFile,
  check: (options: Options) => Checked | Promise<Checked>,
): Promise<Checked> {
  const what = `${option}: the file ${path}`;
  const bytes = await readFile(path).catch((error: unknown) => {
    if (systemCode(error) === 'ENOENT') throw invalid(`${option}: there is no such file: ${path}`, path, error);
    throw invalid(`${what} cannot be read: ${systemCode(error)}`, path, error);
  });
  if (bytes.length > MAX_SETTINGS_FILE_BYTES) {
    throw invalid(`${what} has ${bytes.length} bytes, at most ${MAX_SETTINGS_FILE_BYTES} are allowed`, path);
  }
  let options: Options;
  try {
    options = JSON.parse(bytes.toString());
  } catch (error) {
    throw invalid(`${what} is not JSON: ${thrownText(error)}`, path, error);
  }
  try {
    return await check(options);
  } catch (error) {
    if (error instanceof StoreError) {
      const { code, message, data } = error;
      throw new StoreError(code, `${what}: ${message}`, { cause: error, data });
    }
    if (!(error instanceof TypeError || error instanceof RangeError)) throw error;
    throw invalid(`${what} is not valid: ${error.message}`, path, error);
  }
}

function invalid(message: string, path: string, cause?: unknown): StoreError {
  return new StoreError('SETTING_INVALID', message, { cause, data: { path } });
}
