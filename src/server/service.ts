import type { OptionNames } from '../model/option-names.js';
import type { EventStore } from '../store/event-store.js';
import type { RunCommand } from './command/frames.js';
import type { When } from '../store/past/audit.js';
import type { Access, Refusal } from './access/access.js';
import type { FindCredentials } from '../registry-client/credentials.js';
import type { Mirror } from './mirror/mirror.js';
import type { MirrorRule } from './mirror/rules.js';
import type { WebhookOptions } from './feed/webhook-options.js';
import type { Webhooks } from './feed/webhooks.js';
import type { ServerMetrics } from './service/metrics.js';
import type { TrustedProxies } from './service/addresses.js';
import type { RequestReport } from './service/access-log.js';

/** Limits of requests of a server. */
export interface ServerLimits {
  /** Characters of path and query; default 8,192. */
  readonly maxUrlLength?: number | undefined;
  /** Requests in progress, feeds not counted; beyond, 503. Default 1,000. */
  readonly maxRequests?: number | undefined;
  /** Milliseconds a body may be slower than `minRate`, either way; 0 for any time. Default 60,000. */
  readonly stallTimeoutMs?: number | undefined;
  /** Bytes a second below which a body is slow; default 1,024. */
  readonly minRate?: number | undefined;
}

/** Options of `createServer`. */
export interface ServerOptions {
  /** Decides who may what; default: everything for clients of this machine, nothing for others. */
  readonly access?: Access | undefined;
  /** Receives each refused request: for an access log. Default: nothing is reported. */
  readonly onRefusal?: ((refusal: Refusal) => void) | undefined;
  /** Serves the store as it was then, read-only. Default: as it is. */
  readonly at?: When | undefined;
  readonly limits?: ServerLimits | undefined;
  /**
   * Proxies whose `X-Forwarded-For` and `X-Forwarded-Proto` are believed: addresses, networks such as
   * `10.0.0.0/8`, `unix` for clients of a unix socket. Default none; a request that was forwarded
   * by another is never one of this machine.
   */
  readonly trustedProxies?: readonly string[] | undefined;
  /** Repositories that come from other registries; the first rule that fits a repository counts. */
  readonly mirrors?: readonly MirrorRule[] | undefined;
  /** Credentials for those registries; default: none are given. */
  readonly upstreamCredentials?: FindCredentials | undefined;
  /** Receives what an operator should know, as a tag that moved upstream or a webhook that stopped; default a process warning. */
  readonly onNotice?: ((notice: string) => void) | undefined;
  /** Who may read `/metrics`: who may `read` (default), or `all`. */
  readonly metrics?: 'read' | 'all' | undefined;
  /** Told of each request once its answer has left. Must not throw. */
  readonly onRequest?: ((report: RequestReport) => void) | undefined;
  /** Targets to which events are sent. Not with `at`. */
  readonly webhooks?: readonly WebhookOptions[] | undefined;
  /** Receives unexpected failures of handlers; default a process warning. */
  readonly onFailure?: ((error: unknown) => void) | undefined;
  /** Runs command lines for clients, as `imagelog serve` does; without it there is no `/command`. */
  readonly runCommand?: RunCommand | undefined;
}

/** Names of `ServerOptions`. */
export const serverOptionNames: OptionNames<ServerOptions> = {
  access: true,
  at: true,
  limits: true,
  trustedProxies: true,
  mirrors: true,
  upstreamCredentials: true,
  onNotice: true,
  metrics: true,
  onRefusal: true,
  onRequest: true,
  webhooks: true,
  onFailure: true,
  runCommand: true,
};

/** What every part of the server has. */
export interface Service {
  readonly store: EventStore;
  readonly access: Access;
  readonly onRefusal: (refusal: Refusal) => void;
  /** Seq of the last event that is served, found once: `2h` is two hours before the start. Undefined for the present. */
  readonly past: Promise<number> | undefined;
  /** Whether writes are refused on purpose. */
  readonly isReadOnly: boolean;
  readonly mirror: Mirror | undefined;
  readonly proxies: TrustedProxies;
  readonly metrics: ServerMetrics;
  readonly areMetricsOpen: boolean;
  readonly limits: Required<{ readonly [Name in keyof ServerLimits]: number }>;
  /** Requests in progress, of all listeners: they share one limit. */
  readonly atWork: { count: number };
  readonly onRequest: (report: RequestReport) => void;
  readonly onFailure: (error: unknown) => void;
  readonly webhooks: Webhooks;
  /** Aborts when the server closes: long answers end. */
  readonly signal: AbortSignal;
}
