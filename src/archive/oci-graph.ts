import { StoreError } from '../errors.js';
import {
  MAX_ARCHIVE_DESCRIPTORS,
  MAX_ARCHIVE_JSON_BYTES,
  MAX_CONFIG_BYTES,
  MAX_IMAGES_PER_ARCHIVE,
  MAX_INDEX_DEPTH,
  MAX_LAYERS_PER_IMAGE,
} from '../limits.js';
import { EMPTY_LAYER_DIFF_ID, type Image, newFromJSON } from '../model/image.js';
import { type DiffId, type Digest, idFromDigest, type ImageId, isDigest } from '../model/digest.js';
import { requireLayer } from './layer-meter.js';
import { ArchiveFile, type StagedLayer, type Staging } from './archive-files.js';
import {
  type DescriptorDocument,
  type DocumentBudget,
  indexCodec,
  isConfigType,
  isIndexType,
  isManifestType,
  layoutCodec,
  manifestCodec,
  type PlatformDocument,
  toDescriptor,
} from './documents.js';
import { type ArchiveLimits, type ArchiveTree, findBlob } from './archive-tree.js';
import type { Descriptor } from '../model/digest.js';
import type { Codec } from '../model/go-json/codecs.js';

/** A parsed image config of the archive. */
export interface ArchiveConfig {
  readonly id: ImageId;
  readonly bytes: Uint8Array;
  readonly image: Image;
  readonly diffIds: readonly DiffId[];
}

/** A layer named by a manifest; `file` is undefined if missing from the archive. */
interface NamedLayer {
  readonly name: string;
  readonly file: ArchiveFile | undefined;
}

/** Cost of an already measured layer: lookups by name and digest. */
const STEPS_PER_LAYER = 4;
/** Zero bytes of an empty tar; a layer file of no bytes is treated as one. */
const EMPTY_TAR_BYTES = 1024;

/** Turns archive files into configs and layers; checks each file only once. */
export class ImageBuilder {
  readonly #staging: Staging;
  readonly #documents: DocumentBudget;
  readonly #limits: ArchiveLimits;
  readonly #configs = new Map<Digest, ArchiveConfig>();
  readonly #layers = new Map<string, StagedLayer>();

  constructor(staging: Staging, documents: DocumentBudget, limits: ArchiveLimits) {
    this.#staging = staging;
    this.#documents = documents;
    this.#limits = limits;
  }

  /**
   * Parses the config in `file`.
   * @throws {StoreError} CONFIG_TOO_LARGE, CONFIG_INVALID, ARCHIVE_LIMIT_EXCEEDED
   */
  async config(file: ArchiveFile): Promise<ArchiveConfig> {
    const known = this.#configs.get(file.digest);
    if (known !== undefined) return known;
    const bytes = await this.#documents.read(file, this.#limits.maxConfigBytes ?? MAX_CONFIG_BYTES, 'CONFIG_TOO_LARGE');
    const image = newFromJSON(bytes);
    const diffIds = checkedDiffIds(file.digest, image);
    const limit = this.#limits.maxLayersPerImage ?? MAX_LAYERS_PER_IMAGE;
    if (diffIds.length > limit) {
      throw new StoreError(
        'ARCHIVE_LIMIT_EXCEEDED',
        `cannot read image ${file.digest}: expected at most ${limit} layers, found ${diffIds.length}`,
        { data: { image: file.digest, limit, found: diffIds.length } },
      );
    }
    // Computed now and cached in the image, so deciding on all images later does not hash them all
    // at once.
    await this.#documents.spend(STEPS_PER_LAYER * diffIds.length);
    image.rootFS.chainID();
    const config = { id: idFromDigest(file.digest), bytes, image, diffIds };
    this.#configs.set(file.digest, config);
    return config;
  }

  /**
   * Returns the staged layers of `config`, bottom to top; undefined where the archive lacks the
   * file. `where` names the manifest in messages.
   * @throws {StoreError} ARCHIVE_MANIFEST_INVALID if layer and diff id counts differ
   * @throws {StoreError} LAYER_MISMATCH, LAYER_INVALID, COMPRESSION_INVALID or
   *   ARCHIVE_LIMIT_EXCEEDED if a file is not its expected layer
   */
  async layers(
    config: ArchiveConfig,
    layers: readonly NamedLayer[],
    where: string,
  ): Promise<readonly (StagedLayer | undefined)[]> {
    const { id, diffIds } = config;
    if (layers.length !== diffIds.length) {
      throw new StoreError(
        'ARCHIVE_MANIFEST_INVALID',
        `cannot read ${where}: expected ${diffIds.length} layers as in the config ${id}, found ${layers.length}`,
        { data: { image: id, expected: diffIds.length, found: layers.length } },
      );
    }
    await this.#documents.spend(STEPS_PER_LAYER * layers.length);
    const staged: (StagedLayer | undefined)[] = [];
    for (const [at, diffId] of diffIds.entries()) {
      const layer = layers[at];
      staged.push(layer?.file === undefined ? undefined : await this.#layer(layer.name, layer.file, diffId));
    }
    return staged;
  }

  async #layer(name: string, file: ArchiveFile, diffId: DiffId): Promise<StagedLayer> {
    const key = `${file.digest} ${diffId}`;
    const known = this.#layers.get(key);
    if (known !== undefined) return known;
    const actual = file.size === 0 && diffId === EMPTY_LAYER_DIFF_ID ? this.#emptyTar(name) : file;
    const layer = await checkLayer(name, actual, diffId);
    this.#layers.set(key, layer);
    return layer;
  }

  #emptyTar(name: string): ArchiveFile {
    return ArchiveFile.inMemory(name, new Uint8Array(EMPTY_TAR_BYTES), this.#staging);
  }
}

/** Diff ids become file names, but a config may contain any text, so validate them here. */
function checkedDiffIds(id: Digest, image: Image): readonly DiffId[] {
  const { diffIds } = image.rootFS;
  const at = diffIds.findIndex((diffId) => !isDigest(diffId));
  if (at === -1) return diffIds;
  const found = JSON.stringify(diffIds[at]?.slice(0, 100));
  throw new StoreError(
    'CONFIG_INVALID',
    `cannot use config ${id}: expected a digest at rootfs.diff_ids[${at}], found ${found}`,
    {
      data: { image: id },
    },
  );
}

async function checkLayer(name: string, file: ArchiveFile, diffId: DiffId): Promise<StagedLayer> {
  const measurement = await file.measure();
  if (measurement.layer instanceof StoreError) {
    const { code, message, data } = measurement.layer;
    throw new StoreError(code, `cannot read layer ${name}: ${message}`, { cause: measurement.layer, data });
  }
  const { diffId: found, diffSize } = requireLayer(measurement);
  if (found !== diffId) {
    throw new StoreError('LAYER_MISMATCH', `cannot use layer ${name}: expected diff id ${diffId}, found ${found}`, {
      data: { layer: name, expected: diffId, found },
    });
  }
  return { file: await file.staged(), blob: measurement.blob, diffSize };
}

/** A manifest whose image config is in the archive. */
export interface ManifestNode {
  readonly kind: 'manifest';
  readonly descriptor: Descriptor;
  readonly bytes: Uint8Array;
  readonly config: ArchiveConfig;
  readonly layers: readonly Descriptor[];
}

/** An index of manifests and nested indexes. */
export interface IndexNode {
  readonly kind: 'index';
  readonly descriptor: Descriptor;
  readonly bytes: Uint8Array;
  readonly children: readonly OciChild[];
  /** Nesting depth of indexes, including this one. */
  readonly height: number;
  /** Descriptors in this index and below, counted each time they are reached. */
  readonly reach: number;
}

/** An index entry: its target and the descriptor's own platform and annotations. */
export interface OciChild {
  readonly node: ManifestNode | IndexNode;
  readonly platform: PlatformDocument | undefined;
  readonly annotations: ReadonlyMap<string, string>;
}

interface OciGraphOptions {
  readonly documents: DocumentBudget;
  readonly limits: ArchiveLimits;
  /** Whether manifests named by index.json (`top`) or by an index (`platforms`) must be present. */
  readonly complete: { readonly top: boolean; readonly platforms: boolean };
  /** Receives a sentence for each skipped item. */
  readonly notice: (text: string) => void;
}

/** Cost of a descriptor whose blob was already read. */
const STEPS_PER_DESCRIPTOR = 5;
const LAYOUT_VERSION = '1.0.0';

/** Reads the indexes and manifests of an OCI image layout; each blob once, however often named. */
export class OciGraph {
  readonly #tree: ArchiveTree;
  readonly #builder: ImageBuilder;
  readonly #options: OciGraphOptions;
  readonly #nodes = new Map<Digest, ManifestNode | IndexNode | undefined>();
  #descriptors = 0;

  constructor(tree: ArchiveTree, builder: ImageBuilder, options: OciGraphOptions) {
    this.#tree = tree;
    this.#builder = builder;
    this.#options = options;
  }

  /**
   * Returns the entries of index.json in order, skipping non-images.
   * @throws {StoreError} ARCHIVE_INVALID, ARCHIVE_MANIFEST_INVALID, ARCHIVE_FILE_MISSING,
   *   BLOB_MISMATCH, ARCHIVE_LIMIT_EXCEEDED, CONFIG_INVALID, CONFIG_TOO_LARGE
   */
  async read(): Promise<readonly OciChild[]> {
    await this.#checkLayout();
    return this.#children(await this.#readNamed('index.json'), 'index.json', 0);
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

  async #children(bytes: Uint8Array, where: string, depth: number): Promise<readonly OciChild[]> {
    const descriptors = (await this.#parse(bytes, indexCodec, where)).manifests ?? [];
    const limit = this.#options.limits.maxImages ?? MAX_IMAGES_PER_ARCHIVE;
    if (descriptors.length > limit) throw exceeded(where, `at most ${limit} manifests`, descriptors.length);
    this.#count(descriptors.length, where);
    const children: OciChild[] = [];
    for (const [at, document] of descriptors.entries()) {
      await this.#options.documents.spend(STEPS_PER_DESCRIPTOR);
      const child = await this.#child(document, `${where}: manifests[${at}]`, depth);
      if (child !== undefined) children.push(child);
    }
    return children;
  }

  async #child(document: DescriptorDocument, where: string, depth: number): Promise<OciChild | undefined> {
    const descriptor = toDescriptor(document, where);
    const annotations = new Map(Object.entries(document.annotations ?? {}));
    const { platform } = document;
    const isAttestation = platform?.os === 'unknown' && platform.architecture === 'unknown';
    if (isAttestation || annotations.has('vnd.docker.reference.type')) {
      this.#options.notice(`skipped ${descriptor.digest}: an attestation, not an image`);
      return undefined;
    }
    const node = await this.#node(descriptor, platform, depth);
    return node && { node, platform, annotations };
  }

  async #node(
    descriptor: Descriptor,
    platform: PlatformDocument | undefined,
    depth: number,
  ): Promise<ManifestNode | IndexNode | undefined> {
    const { digest, mediaType } = descriptor;
    const blob = findBlob(this.#tree, descriptor);
    if (this.#nodes.has(digest)) return this.#again(this.#nodes.get(digest), depth);
    if (!isIndexType(mediaType) && !isManifestType(mediaType)) {
      this.#options.notice(`skipped ${digest}: of the unknown media type ${JSON.stringify(mediaType.slice(0, 100))}`);
      return undefined;
    }
    if (blob === undefined) return this.#missing(digest, platform, depth);
    const bytes = await this.#read(blob);
    const node = isIndexType(mediaType)
      ? await this.#index(descriptor, bytes, depth + 1)
      : await this.#manifest(descriptor, bytes, platform, depth);
    this.#nodes.set(digest, node);
    return node;
  }

  /** Re-checks limits for a node reached again: graph walks revisit everything below it. */
  #again<Node extends ManifestNode | IndexNode | undefined>(node: Node, depth: number): Node {
    if (node?.kind === 'index') {
      this.#checkDepth(node.descriptor.digest, depth + node.height);
      this.#count(node.reach, `index ${node.descriptor.digest}`);
    }
    return node;
  }

  async #index(descriptor: Descriptor, bytes: Uint8Array, depth: number): Promise<IndexNode> {
    this.#checkDepth(descriptor.digest, depth);
    const before = this.#descriptors;
    const children = await this.#children(bytes, `index ${descriptor.digest}`, depth);
    const heights = children.map(({ node }) => (node.kind === 'index' ? node.height : 0));
    const height = heights.reduce((most, each) => Math.max(most, each), 0) + 1;
    return { kind: 'index', descriptor, bytes, children, height, reach: this.#descriptors - before };
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
    platform: PlatformDocument | undefined,
    depth: number,
  ): Promise<ManifestNode | undefined> {
    const where = `manifest ${descriptor.digest}`;
    const document = await this.#parse(bytes, manifestCodec, where);
    if (!isConfigType(document.config.mediaType)) {
      const found = JSON.stringify(document.config.mediaType.slice(0, 100));
      this.#options.notice(`skipped ${descriptor.digest}: its config is of type ${found}, so it is not an image`);
      return undefined;
    }
    const file = findBlob(this.#tree, toDescriptor(document.config, `${where}: config`));
    if (file === undefined) return this.#missing(document.config.digest, platform, depth);
    const config = await this.#builder.config(file);
    const layers = (document.layers ?? []).map((layer, at) => toDescriptor(layer, `${where}: layers[${at}]`));
    return { kind: 'manifest', descriptor, bytes, config, layers };
  }

  /** Single-platform archives keep the whole index, so its targets may be absent. */
  #missing(digest: string, platform: PlatformDocument | undefined, depth: number): undefined {
    const { complete, notice } = this.#options;
    const names = platform === undefined ? '' : ` for ${platform.os}/${platform.architecture}`;
    if (depth === 0 ? complete.top : complete.platforms) {
      throw new StoreError(
        'ARCHIVE_FILE_MISSING',
        `cannot read the archive: expected ${digest}${names}, found no such blob`,
        {
          data: { digest },
        },
      );
    }
    notice(`skipped ${digest}${names}: the archive names it and does not hold it`);
    return undefined;
  }
}

function exceeded(where: string, expected: string, found: number): StoreError {
  return new StoreError('ARCHIVE_LIMIT_EXCEEDED', `cannot read ${where}: expected ${expected}, found ${found}`, {
    data: { where, found },
  });
}
