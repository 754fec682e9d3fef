import { StoreError } from '../errors.js';
import {
  MAX_REGISTRY_REASON_BYTES,
  MAX_REGISTRY_REASON_LENGTH,
  MAX_REGISTRY_REDIRECTS,
  REGISTRY_IDLE_MS,
} from '../limits.js';
import { hostOf, isLoopback, retryAfterOf } from '../model/http.js';
import { Authorization, type Purpose, type SentAuthorization } from './authorization.js';
import { type FindCredentials, recordOf } from './credentials.js';
import { Attempts, retried, TransientFailure, type Wait, waitByClock } from './retry.js';
import {
  discardBody,
  readBody,
  type RequestBody,
  tlsFilesOf,
  Transport,
  type WireRequest,
  type WireResponse,
} from './transport.js';

/** How to reach a registry. */
export interface RegistryOptions {
  /** Finds credentials, once the registry asks for them; default: none are given. */
  readonly credentials?: FindCredentials | undefined;
  /** Whether HTTP is used without TLS; default only for a loopback address. */
  readonly plainHttp?: boolean | undefined;
  /** Whether the certificate of the registry is not verified. */
  readonly insecure?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
  /** The clock, in milliseconds since the epoch; default `Date.now`. */
  readonly now?: (() => number) | undefined;
  /** Milliseconds without a byte after which a connection is broken; default REGISTRY_IDLE_MS. */
  readonly idleMs?: number | undefined;
  /** Folders of certificates by host, as docker has them; default docker's and podman's. */
  readonly certificateFolders?: readonly string[] | undefined;
  /** Waits between attempts; default by the clock. */
  readonly wait?: Wait | undefined;
}

/** A request to a registry: authenticated, redirected and repeated as needed. */
export interface RegistryRequest {
  readonly method: WireRequest['method'];
  /** Relative to the registry, or absolute, as its `Location` headers are. */
  readonly url: string | URL;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: RequestBody | undefined;
  readonly purpose: Purpose;
  /** Statuses that are an answer; any other is a failure. */
  readonly expected: readonly number[];
  /** What is asked for, for messages: `the manifest shop/app:1`. */
  readonly what: string;
}

/** An answer, and the credentials that its request had. */
interface Answered {
  readonly response: WireResponse;
  readonly sent: SentAuthorization | undefined;
}

const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);
const TRANSIENT: ReadonlySet<number> = new Set([408, 429, 500, 502, 503, 504]);

/** Where docker.io answers the protocol of registries. */
const HOSTS: Readonly<Record<string, string>> = { 'docker.io': 'index.docker.io' };

/** One registry: its connections, its tokens, and what every request to it needs. */
export class RegistrySession {
  /** As references name it, with the port if any. */
  readonly host: string;
  readonly origin: string;
  /** Aborted by the caller, or once the session is closed. */
  readonly signal: AbortSignal;
  readonly #closing = new AbortController();
  readonly #transport: Transport;
  readonly #authorization: Authorization;
  readonly #now: () => number;
  readonly #wait: Wait;

  /** @throws {StoreError} IO_FAILED for certificates of the host that cannot be read */
  constructor(host: string, options: RegistryOptions = {}) {
    const { credentials, insecure = false, signal, now = Date.now, wait = waitByClock } = options;
    const tls = tlsFilesOf(host, options.certificateFolders);
    const isPlain = options.plainHttp ?? (isLoopback(hostOf(host)) && !insecure && Object.keys(tls).length === 0);
    this.host = host;
    this.origin = `${isPlain ? 'http' : 'https'}://${HOSTS[host] ?? host}`;
    this.signal = AbortSignal.any([this.#closing.signal, ...(signal === undefined ? [] : [signal])]);
    this.#transport = new Transport({ insecure, tls, idleMs: options.idleMs ?? REGISTRY_IDLE_MS });
    this.#now = now;
    this.#wait = wait;
    const find: FindCredentials = credentials ?? (async () => ({ credentials: undefined, places: [] }));
    this.#authorization = new Authorization({ host, isPlain, transport: this.#transport, find, now });
  }

  /** Returns a count of attempts, for work that repeats itself. */
  attempts(): Attempts {
    return new Attempts(this.#wait, this.signal);
  }

  /**
   * Sends a request until it has an answer.
   * @throws {StoreError} REGISTRY_UNAVAILABLE, REGISTRY_DENIED, REGISTRY_NOT_FOUND, REGISTRY_REFUSED,
   *   REGISTRY_INVALID, ABORTED
   */
  request(request: RegistryRequest): Promise<WireResponse> {
    return retried(this.attempts(), () => this.once(request));
  }

  /**
   * As `request`, in one attempt.
   * @throws {TransientFailure} when another may succeed
   */
  async once(request: RegistryRequest): Promise<WireResponse> {
    const response = await this.#authorized(request);
    const { status } = response;
    if (request.expected.includes(status)) return response;
    const reason = await reasonOf(response, this.signal);
    const told = `${this.host} answered ${status}${reason === '' ? '' : ` (${reason})`}`;
    if (TRANSIENT.has(status)) {
      const retryAfterMs = retryAfterOf(response.headers['retry-after'], this.#now());
      throw new TransientFailure(`cannot get an answer about ${request.what}: ${told}`, { retryAfterMs });
    }
    if (status === 401 || status === 403) throw await this.#denied(request, told);
    const data = { host: this.host, status };
    if (status === 404) throw new StoreError('REGISTRY_NOT_FOUND', `found no ${request.what}: ${told}`, { data });
    if (REDIRECTS.has(status)) {
      throw new StoreError('REGISTRY_INVALID', `cannot follow the redirect of ${request.what}: ${told}`, { data });
    }
    throw new StoreError('REGISTRY_REFUSED', `the registry refused ${request.what}: ${told}`, { data });
  }

  /** Ends all requests and closes all connections. */
  close(): void {
    this.#closing.abort();
    this.#transport.close();
  }

  async #authorized(request: RegistryRequest): Promise<WireResponse> {
    const { response, sent } = await this.#redirected(request);
    if (response.status !== 401 || response.url.origin !== this.origin) return response;
    discardBody(response);
    this.#authorization.accept(response, request.purpose, sent);
    return (await this.#redirected(request)).response;
  }

  /** Credentials go to the registry alone: none leave with a redirect to another host. */
  async #redirected({ method, url, headers = {}, body, purpose, what }: RegistryRequest): Promise<Answered> {
    let target = new URL(url, this.origin);
    for (let redirects = 0; ; redirects++) {
      const isOwn = target.origin === this.origin;
      const sent = isOwn ? await this.#authorization.header(purpose, this.signal) : undefined;
      const own = sent === undefined ? {} : { authorization: sent.header };
      const request = { method, url: target, headers: { 'user-agent': 'imagelog', ...headers, ...own }, body };
      const response = await this.#transport.send(request, this.signal);
      const { location } = response.headers;
      const isFollowed = REDIRECTS.has(response.status) && (isRead(method) || response.status >= 307);
      if (!isFollowed || location === undefined) return { response, sent };
      discardBody(response);
      if (redirects >= MAX_REGISTRY_REDIRECTS) {
        throw this.#invalid(`cannot get ${what}: ${this.host} redirects more than ${MAX_REGISTRY_REDIRECTS} times`);
      }
      target = this.#next(location, target, what);
    }
  }

  #next(location: string, from: URL, what: string): URL {
    const next = URL.canParse(location, from.href) ? new URL(location, from) : undefined;
    if (next === undefined || !['http:', 'https:'].includes(next.protocol)) {
      throw this.#invalid(`cannot get ${what}: ${this.host} redirects to what is no address`);
    }
    if (from.protocol === 'https:' && next.protocol === 'http:') {
      throw this.#invalid(`cannot get ${what}: ${this.host} redirects from TLS to plain HTTP at ${next.host}`);
    }
    return next;
  }

  #invalid(message: string): StoreError {
    return new StoreError('REGISTRY_INVALID', message, { data: { host: this.host } });
  }

  async #denied({ what, purpose }: RegistryRequest, told: string): Promise<StoreError> {
    const { credentials, places } = await this.#authorization.places(purpose, this.signal);
    const given = credentials === undefined ? 'no credentials were found' : 'the credentials found were refused';
    const looked = places.length === 0 ? '' : `; looked in ${places.join(', ')}`;
    const data = { host: this.host, places };
    return new StoreError('REGISTRY_DENIED', `${this.host} denied ${what}: ${told}; ${given}${looked}`, { data });
  }
}

function isRead(method: string): boolean {
  return method === 'GET' || method === 'HEAD';
}

/**
 * Returns the reason in the body of a failure, as one line: the first of the errors that OCI
 * Distribution defines, or what came instead. Discards the body.
 */
async function reasonOf(response: WireResponse, signal: AbortSignal | undefined): Promise<string> {
  const type = String(response.headers['content-type'] ?? '').toLowerCase();
  if (!type.includes('json')) {
    discardBody(response);
    return type.includes('html') ? 'an HTML page' : '';
  }
  try {
    const bytes = await readBody(response, { what: 'an error', limit: MAX_REGISTRY_REASON_BYTES, signal });
    return firstError(JSON.parse(Buffer.from(bytes).toString('utf8')));
  } catch {
    // Without its reason the failure still has its status.
    return '';
  }
}

function firstError(answer: unknown): string {
  const { errors } = recordOf(answer);
  const { code, message } = recordOf(Array.isArray(errors) ? errors[0] : undefined);
  const words = [code, message].filter((word) => typeof word === 'string' && word !== '');
  return words.join(': ').replace(/\s+/g, ' ').slice(0, MAX_REGISTRY_REASON_LENGTH);
}
