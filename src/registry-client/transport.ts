import { readdirSync, readFileSync } from 'node:fs';
import http from 'node:http';
import https from 'node:https';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { rootCertificates } from 'node:tls';
import { aborted, StoreError, thrownText } from '../errors.js';
import { MAX_REGISTRY_ANSWER_BYTES } from '../limits.js';
import { readBounded } from '../model/bytes.js';
import { systemCode } from '../store/files/files.js';
import { TransientFailure } from './retry.js';

/** A body that can be sent again: from memory, or opened each time. */
export type RequestBody = Uint8Array | { readonly size: number; readonly open: () => AsyncIterable<Uint8Array> };

/** One request of HTTP. */
export interface WireRequest {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly url: URL;
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: RequestBody | undefined;
}

/** The answer to a request. Its body must be read to its end or discarded. */
export interface WireResponse {
  readonly status: number;
  readonly url: URL;
  readonly headers: http.IncomingHttpHeaders;
  /** False for HEAD, whose headers describe a body that does not come. */
  readonly hasBody: boolean;
  readonly body: http.IncomingMessage;
}

/** How to reach hosts over TLS. */
interface TransportOptions {
  /** Whether certificates are not verified. */
  readonly insecure: boolean;
  readonly tls: TlsFiles;
  /** Milliseconds without a byte after which a connection is broken. */
  readonly idleMs: number;
}

/** Failures of a connection that the next one may not meet. */
const TRANSIENT: ReadonlySet<string> = new Set([
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'EAI_AGAIN',
  'ENETRESET',
  'HPE_INVALID_EOF_STATE',
]);

/** Sends requests over connections that are kept, without any policy: no retries, no redirects. */
export class Transport {
  readonly #plain = new http.Agent({ keepAlive: true });
  readonly #secure: https.Agent;
  readonly #idleMs: number;

  constructor({ insecure, tls, idleMs }: TransportOptions) {
    this.#idleMs = idleMs;
    this.#secure = new https.Agent({ keepAlive: true, rejectUnauthorized: !insecure, ...tls });
  }

  /**
   * Sends `request` and resolves with the head of the answer.
   * @throws {TransientFailure} for a connection that broke or stays silent
   * @throws {StoreError} REGISTRY_UNAVAILABLE when the host cannot be reached, ABORTED; what the body
   *   throws
   */
  async send({ method, url, headers, body }: WireRequest, signal: AbortSignal | undefined): Promise<WireResponse> {
    const isPlain = url.protocol === 'http:';
    const size = body instanceof Uint8Array ? body.length : body?.size;
    const options = {
      method,
      agent: isPlain ? this.#plain : this.#secure,
      headers: { ...headers, ...(size === undefined ? {} : { 'content-length': String(size) }) },
      ...(signal === undefined ? {} : { signal }),
    };
    const request = isPlain ? http.request(url, options) : https.request(url, options);
    const idleMs = this.#idleMs;
    request.setTimeout(idleMs, () =>
      request.destroy(new TransientFailure(`${url.host} said nothing for ${idleMs / 1_000} s`)),
    );
    const answered = new Promise<http.IncomingMessage>((resolve, reject) => {
      request.once('response', resolve).once('error', reject);
    });
    // An answer may come before the whole body has left, and then its status matters.
    const source: SourceState = {};
    const failed = sendBody(request, body, source).then(() => new Promise<never>(() => undefined));
    try {
      const message = await Promise.race([answered, failed]);
      // The reader of the body sees its failure; a failure after the end is of no consequence.
      message.on('error', () => undefined);
      request.on('error', () => undefined);
      return {
        status: message.statusCode ?? 0,
        url,
        headers: message.headers,
        hasBody: method !== 'HEAD',
        body: message,
      };
    } catch (error) {
      answered.catch(() => undefined);
      request.destroy();
      throw source.failure === undefined ? wireFailure(error, url, signal) : source.failure.error;
    }
  }

  /** Closes the connections that wait for a next request. */
  close(): void {
    this.#plain.destroy();
    this.#secure.destroy();
  }
}

/** Where a body notes that it failed itself: no connection is to blame. */
interface SourceState {
  failure?: { readonly error: unknown };
}

async function sendBody(
  request: http.ClientRequest,
  body: RequestBody | undefined,
  source: SourceState,
): Promise<void> {
  if (body === undefined || body instanceof Uint8Array) request.end(body);
  else await pipeline(Readable.from(watched(body.open(), source), { objectMode: false }), request);
}

async function* watched(chunks: AsyncIterable<Uint8Array>, source: SourceState): AsyncGenerator<Uint8Array> {
  try {
    yield* chunks;
  } catch (error) {
    source.failure = { error };
    throw error;
  }
}

/** Returns what a failure of a connection to `url` means. */
export function wireFailure(error: unknown, url: URL, signal: AbortSignal | undefined): unknown {
  if (signal?.aborted === true) return aborted(signal);
  if (error instanceof StoreError || error instanceof TransientFailure) return error;
  const code = error instanceof Error && 'code' in error ? String(error.code) : '';
  const found = thrownText(error);
  const message = `cannot reach ${url.host}: ${found || code}`;
  if (TRANSIENT.has(code) || found === 'aborted') {
    return new TransientFailure(`the connection to ${url.host} broke (${found || code})`, { cause: error });
  }
  const data = { host: url.host, systemCode: code, ...(isTlsFailure(code, found) ? { hint: TLS_HINT } : {}) };
  return new StoreError('REGISTRY_UNAVAILABLE', message, { cause: error, data });
}

const TLS_HINT =
  'without TLS add --plain-http; a certificate of your own belongs in $NODE_EXTRA_CA_CERTS or /etc/docker/certs.d';

function isTlsFailure(code: string, message: string): boolean {
  return /CERT|SSL|TLS|EPROTO|SELF_SIGNED|ISSUER/.test(code) || /certificate|wrong version number/.test(message);
}

/**
 * Reads a body of at most `limit` bytes.
 * @throws {StoreError} REGISTRY_INVALID for more, naming `what`; ABORTED
 * @throws {TransientFailure} for a connection that broke
 */
export async function readBody(
  { body, url, headers }: WireResponse,
  { what, limit = MAX_REGISTRY_ANSWER_BYTES, signal }: BodyOptions,
): Promise<Uint8Array> {
  const announced = Number(headers['content-length'] ?? 0);
  const tooLarge = (found: string): StoreError => {
    body.destroy();
    return new StoreError('REGISTRY_INVALID', `cannot read ${what}: expected at most ${limit} bytes, found ${found}`, {
      data: { host: url.host, limit },
    });
  };
  if (announced > limit) throw tooLarge(String(announced));
  let bytes: Uint8Array | undefined;
  try {
    bytes = await readBounded(body, limit);
  } catch (error) {
    throw wireFailure(error, url, signal);
  }
  if (bytes === undefined) throw tooLarge('more');
  return bytes;
}

interface BodyOptions {
  /** What is read, for messages. */
  readonly what: string;
  readonly limit?: number | undefined;
  readonly signal: AbortSignal | undefined;
}

/** Lets go of a body that nobody reads; a short one leaves its connection for the next request. */
export function discardBody({ body, hasBody, headers }: WireResponse): void {
  const size = hasBody ? Number(headers['content-length'] ?? Number.POSITIVE_INFINITY) : 0;
  if (size <= SHORT_BODY_BYTES) body.resume();
  else body.destroy();
}

const SHORT_BODY_BYTES = 64 * 1024;

/** What TLS to a host uses besides Node's own certificates. */
interface TlsFiles {
  readonly ca?: string[];
  readonly cert?: string;
  readonly key?: string;
}

const FOLDERS = ['/etc/docker/certs.d', '/etc/containers/certs.d'];

/**
 * Reads docker's certificates of a host: `*.crt` are authorities, `*.cert` with `*.key` is that of
 * the client. The first folder that has the host counts.
 * @throws {StoreError} IO_FAILED
 */
export function tlsFilesOf(host: string, folders: readonly string[] = FOLDERS): TlsFiles {
  for (const folder of folders) {
    const path = join(folder, host);
    const names = namesOrNone(path);
    if (names.length === 0) continue;
    const read = (suffix: string): string[] =>
      names.filter((name) => name.endsWith(suffix)).map((name) => readFileSync(join(path, name), 'utf8'));
    const [authorities, [cert], [key]] = [read('.crt'), read('.cert'), read('.key')];
    return {
      ...(authorities.length === 0 ? {} : { ca: [...rootCertificates, ...authorities] }),
      ...(cert === undefined || key === undefined ? {} : { cert, key }),
    };
  }
  return {};
}

function namesOrNone(path: string): readonly string[] {
  try {
    return readdirSync(path).sort();
  } catch (error) {
    if (['ENOENT', 'ENOTDIR'].includes(systemCode(error))) return [];
    throw new StoreError('IO_FAILED', `cannot read the certificates in ${path}`, { cause: error, data: { path } });
  }
}
