import { isStoreError, StoreError } from '../errors.js';
import {
  MAX_ARCHIVE_DESCRIPTORS,
  MAX_ARCHIVE_JSON_BYTES,
  MAX_IMAGES_PER_ARCHIVE,
  MAX_INDEX_DEPTH,
  MAX_MANIFEST_DATA_BYTES,
} from '../limits.js';
import type { ContentName, Descriptor, Digest } from '../model/digest.js';
import type { Codec } from '../model/go-json/codecs.js';
import { formatPlatform } from '../model/platform.js';
import { ArchiveFile, type Staging } from './archive-files.js';
import { type ArchiveLimits, findBlob, type NamedFiles } from './archive-tree.js';
import {
  bareType,
  type DescriptorDocument,
  type DocumentBudget,
  indexCodec,
  isConfigType,
  isForeignType,
  isIndexType,
  isLayerType,
  isManifestType,
  layoutCodec,
  type ManifestDocument,
  manifestCodec,
  OCI_CONFIG,
  type PlatformDocument,
  toDescriptor,
} from './documents.js';
import type { ArchiveConfig, ImageBuilder } from './image-builder.js';

/** A blob that a document names; `file` is undefined where the archive lacks it. */
export interface NamedBlob {
  readonly descriptor: Descriptor;
  readonly file: ArchiveFile | undefined;
}

/** Common to all documents of the graph. */
interface Document {
  readonly descriptor: Descriptor;
  readonly bytes: Uint8Array;
}

/** A manifest whose image config is in the archive. */
export interface ManifestNode extends Document {
  readonly kind: 'manifest';
  readonly config: ArchiveConfig;
  readonly layers: readonly Descriptor[];
}

/** A manifest that is no image: a signature, an attestation, a chart. */
export interface ArtifactNode extends Document {
  readonly kind: 'artifact';
  readonly artifactType: string;
  readonly subject: Descriptor | undefined;
  /** Its config and layers, in order. */
  readonly blobs: readonly NamedBlob[];
}

/** An index of manifests and nested indexes. */
export interface IndexNode extends Document {
  readonly kind: 'index';
  readonly artifactType: string;
  readonly subject: Descriptor | undefined;
  /** Manifests and indexes it names, whether or not the archive has them. */
  readonly contains: readonly Descriptor[];
  /** What it names and is neither: a build cache lists its layers so. */
  readonly blobs: readonly NamedBlob[];
  /** Those of `contains` that the archive has. */
  readonly children: readonly OciChild[];
  /** Nesting depth of indexes, including this one. */
  readonly height: number;
  /** Descriptors in this index and below, counted each time they are reached. */
  readonly reach: number;
}

/** A document that index.json leads to. */
export type OciNode = ManifestNode | ArtifactNode | IndexNode;

/** An index entry: its target and the descriptor's own platform and annotations. */
export interface OciChild {
  readonly node: OciNode;
  readonly platform: PlatformDocument | undefined;
  readonly annotations: ReadonlyMap<string, string>;
}

/** The entries of index.json, and its own annotations. */
export interface OciRoot {
  readonly children: readonly OciChild[];
  readonly annotations: Readonly<Record<string, string>>;
}

interface OciGraphOptions {
  readonly staging: Staging;
  readonly documents: DocumentBudget;
  readonly limits: ArchiveLimits;
  /** Whether manifests named by index.json (`top`) or by an index (`platforms`) must be present. */
  readonly complete: { readonly top: boolean; readonly platforms: boolean };
  /** Receives a sentence for each skipped item. */
  readonly notice: (text: string) => void;
  /** Whether a manifest is kept as it came though it looks like that of an image. */
  readonly isArtifact?: ((digest: Digest) => boolean) | undefined;
  /** Returns the SHA-256 digest of what a document names by another one. */
  readonly digestOf?: ((name: ContentName) => Digest | undefined) | undefined;
}

/** Cost of a descriptor whose blob was already read. */
const STEPS_PER_DESCRIPTOR = 5;
const LAYOUT_VERSION = '1.0.0';
/** Annotation of BuildKit that marks an attestation. */
const ATTESTATION = 'vnd.docker.reference.type';

/** Reads the indexes and manifests of an OCI image layout; each blob once, however often named. */
export class OciGraph {
  readonly #tree: NamedFiles;
  readonly #builder: ImageBuilder;
  readonly #options: OciGraphOptions;
  readonly #nodes = new Map<Digest, OciNode | undefined>();
  readonly #reached = new Set<string>();
  #descriptors = 0;

  constructor(tree: NamedFiles, builder: ImageBuilder, options: OciGraphOptions) {
    this.#tree = tree;
    this.#builder = builder;
    this.#options = options;
  }

  /**
   * Returns the entries of index.json in order, skipping those that the archive lacks.
   * @throws {StoreError} ARCHIVE_INVALID, ARCHIVE_MANIFEST_INVALID, ARCHIVE_FILE_MISSING,
   *   BLOB_MISMATCH, ARCHIVE_LIMIT_EXCEEDED, CONFIG_INVALID, CONFIG_TOO_LARGE
   */
  async read(): Promise<OciRoot> {
    await this.#checkLayout();
    const index = await this.#parse(await this.#readNamed('index.json'), indexCodec, 'index.json');
    const { children, blobs } = await this.#entries(index.manifests ?? [], 'index.json', 0);
    for (const { descriptor } of blobs) {
      const found = JSON.stringify(descriptor.mediaType.slice(0, 100));
      this.#options.notice(`skipped ${descriptor.digest}: its media type ${found} is neither manifest nor index`);
    }
    return { children, annotations: index.annotations ?? {} };
  }

  /** Every digest that the documents read so far name. */
  get reached(): ReadonlySet<string> {
    return this.#reached;
  }

  async #checkLayout(): Promise<void> {
    const layout = await this.#parse(await this.#readNamed('oci-layout'), layoutCodec, 'oci-layout');
    if (layout.imageLayoutVersion === LAYOUT_VERSION) return;
    const found = JSON.stringify(layout.imageLayoutVersion.slice(0, 40));
    throw new StoreError(
      'ARCHIVE_INVALID',
      `cannot read oci-layout of the archive: expected imageLayoutVersion ${LAYOUT_VERSION}, found ${found}`,
    );
  }

  async #readNamed(name: string): Promise<Uint8Array> {
    const file = this.#tree.file(name);
    if (file !== undefined) return this.#read(file);
    throw new StoreError(
      'ARCHIVE_INVALID',
      `cannot read the archive: expected oci-layout and index.json, found no ${name}`,
    );
  }

  #read(file: ArchiveFile): Promise<Uint8Array> {
    const { documents, limits } = this.#options;
    return documents.read(file, limits.maxJsonBytes ?? MAX_ARCHIVE_JSON_BYTES, 'ARCHIVE_LIMIT_EXCEEDED');
  }

  #parse<T>(bytes: Uint8Array, codec: Codec<T>, where: string): Promise<T> {
    const { documents, limits } = this.#options;
    return documents.parse(bytes, codec, where, { maxValues: limits.maxJsonValues });
  }

  async #entries(
    documents: readonly DescriptorDocument[],
    where: string,
    depth: number,
  ): Promise<Pick<IndexNode, 'contains' | 'children' | 'blobs'>> {
    const limit = this.#options.limits.maxImages ?? MAX_IMAGES_PER_ARCHIVE;
    if (documents.length > limit) throw exceeded(where, `at most ${limit} manifests`, documents.length);
    this.#count(documents.length, where);
    const [contains, children, blobs]: [Descriptor[], OciChild[], NamedBlob[]] = [[], [], []];
    for (const [at, document] of documents.entries()) {
      await this.#options.documents.spend(STEPS_PER_DESCRIPTOR);
      const descriptor = this.#descriptor(document, `${where}: manifests[${at}]`);
      this.#reached.add(descriptor.digest);
      if (!isIndexType(descriptor.mediaType) && !isManifestType(descriptor.mediaType)) {
        blobs.push({ descriptor, file: this.#file(document, descriptor) });
        continue;
      }
      contains.push(descriptor);
      const { platform, annotations } = document;
      const node = await this.#node(document, descriptor, depth);
      if (node !== undefined)
        children.push({ node, platform, annotations: new Map(Object.entries(annotations ?? {})) });
    }
    return { contains, children, blobs };
  }

  async #node(document: DescriptorDocument, descriptor: Descriptor, depth: number): Promise<OciNode | undefined> {
    const { digest, mediaType } = descriptor;
    if (this.#nodes.has(digest)) {
      findBlob(this.#tree, descriptor);
      const known = this.#nodes.get(digest);
      // Whichever entry comes first must not decide what the document is.
      if (known !== undefined && (known.kind === 'index') !== isIndexType(mediaType)) {
        throw otherType(digest, known.kind === 'index' ? 'an index' : 'a manifest', mediaType, 'another descriptor');
      }
      // One that lay in its descriptor (`data`) has no file that the size is compared with.
      if (known !== undefined && known.descriptor.size !== descriptor.size) {
        return this.#missing(digest, document.platform, depth);
      }
      return this.#again(known, depth);
    }
    const blob = this.#file(document, descriptor);
    if (blob === undefined) return this.#missing(digest, document.platform, depth);
    const bytes = await this.#read(blob);
    const node = isIndexType(mediaType)
      ? await this.#index(descriptor, bytes, depth + 1)
      : await this.#manifest(descriptor, bytes, document, depth);
    this.#nodes.set(digest, node);
    return node;
  }

  /** Re-checks limits for a node reached again: graph walks revisit everything below it. */
  #again<Node extends OciNode | undefined>(node: Node, depth: number): Node {
    if (node?.kind === 'index') {
      this.#checkDepth(node.descriptor.digest, depth + node.height);
      this.#count(node.reach, `index ${node.descriptor.digest}`);
    }
    return node;
  }

  async #index(descriptor: Descriptor, bytes: Uint8Array, depth: number): Promise<IndexNode> {
    this.#checkDepth(descriptor.digest, depth);
    const before = this.#descriptors;
    const where = `index ${descriptor.digest}`;
    const { mediaType, manifests, artifactType, subject } = await this.#parse(bytes, indexCodec, where);
    if (isManifestType(mediaType)) throw otherType(where, 'an index', mediaType);
    const entries = await this.#entries(manifests ?? [], where, depth);
    const heights = entries.children.map(({ node }) => (node.kind === 'index' ? node.height : 0));
    return {
      kind: 'index',
      descriptor,
      bytes,
      artifactType,
      subject: subject && this.#descriptor(subject, `${where}: subject`),
      ...entries,
      height: heights.reduce((most, each) => Math.max(most, each), 0) + 1,
      reach: this.#descriptors - before,
    };
  }

  #checkDepth(digest: Digest, depth: number): void {
    const limit = this.#options.limits.maxIndexDepth ?? MAX_INDEX_DEPTH;
    if (depth > limit) throw exceeded(digest, `at most ${limit} nested indexes`, depth);
  }

  #count(descriptors: number, where: string): void {
    this.#descriptors += descriptors;
    const limit = this.#options.limits.maxDescriptors ?? MAX_ARCHIVE_DESCRIPTORS;
    if (this.#descriptors <= limit) return;
    throw exceeded(where, `at most ${limit} descriptors in the indexes of the archive`, this.#descriptors);
  }

  async #manifest(
    descriptor: Descriptor,
    bytes: Uint8Array,
    entry: DescriptorDocument,
    depth: number,
  ): Promise<OciNode | undefined> {
    const where = `manifest ${descriptor.digest}`;
    const document = await this.#parse(bytes, manifestCodec, where);
    if (isIndexType(document.mediaType)) throw otherType(where, 'a manifest', document.mediaType);
    const { config: named, layers: below, blobs } = document;
    for (const { digest } of [named, ...(below ?? []), ...(blobs ?? [])]) this.#reached.add(digest);
    const isArtifact = this.#options.isArtifact?.(descriptor.digest) === true;
    if (isArtifact || !mayBeImage(entry, document)) return this.#artifact(descriptor, bytes, document);
    const file = this.#file(document.config, this.#descriptor(document.config, `${where}: config`));
    if (file === undefined) return this.#missing(document.config.digest, entry.platform, depth);
    const config = await this.#imageConfig(file, document.config.mediaType);
    if (config === undefined) return this.#artifact(descriptor, bytes, document);
    const layers = (document.layers ?? []).map((layer, at) => this.#descriptor(layer, `${where}: layers[${at}]`));
    return { kind: 'manifest', descriptor, bytes, config, layers };
  }

  /** Undefined if its media type says nothing and the JSON is no image config. */
  async #imageConfig(file: ArchiveFile, mediaType: string): Promise<ArchiveConfig | undefined> {
    const isTyped = ![OCTET_STREAM, ''].includes(bareType(mediaType));
    try {
      return await this.#builder.config(file);
    } catch (error) {
      if (isTyped || !isStoreError(error, 'CONFIG_INVALID')) throw error;
      return undefined;
    }
  }

  #artifact(descriptor: Descriptor, bytes: Uint8Array, document: ManifestDocument): ArtifactNode {
    const where = `manifest ${descriptor.digest}`;
    const { config, layers, blobs, subject, artifactType } = document;
    // A manifest of ORAS has no config.
    const parts = [...(config.digest === '' ? [] : [config]), ...(layers ?? []), ...(blobs ?? [])];
    this.#count(parts.length, where);
    const named = parts.map((part, at) => {
      const blob = this.#descriptor(part, `${where}: blob ${at}`);
      return { descriptor: blob, file: this.#file(part, blob) };
    });
    return {
      kind: 'artifact',
      descriptor,
      bytes,
      artifactType: artifactType || typeOf(config.mediaType, layers ?? []),
      subject: subject && this.#descriptor(subject, `${where}: subject`),
      // Foreign layers stay where their `urls` are.
      blobs: named.filter(({ descriptor: { mediaType }, file }) => file !== undefined || !isForeignType(mediaType)),
    };
  }

  #descriptor(document: DescriptorDocument, where: string): Descriptor {
    const digest = this.#options.digestOf?.(document.digest) ?? document.digest;
    return toDescriptor(digest === document.digest ? document : { ...document, digest }, where);
  }

  /** Finds a blob in the archive, or in its descriptor (`data`, OCI image spec, descriptor.md). */
  #file(document: DescriptorDocument, descriptor: Descriptor): ArchiveFile | undefined {
    const found = findBlob(this.#tree, descriptor);
    if (found !== undefined || document.data === '' || descriptor.size > MAX_MANIFEST_DATA_BYTES) return found;
    const bytes = Buffer.from(document.data, 'base64');
    const { staging, limits } = this.#options;
    const file = ArchiveFile.inMemory(`data of ${descriptor.digest}`, bytes, staging, limits.layer);
    return file.digest === descriptor.digest && file.size === descriptor.size ? file : undefined;
  }

  /** Single-platform archives keep the whole index, so its targets may be absent. */
  #missing(digest: string, platform: PlatformDocument | undefined, depth: number): undefined {
    const { complete, notice } = this.#options;
    // An attestation has the platform unknown/unknown.
    const isKnown = platform !== undefined && platform.os !== 'unknown';
    const names = isKnown ? ` for ${formatPlatform({ ...platform, osFeatures: undefined })}` : '';
    if (depth === 0 ? complete.top : complete.platforms) {
      throw new StoreError(
        'ARCHIVE_FILE_MISSING',
        `cannot read the archive: expected ${digest}${names}, found no such blob`,
        { data: { digest } },
      );
    }
    notice(`skipped ${digest}${names}: the archive names it and does not contain it`);
    return undefined;
  }
}

const OCTET_STREAM = 'application/octet-stream';

/**
 * Whether a manifest may be of an image, by its descriptor and media types. Signatures, SBOMs and
 * encrypted images have the config of an image, and layers that are not.
 */
function mayBeImage(
  { platform, annotations }: DescriptorDocument,
  { artifactType, config, layers, subject }: ManifestDocument,
): boolean {
  const isAttestation = platform?.os === 'unknown' && platform.architecture === 'unknown';
  if (isAttestation || (annotations !== null && ATTESTATION in annotations)) return false;
  if (subject !== undefined || (artifactType !== '' && artifactType !== OCI_CONFIG)) return false;
  return isConfigType(config.mediaType) && (layers ?? []).every(({ mediaType }) => isLayerType(mediaType));
}

/**
 * The type of an artifact that does not say it: its config's media type (OCI image spec, manifest.md,
 * guidelines), or its first layer's where the config is that of an image, as cosign and BuildKit do.
 */
function typeOf(configType: string, layers: readonly DescriptorDocument[]): string {
  return isConfigType(configType) ? (layers[0]?.mediaType ?? configType) : configType;
}

/** A document that one descriptor calls a manifest and another an index would be both. */
function otherType(where: string, expected: string, found: string, by = 'its descriptor'): StoreError {
  const shown = JSON.stringify(found.slice(0, 100));
  return new StoreError(
    'ARCHIVE_MANIFEST_INVALID',
    `cannot read ${where}: expected ${expected} as ${by} says, found the media type ${shown}`,
    { data: { where } },
  );
}

function exceeded(where: string, expected: string, found: number): StoreError {
  return new StoreError('ARCHIVE_LIMIT_EXCEEDED', `cannot read ${where}: expected ${expected}, found ${found}`, {
    data: { where, found },
  });
}
