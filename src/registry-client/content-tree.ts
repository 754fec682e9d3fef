import {
  type DescriptorDocument,
  indexCodec,
  isForeignType,
  isIndexType,
  isManifestType,
  manifestCodec,
  parseDocument,
  toDescriptor,
} from '../archive/documents.js';
import { StoreError } from '../errors.js';
import {
  MAX_ARCHIVE_DESCRIPTORS,
  MAX_ARCHIVE_DOCUMENT_BYTES,
  MAX_IMAGES_PER_ARCHIVE,
  MAX_INDEX_DEPTH,
} from '../limits.js';
import type { Descriptor, Digest } from '../model/digest.js';
import { formatPlatform, isWanted, type Platform } from '../model/platform.js';
import { inParallel } from './parallel.js';
import type { RegistryClient, RegistryManifest } from './registry-client.js';

/** A manifest or index with all that it leads to. */
export interface ContentTree extends RegistryManifest {
  /** Config and layers of a manifest; of an index, what it names besides manifests. */
  readonly blobs: readonly Descriptor[];
  /** Of an index: manifests and indexes in it that are there and wanted, in order. */
  readonly parts: readonly ContentTree[];
}

interface TreeOptions {
  /** Only these platforms of an index; all if empty. */
  readonly platforms: readonly Platform[];
  readonly onNotice: (text: string) => void;
}

/** Annotation of BuildKit: the manifest that an attestation is about. */
const ATTESTED = 'vnd.docker.reference.digest';

/** Reads trees of a repository, each document once. */
export class TreeReader {
  readonly #client: RegistryClient;
  readonly #options: TreeOptions;
  readonly #trees = new Map<Digest, Promise<ContentTree | undefined>>();
  readonly #leftOut = new Map<string, string>();
  #bytes = 0;
  #descriptors = 0;

  constructor(client: RegistryClient, options: TreeOptions) {
    this.#client = client;
    this.#options = options;
  }

  /**
   * Reads what a tag or digest stands for.
   * @throws {StoreError} PLATFORM_NOT_FOUND for a platform that its index lacks;
   *   ARCHIVE_MANIFEST_INVALID, ARCHIVE_LIMIT_EXCEEDED, BLOB_MISMATCH; as the client's methods
   */
  async read(reference: string): Promise<ContentTree> {
    const root = await this.#client.manifest(reference);
    const tree = this.#tree(root, 0, true);
    this.#trees.set(root.descriptor.digest, tree);
    return tree;
  }

  /** Entries of indexes that are for other platforms, by digest, each as a person knows it. */
  get leftOut(): ReadonlyMap<string, string> {
    return this.#leftOut;
  }

  /** Reads what is about `trees` or parts of them, and what is about that. */
  async referrers(trees: readonly ContentTree[]): Promise<readonly ContentTree[]> {
    const found: ContentTree[] = [];
    // A set is walked as it grows.
    const subjects = new Map(trees.map((tree) => [tree.descriptor.digest, tree]));
    for (const [digest, { parts }] of subjects) {
      for (const part of parts) subjects.set(part.descriptor.digest, part);
      for (const referrer of await this.#client.referrers(digest)) {
        if (subjects.has(referrer.digest)) continue;
        this.#count(1, `the referrers of ${digest}`);
        const tree = await this.#child(referrer, 0);
        if (tree === undefined) continue;
        found.push(tree);
        subjects.set(referrer.digest, tree);
      }
    }
    return found;
  }

  async #tree(manifest: RegistryManifest, depth: number, isRoot = false): Promise<ContentTree> {
    const { descriptor, bytes } = manifest;
    this.#bytes += bytes.length;
    if (this.#bytes > MAX_ARCHIVE_DOCUMENT_BYTES) {
      throw this.#exceeded('the manifests', `at most ${MAX_ARCHIVE_DOCUMENT_BYTES} bytes together`);
    }
    if (!isIndexType(descriptor.mediaType)) return { ...manifest, blobs: await this.#blobs(manifest), parts: [] };
    const where = `index ${descriptor.digest}`;
    if (depth >= MAX_INDEX_DEPTH) throw this.#exceeded(where, `at most ${MAX_INDEX_DEPTH} nested indexes`);
    const entries = parseDocument(bytes, indexCodec, where).manifests ?? [];
    if (entries.length > MAX_IMAGES_PER_ARCHIVE) {
      throw this.#exceeded(where, `at most ${MAX_IMAGES_PER_ARCHIVE} manifests`);
    }
    this.#count(entries.length, where);
    const wanted = this.#wanted(entries, isRoot);
    const described = wanted.map((entry, at) => toDescriptor(entry, `${where}: manifests[${at}]`));
    const isDocument = ({ mediaType }: Descriptor): boolean => isIndexType(mediaType) || isManifestType(mediaType);
    const children = described.filter(isDocument);
    const trees = new Map<Digest, ContentTree | undefined>();
    const read = async (child: Descriptor): Promise<void> => {
      trees.set(child.digest, await this.#child(child, depth + 1));
    };
    await inParallel(children, read, () => this.#client.session.close());
    const parts = children.flatMap(({ digest }) => trees.get(digest) ?? []);
    return { ...manifest, blobs: described.filter((each) => !isDocument(each)), parts };
  }

  /** Undefined, with a notice, for what an index names and the registry lacks. */
  #child(child: Descriptor, depth: number): Promise<ContentTree | undefined> {
    const known = this.#trees.get(child.digest);
    if (known !== undefined) return known;
    const read = async (): Promise<ContentTree | undefined> => {
      try {
        const manifest = await this.#client.manifest(child.digest);
        return await this.#tree(manifest, depth);
      } catch (error) {
        if (!(error instanceof StoreError && error.code === 'REGISTRY_NOT_FOUND')) throw error;
        this.#options.onNotice(`skipped ${child.digest}: an index names it and ${this.#client.name} lacks it`);
        return undefined;
      }
    };
    const tree = read();
    this.#trees.set(child.digest, tree);
    return tree;
  }

  /** The entries of the wanted platforms, with their attestations; all where none is named. */
  #wanted(entries: readonly DescriptorDocument[], isRoot: boolean): readonly DescriptorDocument[] {
    const { platforms } = this.#options;
    if (platforms.length === 0) return entries;
    const found = entries.flatMap(({ platform }) =>
      platform === undefined || platform.os === 'unknown' ? [] : [{ ...platform, osFeatures: undefined }],
    );
    for (const platform of platforms) {
      if (!isRoot || found.length === 0 || found.some((each) => isWanted([platform], each))) continue;
      const wanted = formatPlatform(platform);
      const shown = found.map(formatPlatform);
      throw new StoreError(
        'PLATFORM_NOT_FOUND',
        `${this.#client.name} has no image for ${wanted}: found ${shown.join(', ')}`,
        {
          data: { wanted, found: shown },
        },
      );
    }
    const isChosen = ({ platform }: DescriptorDocument): boolean =>
      platform === undefined || isWanted(platforms, { ...platform, osFeatures: undefined });
    const chosen = new Set(
      entries.filter((entry) => !isAttestation(entry) && isChosen(entry)).map(({ digest }) => digest),
    );
    const isKept = (entry: DescriptorDocument): boolean => chosen.has(entry.annotations?.[ATTESTED] ?? entry.digest);
    for (const entry of entries) {
      const { digest, platform } = entry;
      if (isKept(entry)) continue;
      const shown =
        isAttestation(entry) || platform === undefined
          ? 'attestations'
          : formatPlatform({ ...platform, osFeatures: undefined });
      this.#leftOut.set(digest, shown);
    }
    return entries.filter(isKept);
  }

  async #blobs({ descriptor, bytes }: RegistryManifest): Promise<readonly Descriptor[]> {
    const where = `manifest ${descriptor.digest}`;
    const { config, layers, blobs } = parseDocument(bytes, manifestCodec, where);
    // A manifest of ORAS has no config.
    const named = [...(config.digest === '' ? [] : [config]), ...(layers ?? []), ...(blobs ?? [])];
    this.#count(named.length, where);
    const found: Descriptor[] = [];
    for (const [at, document] of named.entries()) {
      const blob = toDescriptor(document, `${where}: blob ${at}`);
      const isForeign = isForeignType(blob.mediaType);
      if (!isForeign || (await this.#client.hasBlob(blob.digest))) found.push(blob);
      else this.#options.onNotice(`skipped the foreign layer ${blob.digest}: ${this.#client.name} lacks it`);
    }
    return found;
  }

  #count(descriptors: number, where: string): void {
    this.#descriptors += descriptors;
    if (this.#descriptors <= MAX_ARCHIVE_DESCRIPTORS) return;
    throw this.#exceeded(where, `at most ${MAX_ARCHIVE_DESCRIPTORS} descriptors in all`);
  }

  #exceeded(where: string, expected: string): StoreError {
    const message = `cannot read ${where} of ${this.#client.name}: expected ${expected}, found more`;
    return new StoreError('ARCHIVE_LIMIT_EXCEEDED', message, { data: { host: this.#client.session.host } });
  }
}

function isAttestation({ annotations }: DescriptorDocument): boolean {
  return annotations?.[ATTESTED] !== undefined;
}

/** Returns the documents of `trees`, each once, parts before what names them. */
export function documentsOf(trees: readonly ContentTree[]): readonly ContentTree[] {
  const found = new Map<Digest, ContentTree>();
  const seen = new Set<Digest>();
  const visit = (tree: ContentTree): void => {
    if (seen.has(tree.descriptor.digest)) return;
    seen.add(tree.descriptor.digest);
    for (const part of tree.parts) visit(part);
    found.set(tree.descriptor.digest, tree);
  };
  for (const tree of trees) visit(tree);
  return [...found.values()];
}

/** Returns the blobs of `trees`, each once. */
export function blobsOf(trees: readonly ContentTree[]): readonly Descriptor[] {
  const blobs = documentsOf(trees).flatMap((tree) => tree.blobs);
  return [...new Map(blobs.map((blob) => [blob.digest, blob])).values()];
}
