import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { ExecutionContext } from 'ava';
import { type Digest, digestOf } from '../../src/model/digest.js';

/** One request that a fake registry got. */
interface Seen {
  readonly method: string;
  /** Path and query. */
  readonly url: string;
  readonly headers: IncomingMessage['headers'];
}

/** Answers a request before the registry does; false leaves it to the registry. */
type Intercept = (request: IncomingMessage, response: ServerResponse) => boolean | Promise<boolean>;

/** A registry in memory, on a port of the loopback address, that misbehaves where a test wants it. */
export class FakeRegistry {
  readonly blobs = new Map<string, Buffer>();
  /** By `repository/digest` and `repository/tag`. */
  readonly manifests = new Map<string, { readonly type: string; readonly bytes: Buffer }>();
  readonly uploads = new Map<string, Buffer>();
  readonly seen: Seen[] = [];
  intercept: Intercept = () => false;
  /** Whether it has the referrers API. */
  hasReferrers = true;
  host = '';
  readonly #server: Server;
  #uploads = 0;

  /** With a certificate it speaks TLS. */
  constructor(tls?: { readonly key: string; readonly cert: string }) {
    const listener = (request: IncomingMessage, response: ServerResponse): void => {
      this.#answer(request, response).catch((error: unknown) => response.destroy(error as Error));
    };
    this.#server = tls === undefined ? createServer(listener) : createSecureServer(tls, listener);
  }

  async start(t: ExecutionContext): Promise<this> {
    await new Promise<void>((resolve) => this.#server.listen(0, '127.0.0.1', resolve));
    this.host = `127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
    t.teardown(() => {
      this.#server.closeAllConnections();
      this.#server.close();
    });
    return this;
  }

  /** Adds a blob; in any repository, as names of repositories do not matter here. */
  addBlob(content: string | Uint8Array): Digest {
    const bytes = Buffer.from(content);
    const digest = digestOf(bytes);
    this.blobs.set(digest, bytes);
    return digest;
  }

  /** Adds a manifest or index below its digest and a tag. */
  addManifest(repository: string, tag: string, document: { readonly mediaType: string }): Digest {
    const bytes = Buffer.from(JSON.stringify(document));
    this.#keep(repository, tag, document.mediaType, bytes);
    return digestOf(bytes);
  }

  /** The requests of a method, as `METHOD url`. */
  requests(...methods: readonly string[]): string[] {
    return this.seen.filter(({ method }) => methods.includes(method)).map(({ method, url }) => `${method} ${url}`);
  }

  #keep(repository: string, reference: string, type: string, bytes: Buffer): void {
    for (const key of [reference, digestOf(bytes)]) this.manifests.set(`${repository}/${key}`, { type, bytes });
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const { method = '', url = '', headers } = request;
    this.seen.push({ method, url, headers });
    if (await this.intercept(request, response)) return;
    const { pathname, searchParams } = new URL(url, 'http://registry');
    const [, repository = '', kind = '', rest = ''] =
      /^\/v2\/(.+?)\/(manifests|blobs|tags|referrers)\/(.+)$/.exec(pathname) ?? [];
    if (kind === 'manifests') await this.#manifest(request, response, repository, rest);
    else if (kind === 'blobs' && rest.startsWith('uploads')) await this.#upload(request, response, repository);
    else if (kind === 'blobs') this.#blob(request, response, rest);
    else if (kind === 'tags') this.#tags(response, repository, searchParams);
    else if (kind === 'referrers' && this.hasReferrers) this.#referrers(response, repository, rest);
    else fail(response, 404, 'NAME_UNKNOWN');
  }

  async #manifest(
    request: IncomingMessage,
    response: ServerResponse,
    repository: string,
    reference: string,
  ): Promise<void> {
    if (request.method === 'PUT') {
      const bytes = await bodyOf(request);
      this.#keep(repository, reference, request.headers['content-type'] ?? '', bytes);
      const { subject } = JSON.parse(bytes.toString()) as { subject?: { digest: string } };
      const listed = subject !== undefined && this.hasReferrers ? { 'oci-subject': subject.digest } : {};
      response.writeHead(201, { 'docker-content-digest': digestOf(bytes), ...listed }).end();
      return;
    }
    const found = this.manifests.get(`${repository}/${reference}`);
    if (found === undefined) {
      fail(response, 404, 'MANIFEST_UNKNOWN');
      return;
    }
    const { type, bytes } = found;
    const digest = { 'docker-content-digest': digestOf(bytes) };
    response.writeHead(200, { 'content-type': type, 'content-length': bytes.length, ...digest });
    response.end(request.method === 'HEAD' ? undefined : bytes);
  }

  #blob({ method, headers }: IncomingMessage, response: ServerResponse, digest: string): void {
    const bytes = this.blobs.get(digest);
    if (bytes === undefined) {
      fail(response, 404, 'BLOB_UNKNOWN');
      return;
    }
    const start = Number(/^bytes=(\d+)-$/.exec(headers.range ?? '')?.[1] ?? 0);
    const range = start === 0 ? {} : { 'content-range': `bytes ${start}-${bytes.length - 1}/${bytes.length}` };
    response.writeHead(start === 0 ? 200 : 206, { 'content-length': bytes.length - start, ...range });
    response.end(method === 'HEAD' ? undefined : bytes.subarray(start));
  }

  async #upload(request: IncomingMessage, response: ServerResponse, repository: string): Promise<void> {
    const { searchParams, pathname } = new URL(request.url ?? '', 'http://registry');
    const mounted = searchParams.get('mount');
    if (request.method === 'POST') {
      if (mounted !== null && this.blobs.has(mounted)) return void response.writeHead(201).end();
      const location = `/v2/${repository}/blobs/uploads/${++this.#uploads}?state=x`;
      this.uploads.set(String(this.#uploads), Buffer.alloc(0));
      return void response.writeHead(202, { location }).end();
    }
    const id = pathname.split('/').at(-1) ?? '';
    const before = this.uploads.get(id);
    if (before === undefined) {
      fail(response, 404, 'BLOB_UPLOAD_UNKNOWN');
      return;
    }
    if (request.method === 'GET') {
      const range = `0-${Math.max(0, before.length - 1)}`;
      return void response.writeHead(204, { location: pathname, range }).end();
    }
    await this.#receive(request, id);
    const bytes = this.uploads.get(id) ?? Buffer.alloc(0);
    if (request.method === 'PATCH') return void response.writeHead(202, { location: pathname }).end();
    const digest = searchParams.get('digest') ?? '';
    if (digestOf(bytes) !== digest) {
      fail(response, 400, 'DIGEST_INVALID');
      return;
    }
    this.blobs.set(digest, bytes);
    this.uploads.delete(id);
    response.writeHead(201).end();
  }

  /** Keeps what came of a body, also of one that breaks off. */
  async #receive(request: IncomingMessage, id: string): Promise<void> {
    for await (const chunk of request as AsyncIterable<Buffer>) {
      this.uploads.set(id, Buffer.concat([this.uploads.get(id) ?? Buffer.alloc(0), chunk]));
    }
  }

  #tags(response: ServerResponse, repository: string, query: URLSearchParams): void {
    const tags = [...this.manifests.keys()]
      .filter((key) => key.startsWith(`${repository}/`) && !key.includes('sha256:'))
      .map((key) => key.slice(repository.length + 1))
      .sort();
    const rest = tags.filter((tag) => tag > (query.get('last') ?? ''));
    const page = rest.slice(0, 2);
    const link = `</v2/${repository}/tags/list?last=${page.at(-1)}&n=2>; rel="next"`;
    json(response, { name: repository, tags: page }, rest.length > page.length ? { link } : {});
  }

  #referrers(response: ServerResponse, repository: string, digest: string): void {
    const found = [...this.manifests].flatMap(([key, { type, bytes }]) => {
      if (!key.startsWith(`${repository}/sha256:`)) return [];
      const { subject, artifactType } = JSON.parse(bytes.toString()) as {
        subject?: { digest: string };
        artifactType?: string;
      };
      if (subject?.digest !== digest) return [];
      return [{ mediaType: type, digest: digestOf(bytes), size: bytes.length, artifactType }];
    });
    json(response, { schemaVersion: 2, mediaType: 'application/vnd.oci.image.index.v1+json', manifests: found });
  }
}

/** Starts a fake registry that is gone after the test. */
export function fakeRegistry(t: ExecutionContext): Promise<FakeRegistry> {
  return new FakeRegistry().start(t);
}

/** Reads a whole body. */
export async function bodyOf(request: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
}

/** Answers with JSON. */
export function json(response: ServerResponse, value: unknown, headers: Readonly<Record<string, string>> = {}): void {
  response.writeHead(200, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(value));
}

/** Answers with an error of OCI Distribution. */
export function fail(response: ServerResponse, status: number, code: string): void {
  const body = JSON.stringify({ errors: [{ code, message: `it is ${code}` }] });
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': body.length }).end(body);
}
