import type { FileHandle } from 'node:fs/promises';
import { MAX_PARALLEL_BLOBS, MAX_WAITING_BLOB_BYTES } from '../limits.js';
import type { Descriptor, Digest } from '../model/digest.js';
import { inSystem, unnamedFile } from '../store/files/files.js';
import { writeWhole } from '../store/files/write-durably.js';
import { blobName } from '../archive/archive-tree.js';
import { encodeDocument, fromDescriptor, indexCodec } from '../archive/documents.js';
import { CONTAINERD_NAME } from '../archive/names.js';
import { indexOf } from '../archive/saved-documents.js';
import { formatTarHeader, TAR_BLOCK_BYTES, tarPadding } from '../archive/tar-header.js';
import { parsePlatform } from '../model/platform.js';
import type { EventStore } from '../store/event-store.js';
import type { LoadOptions, LoadResult } from '../store/store.js';
import { blobsOf, type ContentTree, documentsOf, TreeReader } from './content-tree.js';
import { parseRegistryName, RegistryClient } from './registry-client.js';
import { type RegistryOptions, RegistrySession } from './registry-session.js';

const READ_BYTES = 1024 * 1024;

/** A blob that arrives before its turn to be read: a small one in memory, another in a file. */
class WaitingBlob {
  readonly #directory: string;
  readonly #chunks: Uint8Array[] = [];
  readonly #filled: Promise<void>;
  #file: FileHandle | undefined;
  #size = 0;
  #isDone = false;
  #failure: { readonly error: unknown } | undefined;
  #wake: () => void = () => undefined;

  constructor(blob: Descriptor, chunks: AsyncIterable<Uint8Array>, directory: string) {
    this.#directory = directory;
    this.#filled = this.#fill(blob, chunks)
      .catch((error: unknown) => {
        this.#failure = { error };
      })
      .finally(() => {
        this.#isDone = true;
        this.#wake();
      });
  }

  /** Streams the blob as it arrives. */
  async *read(): AsyncGenerator<Uint8Array> {
    for (let at = 0, index = 0; ; ) {
      if (this.#file !== undefined && at < this.#size) {
        const { bytesRead, buffer } = await this.#file.read(new Uint8Array(READ_BYTES), 0, READ_BYTES, at);
        at += bytesRead;
        yield buffer.subarray(0, bytesRead);
      } else if (this.#file === undefined && index < this.#chunks.length) {
        yield this.#chunks[index++] as Uint8Array;
      } else if (this.#failure !== undefined) {
        throw this.#failure.error;
      } else if (this.#isDone && (this.#file === undefined ? index === this.#chunks.length : at === this.#size)) {
        return;
      } else {
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
          if (this.#isDone) resolve();
        });
      }
    }
  }

  /** Waits until nothing more arrives, and removes the file. */
  async close(): Promise<void> {
    await this.#filled;
    await this.#file?.close();
    this.#file = undefined;
  }

  async #fill({ size }: Descriptor, chunks: AsyncIterable<Uint8Array>): Promise<void> {
    if (size > MAX_WAITING_BLOB_BYTES) {
      this.#file = await inSystem('keep a layer until its turn', () => unnamedFile(this.#directory));
    }
    for await (const chunk of chunks) {
      const file = this.#file;
      if (file === undefined) this.#chunks.push(chunk);
      else await inSystem('keep a layer until its turn', () => writeWhole(file, chunk));
      this.#size += chunk.length;
      this.#wake();
    }
  }
}

/** Downloads blobs that are read in order, some of them before their turn. */
export class BlobsAhead {
  readonly #waiting: Descriptor[];
  readonly #started = new Map<Descriptor, WaitingBlob>();
  readonly #download: (blob: Descriptor) => AsyncIterable<Uint8Array>;
  readonly #directory: string;

  /** `blobs` in the order in which they are read; files lie in `directory`. */
  constructor(
    blobs: readonly Descriptor[],
    download: (blob: Descriptor) => AsyncIterable<Uint8Array>,
    directory: string,
  ) {
    this.#waiting = [...blobs];
    this.#download = download;
    this.#directory = directory;
  }

  /** Streams the next blob, which must be `blob`. */
  async *read(blob: Descriptor): AsyncGenerator<Uint8Array> {
    const known = this.#started.get(blob);
    if (known === undefined) this.#waiting.shift();
    this.#startAhead();
    if (known === undefined) {
      // It is its turn already: its bytes need no file.
      yield* this.#download(blob);
      return;
    }
    yield* known.read();
    this.#started.delete(blob);
    await known.close();
  }

  /** Ends all downloads, once their connections were closed. */
  async close(): Promise<void> {
    await Promise.all([...this.#started.values()].map((blob) => blob.close()));
  }

  #startAhead(): void {
    while (this.#started.size < MAX_PARALLEL_BLOBS - 1) {
      const next = this.#waiting.shift();
      if (next === undefined) return;
      this.#started.set(next, new WaitingBlob(next, this.#download(next), this.#directory));
    }
  }
}

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
