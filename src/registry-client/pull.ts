import { blobName } from '../archive/archive-tree.js';
import { encodeDocument, fromDescriptor, indexCodec } from '../archive/documents.js';
import { CONTAINERD_NAME } from '../archive/names.js';
import { indexOf } from '../archive/saved-documents.js';
import { formatTarHeader, TAR_BLOCK_BYTES, tarPadding } from '../archive/tar-header.js';
import type { Descriptor, Digest } from '../model/digest.js';
import { parsePlatform } from '../model/platform.js';
import type { EventStore } from '../store/event-store.js';
import type { LoadOptions, LoadResult } from '../store/store.js';
import { blobsOf, type ContentTree, documentsOf, TreeReader } from './content-tree.js';
import { RegistryClient } from './registry-client.js';
import { parseRegistryName } from './registry-name.js';
import { type RegistryOptions, RegistrySession } from './registry-session.js';
import { BlobsAhead } from './waiting-blob.js';

/** Which manifests to pull. */
interface ManifestOptions {
  /** Only these platforms of an index; default all. Give them to `into` too. */
  readonly platform?: readonly string[] | undefined;
  /** Pull signatures and other artifacts about it too. */
  readonly referrers?: boolean | undefined;
}

/** Options of `load` for what is pulled. */
type PullOptions = Omit<LoadOptions, 'repository' | 'allPlatforms'>;

/** The outcome of a pull. */
export interface PullResult extends LoadResult {
  /** Canonical name. */
  readonly reference: string;
  /** Of the manifest or index that the registry gave. */
  readonly digest: Digest;
}

/** What a registry has of an image, as an archive, with notices for its reader. */
export interface PulledContent {
  /** Canonical name. */
  readonly reference: string;
  readonly digest: Digest;
  /** Bytes of the archive. */
  readonly size: number;
  readonly chunks: AsyncIterable<Uint8Array>;
  /** Entries of indexes that were not wanted: what each is, by digest. */
  readonly leftOut: Readonly<Record<string, string>>;
  readonly notices: readonly string[];
}

/** Loads what was pulled, in one transaction. @throws {StoreError} as `store.load`, and what the chunks throw */
export async function loadPulled(
  store: Pick<EventStore, 'load'>,
  { reference, digest, size, chunks, leftOut, notices }: PulledContent,
  options: PullOptions = {},
): Promise<PullResult> {
  const { onProgress } = options;
  const watched = onProgress && ((bytes: number) => onProgress(bytes, size));
  const result = await store.load(chunks, { via: 'pull', ...options, onProgress: watched });
  // What was left out on purpose is missing from what was loaded, which says so entry by entry.
  const others = result.notices.filter((notice) => !Object.hasOwn(leftOut, SKIPPED.exec(notice)?.[1] ?? ''));
  const left = [...new Set(Object.values(leftOut))];
  const own = left.length === 0 ? notices : [...notices, `not pulled: ${left.join(', ')}`];
  return { reference, digest, ...result, notices: [...new Set([...own, ...others])] };
}

/** An image of a registry whose manifests are here, and whose blobs are not yet. */
export class Pull {
  /** Of the manifest or index that the registry gave. */
  readonly digest: Digest;
  readonly #canonical: string;
  readonly #client: RegistryClient;
  readonly #root: ContentTree;
  readonly #referrers: readonly ContentTree[];
  /** Entries of indexes for other platforms, by digest. */
  readonly #leftOut: ReadonlyMap<string, string>;
  readonly #notices: readonly string[];

  private constructor(parts: PullParts) {
    this.digest = parts.root.descriptor.digest;
    this.#canonical = parts.canonical;
    this.#client = parts.client;
    this.#root = parts.root;
    this.#referrers = parts.referrers;
    this.#leftOut = parts.leftOut;
    this.#notices = parts.notices;
  }

  /**
   * Reads the manifests of what a name stands for. Close it in any case.
   * @throws {StoreError} REFERENCE_INVALID, PLATFORM_NOT_FOUND, PLATFORM_INVALID; REGISTRY_*,
   *   BLOB_MISMATCH, ARCHIVE_MANIFEST_INVALID, ARCHIVE_LIMIT_EXCEEDED, ABORTED
   */
  static async begin(name: string, options: ManifestOptions & RegistryOptions = {}): Promise<Pull> {
    const { host, path, reference, canonical } = parseRegistryName(name);
    const platforms = (options.platform ?? []).map(parsePlatform);
    const notices: string[] = [];
    const session = new RegistrySession(host, options);
    try {
      const client = new RegistryClient(session, path);
      const reader = new TreeReader(client, { platforms, onNotice: (notice) => void notices.push(notice) });
      const root = await reader.read(reference);
      const referrers = options.referrers === true ? await reader.referrers([root]) : [];
      return new Pull({ canonical, client, root, referrers, leftOut: reader.leftOut, notices });
    } catch (error) {
      session.close();
      throw error;
    }
  }

  /**
   * Downloads the blobs, in parallel, and loads all in one transaction. A blob whose connection
   * breaks is continued. What waits for its turn lies in the directory of the store.
   * @throws {StoreError} REGISTRY_*, BLOB_MISMATCH; as `store.load`
   */
  async into(store: Pick<EventStore, 'directory' | 'load'>, options: PullOptions = {}): Promise<PullResult> {
    return loadPulled(store, this.content(store.directory), options);
  }

  /** Returns all that is to be loaded; the blobs that wait for their turn lie in `directory`. To be read once. */
  content(directory: string): PulledContent {
    return {
      reference: this.#canonical,
      digest: this.digest,
      leftOut: Object.fromEntries(this.#leftOut),
      notices: this.#notices,
      ...this.#layout(directory),
    };
  }

  /** Closes its connections. */
  close(): void {
    this.#client.session.close();
  }

  #layout(directory: string): ReturnType<typeof layoutTar> {
    const blobs = layoutBlobs([this.#root, ...this.#referrers]);
    const download = ({ digest, size }: Descriptor): AsyncIterable<Uint8Array> => this.#client.blob(digest, { size });
    const ahead = new BlobsAhead(blobs, download, directory);
    const { size, chunks } = layoutTar({
      name: this.#canonical,
      root: this.#root,
      referrers: this.#referrers,
      open: (blob) => ahead.read(blob),
    });
    return { size, chunks: this.#closing(chunks, ahead) };
  }

  async *#closing(chunks: AsyncIterable<Uint8Array>, ahead: BlobsAhead): AsyncGenerator<Uint8Array> {
    try {
      yield* chunks;
    } finally {
      // Whether it ended or broke off, no download continues.
      this.close();
      await ahead.close();
    }
  }
}

/** A notice of a load about an entry of an index. */
const SKIPPED = /^skipped (sha256:[0-9a-f]{64})\b/;

interface PullParts {
  readonly canonical: string;
  readonly client: RegistryClient;
  readonly root: ContentTree;
  readonly referrers: readonly ContentTree[];
  readonly leftOut: ReadonlyMap<string, string>;
  readonly notices: readonly string[];
}

const LAYOUT = '{"imageLayoutVersion":"1.0.0"}';

interface LayoutOptions {
  /** The name of the root, canonical. */
  readonly name: string;
  readonly root: ContentTree;
  readonly referrers: readonly ContentTree[];
  /** Streams a blob; called once for each, in order. Its bytes are as many as its size says. */
  readonly open: (blob: Descriptor) => AsyncIterable<Uint8Array>;
}

/** Returns an OCI image layout of content that is elsewhere, as a tar. */
function layoutTar(options: LayoutOptions): {
  readonly size: number;
  readonly chunks: AsyncIterable<Uint8Array>;
} {
  const trees = [options.root, ...options.referrers];
  const files = [
    { name: 'oci-layout', bytes: Buffer.from(LAYOUT) },
    { name: 'index.json', bytes: indexJson(options) },
    ...documentsOf(trees).map(({ descriptor, bytes }) => ({ name: blobName(descriptor.digest), bytes })),
  ];
  const blobs = layoutBlobs(trees);
  const sizes = [...files.map(({ bytes }) => bytes.length), ...blobs.map((blob) => blob.size)];
  const size = sizes.reduce((sum, each) => sum + TAR_BLOCK_BYTES + each + tarPadding(each).length, 2 * TAR_BLOCK_BYTES);
  return { size, chunks: packed(files, blobs, options) };
}

/** Returns the blobs of a layout in the order in which it opens them. */
function layoutBlobs(trees: readonly ContentTree[]): readonly Descriptor[] {
  const documents = new Set(documentsOf(trees).map(({ descriptor }) => descriptor.digest));
  return blobsOf(trees).filter(({ digest }) => !documents.has(digest));
}

function indexJson({ name, root, referrers }: LayoutOptions): Uint8Array {
  const named = fromDescriptor(root.descriptor, { annotations: { [CONTAINERD_NAME]: name } });
  const others = referrers.map(({ descriptor }) => fromDescriptor(descriptor));
  return encodeDocument(indexOf([named, ...others]), indexCodec);
}

async function* packed(
  files: readonly { readonly name: string; readonly bytes: Uint8Array }[],
  blobs: readonly Descriptor[],
  { open }: LayoutOptions,
): AsyncGenerator<Uint8Array> {
  for (const { name, bytes } of files) {
    const header = formatTarHeader({ type: 'file', name, size: bytes.length });
    yield Buffer.concat([header, bytes, tarPadding(bytes.length)]);
  }
  for (const blob of blobs) {
    yield formatTarHeader({ type: 'file', name: blobName(blob.digest), size: blob.size });
    yield* open(blob);
    yield tarPadding(blob.size);
  }
  yield new Uint8Array(2 * TAR_BLOCK_BYTES);
}
