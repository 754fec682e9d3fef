import { createHash } from 'node:crypto';
import { StoreError } from '../errors.js';
import { MAX_WHOLE_UPLOAD_BYTES } from '../limits.js';
import type { Descriptor, Digest } from '../model/digest.js';
import type { Purpose } from './authorization.js';
import type { RegistryRequest, RegistrySession } from './registry-session.js';
import { retried, TransientFailure } from './retry.js';
import { discardBody, type RequestBody, wireFailure, type WireResponse } from './transport.js';

const OCTETS = 'application/octet-stream';

interface Upload {
  /** Of the repository. */
  readonly path: string;
  /** Of the blob, for messages. */
  readonly name: string;
  readonly blob: Descriptor;
  readonly open: (offset: number) => AsyncIterable<Uint8Array>;
  readonly mountFrom: readonly string[];
  readonly onBytes: (bytes: number) => void;
}

/** Brings one blob to a repository that lacks it (OCI Distribution, pushing blobs). */
export class BlobUpload {
  readonly #session: RegistrySession;
  readonly #upload: Upload;
  readonly #what: string;
  /** Bytes that were reported. */
  #sent = 0;

  constructor(session: RegistrySession, upload: Upload) {
    this.#session = session;
    this.#upload = upload;
    this.#what = `upload of ${upload.name}`;
  }

  /** Mounts the blob from the first repository that gives it, or uploads it. */
  async run(): Promise<'mounted' | 'uploaded'> {
    const { mountFrom, blob } = this.#upload;
    let begun: URL | undefined;
    for (const from of mountFrom) {
      const response = await this.#begin(`?mount=${blob.digest}&from=${encodeURIComponent(from)}`, [
        `repository:${from}:pull`,
      ]);
      if (response.status === 201) return 'mounted';
      begun ??= this.#location(response);
    }
    begun ??= await this.#new();
    if (blob.size <= MAX_WHOLE_UPLOAD_BYTES) await this.#whole(begun);
    else await this.#finish(await this.#stream(begun));
    return 'uploaded';
  }

  async #new(): Promise<URL> {
    return this.#location(await this.#begin('', []));
  }

  async #begin(query: string, more: readonly string[]): Promise<WireResponse> {
    const response = await this.#session.request({
      method: 'POST',
      url: `/v2/${this.#upload.path}/blobs/uploads/${query}`,
      body: new Uint8Array(0),
      purpose: this.#purpose(more),
      expected: query === '' ? [202] : [201, 202],
      what: this.#what,
    });
    discardBody(response);
    return response;
  }

  /** Sends the blob in one PUT; when the connection breaks, in another one from the beginning. */
  async #whole(begun: URL): Promise<void> {
    const body = { size: this.#upload.blob.size, open: () => this.#counted(0) };
    let location: URL | undefined = begun;
    await retried(this.#session.attempts(), async () => {
      const url = location ?? (await this.#new());
      // What came of a broken one would count twice.
      location = undefined;
      discardBody(await this.#session.once(this.#put(url, body)));
    });
  }

  /** Sends the blob in one PATCH; when the connection breaks, asks how far it came and continues. */
  async #stream(begun: URL): Promise<URL> {
    const { blob } = this.#upload;
    const attempts = this.#session.attempts();
    let [location, offset] = [begun, 0];
    for (;;) {
      try {
        const response = await this.#session.once(this.#patch(location, offset));
        discardBody(response);
        if (response.status !== 416) return this.#location(response, location);
        // The registry may not know yet that the connection before is gone, or has more of it by now.
        throw new TransientFailure(`${this.#session.host} does not take the rest of the ${this.#what}`);
      } catch (error) {
        if (!(error instanceof TransientFailure)) throw error;
        await attempts.after(error);
        const before = offset;
        [location, offset] = await this.#status(location);
        if (offset > before) attempts.progress(offset - before);
        if (offset >= blob.size) return location;
      }
    }
  }

  /** Asks how much of the upload came; begins another where that is nothing, or not known. */
  async #status(location: URL): Promise<[location: URL, received: number]> {
    const { size } = this.#upload.blob;
    const response = await this.#session.request({
      method: 'GET',
      url: location,
      purpose: this.#purpose(),
      // Docker's registry 2 cancels an upload that it has more of than its address says.
      expected: [204, 202, 200, 400, 404, 416],
      what: this.#what,
    });
    discardBody(response);
    const found = String(response.headers['range'] ?? '');
    const last = response.status >= 400 ? undefined : /^(?:bytes=)?0-(\d+)$/.exec(found)?.[1];
    // Docker's registry says 0-0 of an upload without a byte, as of one with a byte.
    if (last === undefined || last === '0') return [await this.#new(), 0];
    const received = Number(last) + 1;
    if (received > size) throw this.#invalid(`it has ${received} bytes, expected at most ${size}`);
    return [this.#location(response, location), received];
  }

  async #finish(location: URL): Promise<void> {
    const { blob, path } = this.#upload;
    const request = this.#put(location, new Uint8Array(0));
    const response = await this.#session.request({ ...request, expected: [...request.expected, 404] });
    discardBody(response);
    if (response.status !== 404) return;
    // The answer to an earlier attempt may have been lost: then the upload is no more, and the blob is there.
    const head = { method: 'HEAD', url: `/v2/${path}/blobs/${blob.digest}`, expected: [200] } as const;
    discardBody(await this.#session.request({ ...head, purpose: this.#purpose(), what: this.#what }));
  }

  #patch(url: URL, offset: number): RegistryRequest {
    const { size } = this.#upload.blob;
    const range = offset === 0 ? {} : { 'content-range': `${offset}-${size - 1}` };
    return {
      method: 'PATCH',
      url,
      headers: { 'content-type': OCTETS, ...range },
      body: { size: size - offset, open: () => this.#counted(offset) },
      purpose: this.#purpose(),
      expected: offset === 0 ? [202, 204] : [202, 204, 416],
      what: this.#what,
    };
  }

  #put(location: URL, body: RequestBody): RegistryRequest {
    const url = new URL(location);
    url.searchParams.set('digest', this.#upload.blob.digest);
    const headers = { 'content-type': OCTETS };
    return { method: 'PUT', url, headers, body, purpose: this.#purpose(), expected: [201, 204], what: this.#what };
  }

  /** The bytes from `offset` on, reported as they leave. */
  async *#counted(offset: number): AsyncGenerator<Uint8Array> {
    this.#upload.onBytes(offset - this.#sent);
    this.#sent = offset;
    for await (const chunk of this.#upload.open(offset)) {
      yield chunk;
      this.#sent += chunk.length;
      this.#upload.onBytes(chunk.length);
    }
  }

  #location({ headers, url }: WireResponse, known?: URL): URL {
    const { location } = headers;
    if (location === undefined && known !== undefined) return known;
    if (location !== undefined && URL.canParse(location, url.href)) return new URL(location, url);
    throw this.#invalid('it gave no address for the bytes');
  }

  #purpose(more: readonly string[] = []): Purpose {
    const { path } = this.#upload;
    return { path, scopes: [`repository:${path}:pull,push`, ...more] };
  }

  #invalid(found: string): StoreError {
    const { host } = this.#session;
    return new StoreError('REGISTRY_INVALID', `cannot continue the ${this.#what}: ${found}`, { data: { host } });
  }
}

/** Which bytes of a blob. */
export interface BlobRange {
  /** First byte; default 0. */
  readonly offset?: number | undefined;
  /** Size of the whole blob, where it is known: a body that ends before it is continued. */
  readonly size?: number | undefined;
}

interface Download extends BlobRange {
  readonly digest: Digest;
  readonly url: string;
  readonly purpose: Purpose;
  readonly what: string;
}

/** Streams one blob, over as many connections as it takes. */
export class BlobDownload {
  readonly #session: RegistrySession;
  readonly #download: Download;
  readonly #start: number;
  readonly #hash = createHash('sha256');
  #at: number;

  constructor(session: RegistrySession, download: Download) {
    this.#session = session;
    this.#download = download;
    this.#start = download.offset ?? 0;
    this.#at = this.#start;
  }

  /** As `RegistryClient.blob`. */
  async *chunks(): AsyncGenerator<Uint8Array> {
    const attempts = this.#session.attempts();
    for (;;) {
      try {
        const response = await this.#session.once(this.#request());
        for await (const chunk of this.#body(response)) {
          attempts.progress(chunk.length);
          yield chunk;
        }
        break;
      } catch (error) {
        if (!(error instanceof TransientFailure)) throw error;
        await attempts.after(error);
        if (this.#at === this.#download.size) break;
      }
    }
    this.#check();
  }

  #request(): Parameters<RegistrySession['once']>[0] {
    const { url, purpose, what } = this.#download;
    const range = this.#at === 0 ? {} : { range: `bytes=${this.#at}-` };
    // Digests are of the bytes as they are: a proxy must not compress them.
    const headers = { 'accept-encoding': 'identity', ...range };
    return { method: 'GET', url, headers, purpose, expected: this.#at === 0 ? [200] : [200, 206], what };
  }

  async *#body(response: WireResponse): AsyncGenerator<Uint8Array> {
    const { size, what } = this.#download;
    let skip = this.#skipped(response);
    const { body, url } = response;
    try {
      for await (const piece of body as AsyncIterable<Uint8Array>) {
        const chunk = piece.subarray(Math.min(skip, piece.length));
        skip -= piece.length - chunk.length;
        if (chunk.length === 0) continue;
        this.#at += chunk.length;
        if (size !== undefined && this.#at > size) throw this.#mismatch(`more than ${size} bytes`);
        if (this.#start === 0) this.#hash.update(chunk);
        yield chunk;
      }
    } catch (error) {
      throw wireFailure(error, url, this.#session.signal);
    } finally {
      body.destroy();
    }
    if (size !== undefined && this.#at < size) {
      throw new TransientFailure(`the ${what} ended after ${this.#at} of ${size} bytes`);
    }
  }

  /** Bytes at the beginning of the body that came before. */
  #skipped(response: WireResponse): number {
    if (response.status === 200) return this.#at;
    const found = String(response.headers['content-range'] ?? '');
    if (/^bytes (\d+)-/.exec(found)?.[1] === String(this.#at)) return 0;
    discardBody(response);
    throw new StoreError(
      'REGISTRY_INVALID',
      `cannot continue the ${this.#download.what}: expected the bytes from ${this.#at} on, found ${JSON.stringify(found.slice(0, 100))}`,
      { data: { host: this.#session.host } },
    );
  }

  #check(): void {
    if (this.#start !== 0) return;
    const found = `sha256:${this.#hash.digest('hex')}`;
    if (found !== this.#download.digest) throw this.#mismatch(`${found}, ${this.#at} bytes`);
  }

  #mismatch(found: string): StoreError {
    const { digest, what } = this.#download;
    return new StoreError('BLOB_MISMATCH', `cannot take the ${what}: its bytes do not match, found ${found}`, {
      data: { host: this.#session.host, expected: digest, found },
    });
  }
}
