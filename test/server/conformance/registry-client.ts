import { Agent, type IncomingMessage, request } from 'node:http';
import { collect } from '../../support/build-tar.js';

/** One request. */
export interface Ask {
  /** GET unless it says otherwise. */
  readonly method?: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  readonly headers?: Readonly<Record<string, string | readonly string[]>>;
  readonly body?: Uint8Array;
  /** How the end of the body is told; by Content-Length unless it says otherwise. */
  readonly framing?: 'length' | 'chunked';
}

/** What a registry answered. */
export interface Answer {
  readonly status: number;
  /** What was asked, as `PUT /v2/…`. */
  readonly asked: string;
  readonly url: URL;
  readonly body: Buffer;
  /** Every value of a header, one a line that carried it. */
  values(name: string): readonly string[];
  /** The first of them. */
  value(name: string): string | undefined;
}

/** A registry that takes longer fails the case. */
const TIMEOUT_MS = 10_000;

/**
 * Asks a registry over plain HTTP: `node:http` sends paths, chunked bodies and HEAD
 * as they are, where `fetch` would change them. Redirects are answers like others.
 */
export class RegistryClient implements Disposable {
  readonly #base: URL;
  readonly #headers: Readonly<Record<string, string>>;
  readonly #agent = new Agent({ keepAlive: true });

  constructor(base: string, headers: Readonly<Record<string, string>> = {}) {
    this.#base = new URL(base);
    this.#headers = headers;
  }

  /** Asks for a path of the registry, which is sent as it stands, or for a URL that it gave. */
  async ask(
    target: string | URL,
    { method = 'GET', headers = {}, body, framing = 'length' }: Ask = {},
  ): Promise<Answer> {
    const url = typeof target === 'string' ? new URL(target, this.#base) : target;
    const path = typeof target === 'string' ? target : `${url.pathname}${url.search}`;
    const incoming = await new Promise<IncomingMessage>((resolve, reject) => {
      const outgoing = request({
        host: url.hostname,
        port: url.port,
        path,
        method,
        agent: this.#agent,
        timeout: TIMEOUT_MS,
        headers: { ...this.#headers, ...framingOf(method, framing, body), ...copyOf(headers) },
      });
      outgoing.on('response', resolve);
      outgoing.on('timeout', () => outgoing.destroy(new Error(`no answer to ${method} ${path} in ${TIMEOUT_MS} ms`)));
      // After an early answer, the rest of the body may find the connection closed.
      outgoing.on('error', reject);
      outgoing.end(body);
    });
    return answerOf(incoming, `${method} ${path}`, url);
  }

  [Symbol.dispose](): void {
    this.#agent.destroy();
  }
}

async function answerOf(incoming: IncomingMessage, asked: string, url: URL): Promise<Answer> {
  const values = (name: string): readonly string[] => incoming.headersDistinct[name.toLowerCase()] ?? [];
  return {
    status: incoming.statusCode ?? 0,
    asked,
    url,
    body: await collect(incoming),
    values,
    value: (name) => values(name)[0],
  };
}

function framingOf(method: string, framing: string, body: Uint8Array | undefined): Record<string, string> {
  if (framing === 'chunked') return { 'transfer-encoding': 'chunked' };
  return ['POST', 'PUT', 'PATCH'].includes(method) ? { 'content-length': String(body?.length ?? 0) } : {};
}

function copyOf(headers: Readonly<Record<string, string | readonly string[]>>): Record<string, string | string[]> {
  const entries = Object.entries(headers);
  return Object.fromEntries(entries.map(([name, value]) => [name, typeof value === 'string' ? value : [...value]]));
}
