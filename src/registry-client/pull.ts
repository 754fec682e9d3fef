import type { Descriptor, Digest } from '../model/digest.js';
import { parsePlatform } from '../model/platform.js';
import type { EventStore } from '../store/event-store.js';
import type { LoadOptions, LoadResult } from '../store/store.js';
import { type ContentTree, TreeReader } from './content-tree.js';
import { layoutBlobs, layoutTar } from './layout-tar.js';
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
    const { onProgress } = options;
    const { size, chunks } = this.#layout(store.directory);
    const watched = onProgress && ((bytes: number) => onProgress(bytes, size));
    const result = await store.load(chunks, { via: 'pull', ...options, onProgress: watched });
    // What was left out on purpose is missing from what was loaded, which says so entry by entry.
    const others = result.notices.filter((notice) => !this.#leftOut.has(SKIPPED.exec(notice)?.[1] ?? ''));
    const left = [...new Set(this.#leftOut.values())];
    const own = left.length === 0 ? this.#notices : [...this.#notices, `not pulled: ${left.join(', ')}`];
    return { reference: this.#canonical, digest: this.digest, ...result, notices: [...new Set([...own, ...others])] };
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
