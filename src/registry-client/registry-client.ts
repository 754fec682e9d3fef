import { bareType, isIndexType, isManifestType, OCI_INDEX, OCI_MANIFEST } from '../archive/documents.js';
import { StoreError } from '../errors.js';
import { MAX_ARCHIVE_DESCRIPTORS, MAX_REGISTRY_MANIFEST_BYTES, MAX_REGISTRY_PAGES } from '../limits.js';
import { type Descriptor, type Digest, digestHex, digestOf, isDigest } from '../model/digest.js';
import { BlobDownload, type BlobRange, BlobUpload } from './blob-transfer.js';
import { recordOf } from './credentials.js';
import type { RegistrySession } from './registry-session.js';
import { discardBody, readBody, type WireResponse } from './transport.js';
import { canonicalReference, formatReference, parseReference } from '../model/reference.js';

/** A manifest or index as a registry gave it; its bytes match its digest. */
export interface RegistryManifest {
  readonly descriptor: Descriptor;
  readonly bytes: Uint8Array;
}

/** What is about a manifest, by its entry in the list of a registry. */
interface RegistryReferrer extends Descriptor {
  readonly artifactType: string;
  readonly annotations: Readonly<Record<string, string>>;
}

/** What a blob of another repository, or a new one, became. */
export type PutBlob = 'uploaded' | 'mounted' | 'present';

/** Blobs that an upload may take from: repositories of the same registry, in order. */
interface PutBlobOptions {
  readonly mountFrom?: readonly string[];
  /** Called with the bytes sent since the last call; negative when some are sent again. */
  readonly onBytes?: (bytes: number) => void;
}

const TAGS_A_PAGE = 1_000;

/**
 * One repository of a registry (OCI Distribution 1.1), independent of any store. All methods throw
 * StoreError: REGISTRY_UNAVAILABLE, REGISTRY_DENIED, REGISTRY_NOT_FOUND, REGISTRY_REFUSED,
 * REGISTRY_INVALID, ABORTED.
 */
export class RegistryClient {
  readonly session: RegistrySession;
  /** Path of the repository on its host: `shop/app`. */
  readonly path: string;

  constructor(session: RegistrySession, path: string) {
    this.session = session;
    this.path = path;
  }

  /** `HOST/PATH`, for messages. */
  get name(): string {
    return `${this.session.host}/${this.path}`;
  }

  /**
   * Returns the manifest or index of a tag or digest, at most MAX_REGISTRY_MANIFEST_BYTES.
   * @throws {StoreError} BLOB_MISMATCH when its bytes do not match its digest
   */
  async manifest(reference: string): Promise<RegistryManifest> {
    const what = `manifest ${this.#named(reference)}`;
    const response = await this.session.request({
      method: 'GET',
      url: `/v2/${this.path}/manifests/${reference}`,
      headers: { accept: MANIFEST_TYPES },
      purpose: this.#purpose('pull'),
      expected: [200],
      what,
    });
    const { signal } = this.session;
    const bytes = await readBody(response, { what: `the ${what}`, limit: MAX_REGISTRY_MANIFEST_BYTES, signal });
    const mediaType = checkManifest(bytes, response.headers['content-type'], what);
    const digest = digestOf(bytes);
    const announced = response.headers['docker-content-digest'];
    const expected = isDigest(reference) ? reference : announced;
    if (typeof expected === 'string' && isDigest(expected) && expected !== digest) {
      throw new StoreError('BLOB_MISMATCH', `cannot take the ${what}: expected ${expected}, found ${digest}`, {
        data: { host: this.session.host, expected, found: digest },
      });
    }
    return { descriptor: { digest, size: bytes.length, mediaType }, bytes };
  }

  /** Returns the descriptor of a manifest; undefined if the registry has none. */
  async head(reference: string): Promise<Descriptor | undefined> {
    const response = await this.session.request({
      method: 'HEAD',
      url: `/v2/${this.path}/manifests/${reference}`,
      headers: { accept: MANIFEST_TYPES },
      purpose: this.#purpose('pull'),
      expected: [200, 404],
      what: `manifest ${this.#named(reference)}`,
    });
    discardBody(response);
    if (response.status === 404) return undefined;
    const { 'docker-content-digest': digest, 'content-length': size, 'content-type': type } = response.headers;
    if (typeof digest === 'string' && isDigest(digest) && size !== undefined && type !== undefined) {
      return { digest, size: Number(size), mediaType: type };
    }
    // The digest header is optional (OCI Distribution, checking if content exists).
    return (await this.manifest(reference)).descriptor;
  }

  /**
   * Streams a blob, continuing where a connection breaks. From offset 0 the whole must match its
   * digest; from another one, checking it is up to the caller.
   * @throws {StoreError} BLOB_MISMATCH, at the end
   */
  blob(digest: Digest, range: BlobRange = {}): AsyncGenerator<Uint8Array> {
    return new BlobDownload(this.session, {
      digest,
      url: `/v2/${this.path}/blobs/${digest}`,
      purpose: this.#purpose('pull'),
      what: `blob ${this.#named(digest)}`,
      ...range,
    }).chunks();
  }

  /** Whether the repository has a blob. */
  async hasBlob(digest: Digest): Promise<boolean> {
    const response = await this.session.request({
      method: 'HEAD',
      url: `/v2/${this.path}/blobs/${digest}`,
      purpose: this.#purpose('pull'),
      expected: [200, 404],
      what: `blob ${this.#named(digest)}`,
    });
    discardBody(response);
    return response.status === 200;
  }

  /**
   * Yields the tags of the repository, page by page.
   * @throws {StoreError} REGISTRY_INVALID also for more than MAX_REGISTRY_PAGES pages
   */
  async *tags(): AsyncGenerator<string> {
    const pages = this.#pages(`/v2/${this.path}/tags/list?n=${TAGS_A_PAGE}`, `list of tags of ${this.name}`);
    for await (const page of pages) {
      const { tags } = recordOf(page);
      if (Array.isArray(tags)) for (const tag of tags) if (typeof tag === 'string') yield tag;
    }
  }

  /**
   * Returns what is about a manifest, of one artifact type if given: by the referrers API, else by
   * the tag that stands for it (OCI Distribution, listing referrers).
   */
  async referrers(digest: Digest, artifactType?: string): Promise<readonly RegistryReferrer[]> {
    const filter = artifactType === undefined ? '' : `?artifactType=${encodeURIComponent(artifactType)}`;
    const found: RegistryReferrer[] = [];
    try {
      const what = `list of referrers of ${this.#named(digest)}`;
      for await (const page of this.#pages(`/v2/${this.path}/referrers/${digest}${filter}`, what)) {
        for (const referrer of referrersIn(page)) found.push(referrer);
        if (found.length > MAX_ARCHIVE_DESCRIPTORS) throw this.#endless(what, `${MAX_ARCHIVE_DESCRIPTORS} entries`);
      }
    } catch (error) {
      if (!(error instanceof StoreError && error.code === 'REGISTRY_NOT_FOUND')) throw error;
      for (const referrer of referrersIn(await this.#fallback(digest))) found.push(referrer);
    }
    return found.filter((each) => artifactType === undefined || each.artifactType === artifactType);
  }

  /**
   * Puts a manifest or index below a tag or its digest. One that has a subject is added to the list
   * of its referrers, also where the registry keeps none itself.
   */
  async putManifest(reference: string, { descriptor, bytes }: RegistryManifest): Promise<void> {
    const response = await this.session.request({
      method: 'PUT',
      url: `/v2/${this.path}/manifests/${reference}`,
      headers: { 'content-type': descriptor.mediaType },
      body: bytes,
      purpose: this.#purpose('pull,push'),
      expected: [201, 202, 200],
      what: `manifest ${this.#named(reference)}`,
    });
    discardBody(response);
    const announced = response.headers['docker-content-digest'];
    if (typeof announced === 'string' && isDigest(announced) && announced !== descriptor.digest) {
      const message = `${this.session.host} took the manifest ${this.#named(reference)} as ${announced}`;
      throw new StoreError('BLOB_MISMATCH', `${message}, expected ${descriptor.digest}`, {
        data: { host: this.session.host, expected: descriptor.digest, found: announced },
      });
    }
    const document = recordOf(JSON.parse(Buffer.from(bytes).toString('utf8')));
    const { digest: subject } = recordOf(document['subject']);
    const isListed = response.headers['oci-subject'] !== undefined;
    if (typeof subject === 'string' && isDigest(subject) && !isListed) {
      await this.#addToFallback(subject, { ...descriptor, ...typesOf(document) });
    }
  }

  /**
   * Makes the repository have a blob: finds it there, mounts it, or uploads what `open` yields from
   * an offset on.
   */
  async putBlob(
    blob: Descriptor,
    open: (offset: number) => AsyncIterable<Uint8Array>,
    { mountFrom = [], onBytes = () => undefined }: PutBlobOptions = {},
  ): Promise<PutBlob> {
    if (await this.hasBlob(blob.digest)) return 'present';
    const { path, session } = this;
    return new BlobUpload(session, { path, name: this.#named(blob.digest), blob, open, mountFrom, onBytes }).run();
  }

  #named(reference: string): string {
    return `${this.name}${isDigest(reference) ? '@' : ':'}${reference}`;
  }

  #purpose(actions: 'pull' | 'pull,push'): { readonly path: string; readonly scopes: readonly string[] } {
    return { path: this.path, scopes: [`repository:${this.path}:${actions}`] };
  }

  async *#pages(first: string, what: string): AsyncGenerator<unknown> {
    const { origin, signal, host } = this.session;
    let url: URL | undefined = new URL(first, origin);
    for (let pages = 0; url !== undefined; pages++) {
      if (pages >= MAX_REGISTRY_PAGES) throw this.#endless(what, `${pages} pages`);
      const request = { method: 'GET', url, purpose: this.#purpose('pull'), expected: [200], what } as const;
      const response: WireResponse = await this.session.request(request);
      const bytes = await readBody(response, { what: `the ${what}`, signal });
      yield jsonOf(bytes, `the ${what} of ${host}`);
      url = nextPage(response, origin);
    }
  }

  #endless(what: string, most: string): StoreError {
    const data = { host: this.session.host };
    return new StoreError('REGISTRY_INVALID', `cannot read the ${what}: expected at most ${most}, found more`, {
      data,
    });
  }

  /** Returns the index at the fallback tag of referrers; an empty object if absent. */
  async #fallback(subject: Digest): Promise<unknown> {
    try {
      const { bytes } = await this.manifest(fallbackTag(subject));
      return jsonOf(bytes, `the list of referrers of ${this.#named(subject)}`);
    } catch (error) {
      if (error instanceof StoreError && error.code === 'REGISTRY_NOT_FOUND') return {};
      throw error;
    }
  }

  /** Adds to the index that stands for the list of referrers (OCI Distribution, pushing manifests with subject). */
  async #addToFallback(subject: Digest, referrer: RegistryReferrer): Promise<void> {
    const known = referrersIn(await this.#fallback(subject));
    if (known.some(({ digest }) => digest === referrer.digest)) return;
    const mediaType = 'application/vnd.oci.image.index.v1+json';
    const index = { schemaVersion: 2, mediaType, manifests: [...known, referrer].map(documentOf) };
    const bytes = Buffer.from(JSON.stringify(index));
    const descriptor = { digest: digestOf(bytes), size: bytes.length, mediaType };
    await this.putManifest(fallbackTag(subject), { descriptor, bytes });
  }
}

function fallbackTag(subject: Digest): string {
  return `sha256-${digestHex(subject)}`;
}

function jsonOf(bytes: Uint8Array, what: string): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch (cause) {
    throw new StoreError('REGISTRY_INVALID', `cannot read ${what}: expected JSON`, { cause });
  }
}

/** The next page of a list (RFC 8288), which is on the registry itself. */
function nextPage({ headers, url }: WireResponse, origin: string): URL | undefined {
  const link = /<([^>]+)>\s*;[^,]*rel="?next"?/i.exec(String(headers['link'] ?? ''))?.[1];
  if (link === undefined || !URL.canParse(link, url.href)) return undefined;
  const next = new URL(link, url);
  // A link behind a proxy may name another scheme or host: its path is what counts.
  return new URL(`${next.pathname}${next.search}`, origin);
}

function referrersIn(page: unknown): RegistryReferrer[] {
  const { manifests } = recordOf(page);
  if (!Array.isArray(manifests)) return [];
  return manifests.map(recordOf).flatMap((entry) => {
    const { digest, size, mediaType } = entry;
    if (typeof digest !== 'string' || !isDigest(digest)) return [];
    if (typeof size !== 'number' || typeof mediaType !== 'string') return [];
    return [{ digest, size, mediaType, ...typesOf(entry) }];
  });
}

/** The type and annotations of a manifest, or of an entry about one. */
function typesOf(document: Readonly<Record<string, unknown>>): Pick<RegistryReferrer, 'artifactType' | 'annotations'> {
  const { artifactType, config, annotations } = document;
  const { mediaType = '' } = recordOf(config);
  const texts = Object.entries(recordOf(annotations)).flatMap(([key, value]) =>
    typeof value === 'string' ? [[key, value] as const] : [],
  );
  const type = typeof artifactType === 'string' && artifactType !== '' ? artifactType : mediaType;
  return { artifactType: typeof type === 'string' ? type : '', annotations: Object.fromEntries(texts) };
}

function documentOf({ mediaType, digest, size, artifactType, annotations }: RegistryReferrer): object {
  return {
    mediaType,
    digest,
    size,
    ...(artifactType === '' ? {} : { artifactType }),
    ...(Object.keys(annotations).length === 0 ? {} : { annotations }),
  };
}

/** Every type that a registry may give, for the `Accept` header. */
const MANIFEST_TYPES = [
  OCI_INDEX,
  OCI_MANIFEST,
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.docker.distribution.manifest.v2+json',
  'application/vnd.oci.artifact.manifest.v1+json',
  'application/vnd.cncf.oras.artifact.manifest.v1+json',
].join(', ');

/**
 * Returns the media type of a manifest or index: by the header, else by its own field, else by what
 * it holds. `what` names it in messages.
 * @throws {StoreError} REGISTRY_INVALID for anything else, as an HTML page or schema 1 of Docker
 */
function checkManifest(bytes: Uint8Array, header: string | undefined, what: string): string {
  const type = bareType(header ?? '');
  const document = jsonObjectOf(bytes);
  if (document === undefined)
    throw invalid(what, type.includes('html') ? 'an HTML page' : 'something other than a JSON object');
  if ('fsLayers' in document || document['schemaVersion'] === 1) {
    throw invalid(what, 'schema 1 of Docker, which was replaced in 2016: push the image again');
  }
  const own = document['mediaType'];
  const known = [header ?? '', typeof own === 'string' ? own : ''].find(
    (each) => isIndexType(each) || isManifestType(each),
  );
  if (known !== undefined) return bareType(known);
  if (Array.isArray(document['manifests'])) return OCI_INDEX;
  if (typeof document['config'] === 'object') return OCI_MANIFEST;
  throw invalid(what, `the media type ${JSON.stringify(type.slice(0, 100))}`);
}

function jsonObjectOf(bytes: Uint8Array): Readonly<Record<string, unknown>> | undefined {
  try {
    const value: unknown = JSON.parse(Buffer.from(bytes).toString('utf8'));
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? recordOf(value) : undefined;
  } catch {
    // Told by the caller: what was found is not JSON.
    return undefined;
  }
}

function invalid(what: string, found: string): StoreError {
  return new StoreError('REGISTRY_INVALID', `cannot read the ${what}: expected a manifest or index, found ${found}`);
}

/** A name in a registry, taken apart. */
export interface RegistryName {
  /** With the port if any. */
  readonly host: string;
  /** Of the repository on that host. */
  readonly path: string;
  /** The digest, else the tag, else `latest`. */
  readonly reference: string;
  /** The whole name, as the store has it. */
  readonly canonical: string;
}

/**
 * Parses a name as docker does: without a host it is on docker.io, without a tag it is `latest`.
 * @throws {StoreError} REFERENCE_INVALID
 */
export function parseRegistryName(text: string): RegistryName {
  const canonical = canonicalReference(text);
  const { domain, path, tag, digest } = parseReference(canonical);
  return { host: domain, path, reference: digest ?? tag ?? '', canonical };
}

/** The repository of a name, with its host. */
export function repositoryOf({ host, path }: Pick<RegistryName, 'host' | 'path'>): string {
  return formatReference({ domain: host, path });
}
