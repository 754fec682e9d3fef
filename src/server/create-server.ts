import type { IncomingMessage, RequestListener } from 'node:http';
import type { Duplex } from 'node:stream';
import { getRequestListener } from '@hono/node-server';
import { isStoreError } from '../errors.js';
import {
  MAX_REQUESTS_IN_FLIGHT,
  MAX_URL_LENGTH,
  MIN_BODY_RATE,
  STALL_TIMEOUT_MS,
  STOP_TIMEOUT_MS,
  UPLOAD_SWEEP_INTERVAL_MS,
} from '../limits.js';
import { mustBeCount, mustBeFunction, mustBeObject, mustBeOptions } from '../store/argument-types.js';
import type { EventStore } from '../store/event-store.js';
import type { When } from '../store/past/audit.js';
import { localAccess } from './access/access.js';
import { buildApp, failedResponse } from './app.js';
import { CommandService } from './command/command-service.js';
import { asRequestFailure } from './failure.js';
import { Webhooks } from './feed/webhooks.js';
import { Mirror } from './mirror/mirror.js';
import { type ServerLimits, serverOptionNames, type ServerOptions, type Service } from './service.js';
import { ServerMetrics } from './service/metrics.js';
import { TrustedProxies } from './service/addresses.js';

/** A store over HTTP. */
export interface StoreServer {
  /** For `http.createServer`, and https. */
  readonly listener: RequestListener;
  /** For frameworks that have Web requests. Anyone who can call it may do everything, unless `access` says otherwise. */
  readonly fetch: (request: Request) => Promise<Response>;
  /** For the event `upgrade` of the same server: `/command`, which the command line uses. */
  readonly upgrade: (request: IncomingMessage, socket: Duplex, head: Uint8Array) => void;
  /**
   * Refuses new requests, and ends feeds, commands and other long answers, and webhooks. The store stays open.
   * Commands have `timeoutMs` to end, then their connections are cut; default 30,000.
   */
  close(timeoutMs?: number): Promise<void>;
}

/** Serves an open store: registry, feed, evidence. The store stays the caller's to close, after the server. */
export function createServer(store: EventStore, options: ServerOptions = {}): StoreServer {
  return buildServer(store, options).server;
}

/** Builds a server and what its parts share. */
export function buildServer(
  store: EventStore,
  options: ServerOptions,
): { readonly server: StoreServer; readonly service: Service } {
  mustBeObject('store', store);
  mustBeOptions(options, serverOptionNames);
  const closing = new AbortController();
  try {
    return builtServer(store, options, closing);
  } catch (error) {
    // What was built by then, as a mirror that watches tags, ends.
    closing.abort();
    throw error;
  }
}

function builtServer(
  store: EventStore,
  options: ServerOptions,
  closing: AbortController,
): { readonly server: StoreServer; readonly service: Service } {
  const service = serviceOf(store, options, closing.signal);
  closing.signal.addEventListener('abort', () => void service.webhooks.close(), { once: true });
  if (!service.isReadOnly) keepUploads(service);
  showWebhooks(service);
  const app = buildApp(service);
  const answer = getRequestListener((request, env) => app.fetch(request, env), {
    overrideGlobalObjects: false,
    errorHandler: (error) => failedResponse(asRequestFailure(error)),
  });
  // The command line speaks of the present.
  const commands = new CommandService(service, service.isReadOnly ? undefined : options.runCommand);
  const server: StoreServer = {
    // It answers failures itself.
    listener: (incoming, outgoing) => void answer(incoming, outgoing),
    fetch: async (request) => app.fetch(request, {}),
    upgrade: commands.upgrade,
    close: async (timeoutMs = STOP_TIMEOUT_MS) => {
      closing.abort();
      await Promise.all([service.webhooks.close(), commands.close(timeoutMs)]);
    },
  };
  return { server, service };
}

function showWebhooks({ metrics, webhooks }: Service): void {
  const gauge = (name: string, help: string, state: Parameters<Webhooks['countOf']>[0]): void =>
    metrics.gauge(name, help, () => webhooks.countOf(state));
  gauge('imagelog_webhooks_retrying', 'Webhooks whose target failed last.', 'retrying');
  gauge('imagelog_webhooks_stopped', 'Webhooks that stopped until the server starts again.', 'stopped');
}

function serviceOf(store: EventStore, options: ServerOptions, signal: AbortSignal): Service {
  const { access = localAccess, at, metrics = 'read' } = options;
  const { onRefusal = () => undefined, onRequest = () => undefined, onFailure = warn, onNotice = warn } = options;
  mustBeFunction('onNotice', onNotice);
  mustBeFunction('onRefusal', onRefusal);
  mustBeFunction('onRequest', onRequest);
  mustBeFunction('onFailure', onFailure);
  if (options.runCommand !== undefined) mustBeFunction('runCommand', options.runCommand);
  if (metrics !== 'read' && metrics !== 'all') throw new TypeError("metrics must be 'read' or 'all'");
  if (at !== undefined && options.webhooks !== undefined) throw new TypeError('a server of the past has no webhooks');
  const past = at === undefined ? undefined : seqOf(store, at);
  return {
    store,
    access,
    past,
    isReadOnly: at !== undefined,
    mirror: mirrorOf(store, options, signal),
    proxies: new TrustedProxies(options.trustedProxies),
    metrics: new ServerMetrics(store, past),
    areMetricsOpen: metrics === 'all',
    limits: limitsOf(options.limits),
    onRefusal,
    onRequest,
    onFailure,
    webhooks: new Webhooks({ store, onFailure, onNotice }, options.webhooks ?? []),
    atWork: { count: 0 },
    signal,
  };
}

/** A moment that cannot be served fails each request, and the start of a service. */
function seqOf(store: EventStore, at: When): Promise<number> {
  const point = store.pointAt(at).then(({ seq }) => seq);
  point.catch(() => undefined);
  return point;
}

function mirrorOf(store: EventStore, options: ServerOptions, signal: AbortSignal): Mirror | undefined {
  const { mirrors = [], at, upstreamCredentials: credentials, onNotice = warn } = options;
  // The past has no upstream.
  if (mirrors.length === 0 || at !== undefined) return undefined;
  return new Mirror(mirrors, { store, credentials, now: Date.now, onNotice, signal });
}

function limitsOf(given: ServerLimits = {}): Service['limits'] {
  const limits = {
    maxUrlLength: given.maxUrlLength ?? MAX_URL_LENGTH,
    maxRequests: given.maxRequests ?? MAX_REQUESTS_IN_FLIGHT,
    stallTimeoutMs: given.stallTimeoutMs ?? STALL_TIMEOUT_MS,
    minRate: given.minRate ?? MIN_BODY_RATE,
  };
  for (const [name, value] of Object.entries(limits)) mustBeCount(name, value);
  return limits;
}

function warn(error: unknown): void {
  process.emitWarning(error instanceof Error ? error : new Error(String(error)));
}

/** What the upkeep of uploads works on and reports to. */
interface Upkeep {
  readonly store: EventStore;
  readonly metrics: ServerMetrics;
  readonly onFailure: (error: unknown) => void;
  /** Ends it. */
  readonly signal: AbortSignal;
}

/** Removes uploads and staged blobs that expired, now and then, and adds metrics of the others. */
export function keepUploads(
  { store, metrics, onFailure, signal }: Upkeep,
  intervalMs: number = UPLOAD_SWEEP_INTERVAL_MS,
): void {
  const { uploads } = store.registry;
  metrics.gauge('imagelog_uploads', 'Uploads in progress.', () => uploads.used.uploads);
  metrics.gauge('imagelog_staged_blobs', 'Blobs that wait for a manifest.', () => uploads.used.blobs);
  metrics.gauge('imagelog_uploaded_bytes', 'Bytes of both.', () => uploads.used.bytes);
  const sweep = (): void =>
    void uploads.sweep().catch((error: unknown) => {
      // A store for reading has none, and one that closes first sweeps when it opens.
      if (!isStoreError(error, 'STORE_READ_ONLY') && !isStoreError(error, 'STORE_CLOSED')) onFailure(error);
    });
  const timer = setInterval(sweep, intervalMs).unref();
  signal.addEventListener('abort', () => clearInterval(timer), { once: true });
}
