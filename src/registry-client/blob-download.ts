import { createHash } from 'node:crypto';
import { StoreError } from '../errors.js';
import type { Digest } from '../model/digest.js';
import type { Purpose } from './authorization.js';
import type { RegistrySession } from './registry-session.js';
import { TransientFailure } from './retry.js';
import { discardBody, type WireResponse, wireFailure } from './transport.js';

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
