import { type DiffId, type Digest, digestOf, type ImageId } from '../model/digest.js';
import type { PlatformImage } from '../model/events.js';
import type { Descriptor } from '../model/digest.js';
import { TAR_BLOCK_BYTES } from './tar-header.js';
import { blobName } from './archive-tree.js';
import type { Image } from '../model/image.js';
import { StoreError } from '../errors.js';
import type { Platform } from '../model/platform.js';
import {
  type DescriptorDocument,
  type DockerImageDocument,
  dockerManifestCodec,
  encodeDocument,
  fromDescriptor,
  indexCodec,
  type IndexDocument,
  isIndexType,
  isManifestType,
  manifestCodec,
  OCI_CONFIG,
  OCI_INDEX,
  OCI_MANIFEST,
  parseDocument,
  type PlatformDocument,
  repositoriesCodec,
  toDescriptor,
} from './documents.js';
import { familiarReference, parseReference } from '../model/reference.js';
import { CONTAINERD_NAME, OCI_REF_NAME } from './names.js';

/** An entry of an archive to write. */
export type PlannedEntry =
  | { readonly type: 'directory'; readonly name: string }
  | { readonly type: 'bytes'; readonly name: string; readonly bytes: Uint8Array }
  | { readonly type: 'blob'; readonly name: string; readonly blob: Descriptor };

/** Contents of an archive before its first byte: unique blobs, ordered by content only. */
class ArchivePlan {
  readonly #blobs = new Map<string, PlannedEntry>();
  readonly #files: PlannedEntry[] = [];

  addBytes(digest: Digest, bytes: Uint8Array): void {
    const name = blobName(digest);
    this.#blobs.set(name, { type: 'bytes', name, bytes });
  }

  /** Plans a blob that is opened when its turn comes. */
  addBlob(blob: Descriptor): void {
    const name = blobName(blob.digest);
    if (!this.#blobs.has(name)) this.#blobs.set(name, { type: 'blob', name, blob });
  }

  /** Plans a root file. Root files follow the blobs in call order. */
  addFile(name: string, bytes: Uint8Array): void {
    this.#files.push({ type: 'bytes', name, bytes });
  }

  /** Returns the entries in write order: directories, blobs by digest, files. */
  entries(): readonly PlannedEntry[] {
    const blobs = [...this.#blobs.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
    const directories = ['blobs/', 'blobs/sha256/'].map((name) => ({ type: 'directory' as const, name }));
    return [...directories, ...blobs, ...this.#files];
  }

  /** Returns the tar size: header plus padded data per entry, and two zero blocks. */
  size(): number {
    return this.entries().reduce((sum, entry) => sum + TAR_BLOCK_BYTES + padded(entrySize(entry)), 2 * TAR_BLOCK_BYTES);
  }
}

/** Returns the data bytes of `entry`. */
export function entrySize(entry: PlannedEntry): number {
  switch (entry.type) {
    case 'directory':
      return 0;
    case 'bytes':
      return entry.bytes.length;
    case 'blob':
      return entry.blob.size;
  }
}

function padded(bytes: number): number {
  return Math.ceil(bytes / TAR_BLOCK_BYTES) * TAR_BLOCK_BYTES;
}

/** One layer of an image to save. */
export interface SavedLayer {
  readonly diffId: DiffId;
  /** The file as received, compressed or not. */
  readonly blob: Descriptor;
}

interface SavedManifest {
  readonly descriptor: Descriptor;
  /** Bottom to top. */
  readonly layers: readonly Descriptor[];
}

/** An image to save. */
export interface SavedImage {
  readonly id: ImageId;
  readonly config: Uint8Array;
  readonly image: Image;
  /** Bottom to top; one per diff id of the config. */
  readonly layers: readonly SavedLayer[];
  /** Written only if it is also saved. */
  readonly parent?: ImageId | undefined;
  /** Known manifests, preferred first; one is generated if empty. */
  readonly manifests: readonly SavedManifest[];
}

interface SavedReference {
  /** Canonical. */
  readonly reference: string;
  readonly image: ImageId;
  /** The manifest or index the name came with, if any. */
  readonly target?: Descriptor | undefined;
  /** The image per platform if `target` is an index. */
  readonly platforms?: readonly PlatformImage[] | undefined;
}

/** The images and names to save, with access to their bytes. */
export interface SavedArchive {
  /** Unique by id, in any order. */
  readonly images: readonly SavedImage[];
  /** Unique, in any order; narrowed or dropped if not all their images are saved. */
  readonly references: readonly SavedReference[];
  /** Returns the bytes of a manifest or index; undefined if absent. */
  content(digest: Digest): Uint8Array | undefined;
  /** Returns whether `openBlob` can open this layer file. */
  hasBlob(digest: Digest): boolean;
  /** Streams a layer file. Called once per file, in turn; its chunks reach the reader uncopied. */
  openBlob(digest: Digest): AsyncIterable<Uint8Array>;
}

/** A manifest or index to write, with its dependencies. */
interface WrittenDocument {
  readonly descriptor: Descriptor;
  readonly bytes: Uint8Array;
  /** Layer files, bottom to top; empty for an index, whose parts have them. */
  readonly layers: readonly Descriptor[];
  /** Targets of an index; empty for a manifest. */
  readonly parts: readonly WrittenDocument[];
}

class ManifestChoice {
  readonly #saved: SavedArchive;
  readonly #images: ReadonlyMap<ImageId, SavedImage>;
  readonly #made = new Map<ImageId, WrittenDocument>();

  constructor(saved: SavedArchive) {
    this.#saved = saved;
    this.#images = new Map(saved.images.map((image) => [image.id, image]));
  }

  /**
   * Returns the manifest of `image`: `wanted` if known, else the first known with all its layers,
   * else a generated one over the layers as received.
   * @throws {StoreError} BLOB_MISSING if a layer is absent
   */
  manifest(image: SavedImage, wanted?: Digest): WrittenDocument {
    const ordered = [...image.manifests].sort(
      (a, b) => Number(b.descriptor.digest === wanted) - Number(a.descriptor.digest === wanted),
    );
    for (const { descriptor, layers } of ordered) {
      const bytes = this.#saved.content(descriptor.digest);
      const isComplete = layers.every(({ digest }) => this.#saved.hasBlob(digest));
      if (bytes !== undefined && isComplete) return { descriptor, bytes, layers, parts: [] };
    }
    const made = this.#made.get(image.id) ?? this.#make(image);
    this.#made.set(image.id, made);
    return made;
  }

  /**
   * One platform: its manifest. Several: the original index if all it names is saved, else a new
   * one. Undefined if no image is saved.
   */
  target(reference: SavedReference): WrittenDocument | undefined {
    const { target } = reference;
    if (target !== undefined && isIndexType(target.mediaType)) {
      const whole = this.#wholeIndex(target);
      if (whole !== undefined) return whole;
    }
    const platforms = (reference.platforms ?? []).filter(({ image }) => this.#images.has(image));
    if (platforms.length > 1) return this.#newIndex(platforms);
    const image = this.#images.get(platforms[0]?.image ?? reference.image);
    return image && this.manifest(image, target?.digest);
  }

  /** Returns the index with all its parts; undefined if a part is not saved. */
  #wholeIndex(descriptor: Descriptor): WrittenDocument | undefined {
    const bytes = this.#saved.content(descriptor.digest);
    if (bytes === undefined) return undefined;
    const where = `index ${descriptor.digest}`;
    const parts: WrittenDocument[] = [];
    for (const document of parseDocument(bytes, indexCodec, where).manifests ?? []) {
      const child = toDescriptor(document, where);
      const part = isIndexType(child.mediaType) ? this.#wholeIndex(child) : this.#knownManifest(child);
      if (part === undefined) return undefined;
      parts.push(part);
    }
    return { descriptor, bytes, layers: [], parts };
  }

  #knownManifest(descriptor: Descriptor): WrittenDocument | undefined {
    if (!isManifestType(descriptor.mediaType)) return undefined;
    for (const image of this.#images.values()) {
      if (!image.manifests.some((manifest) => manifest.descriptor.digest === descriptor.digest)) continue;
      const chosen = this.manifest(image, descriptor.digest);
      return chosen.descriptor.digest === descriptor.digest ? chosen : undefined;
    }
    return undefined;
  }

  #newIndex(platforms: readonly (Platform & { readonly image: ImageId })[]): WrittenDocument {
    const parts: WrittenDocument[] = [];
    const manifests: DescriptorDocument[] = [];
    for (const platform of platforms) {
      const image = this.#images.get(platform.image);
      if (image === undefined) continue;
      const part = this.manifest(image);
      parts.push(part);
      manifests.push(fromDescriptor(part.descriptor, { platform: toPlatformDocument(platform) }));
    }
    const bytes = encodeDocument(indexOf(manifests), indexCodec);
    return { descriptor: describe(bytes, OCI_INDEX), bytes, layers: [], parts };
  }

  /** Matches Docker 25 byte for byte, so that its archives keep their manifest digests. */
  #make(image: SavedImage): WrittenDocument {
    const layers = image.layers.map(({ blob }) => blob);
    const missing = layers.find(({ digest }) => !this.#saved.hasBlob(digest));
    if (missing !== undefined) {
      throw new StoreError(
        'BLOB_MISSING',
        `cannot save ${image.id}: expected the layer file ${missing.digest}, found none`,
        {
          data: { image: image.id, blob: missing.digest },
        },
      );
    }
    const config = { digest: image.id, size: image.config.length, mediaType: OCI_CONFIG };
    const document = {
      schemaVersion: 2,
      mediaType: OCI_MANIFEST,
      config: fromDescriptor(config, { platform: toPlatformDocument(image.image.platform()) }),
      layers: layers.map((layer) => fromDescriptor(layer)),
      artifactType: '',
      blobs: null,
      subject: undefined,
    };
    const bytes = encodeDocument(document, manifestCodec);
    return { descriptor: describe(bytes, OCI_MANIFEST), bytes, layers, parts: [] };
  }
}

function indexOf(manifests: readonly DescriptorDocument[]): IndexDocument {
  return { schemaVersion: 2, mediaType: OCI_INDEX, artifactType: '', manifests, subject: undefined, annotations: null };
}

function toPlatformDocument(platform: Platform): PlatformDocument {
  const { os, architecture, variant = '', osVersion = '', osFeatures = null } = platform;
  return { architecture, os, osVersion, osFeatures, variant };
}

function describe(bytes: Uint8Array, mediaType: string): Descriptor {
  return { digest: digestOf(bytes), size: bytes.length, mediaType };
}

/** The archive layout. */
export type ArchiveFormat = 'docker' | 'oci';

interface NamedTarget {
  readonly reference: SavedReference;
  readonly image: ImageId;
  readonly document: WrittenDocument;
}

/** Docker's exact bytes (image-layout.md has no space after the colon). */
const LAYOUT = '{"imageLayoutVersion": "1.0.0"}';

const encoder = new TextEncoder();

/**
 * Plans an archive of `saved`. The plan does not depend on the order of images and names.
 * @throws {StoreError} BLOB_MISSING if a layer of an image is absent
 */
export function planArchive(saved: SavedArchive, format: ArchiveFormat): ArchivePlan {
  const plan = new ArchivePlan();
  const choice = new ManifestChoice(saved);
  const images = [...saved.images].sort((a, b) => compare(a.id, b.id));
  const names = nameTargets(saved, choice);
  for (const image of images) plan.addBytes(image.id, image.config);
  for (const { document } of names) addDocument(plan, document);
  const entries = indexEntries(images, names, format, (image) => {
    const manifest = choice.manifest(image);
    addDocument(plan, manifest);
    return manifest.descriptor;
  });
  plan.addFile('index.json', encodeDocument(indexOf(entries), indexCodec));
  if (format === 'docker') addDockerFiles(plan, images, names, choice);
  plan.addFile('oci-layout', encoder.encode(LAYOUT));
  if (format === 'docker') addRepositories(plan, images, names);
  return plan;
}

function nameTargets(saved: SavedArchive, choice: ManifestChoice): readonly NamedTarget[] {
  const ids = new Set(saved.images.map(({ id }) => id));
  const names: NamedTarget[] = [];
  for (const reference of [...saved.references].sort((a, b) => compare(a.reference, b.reference))) {
    const image = [reference.image, ...(reference.platforms ?? []).map((platform) => platform.image)].find((id) =>
      ids.has(id),
    );
    const document = choice.target(reference);
    if (image !== undefined && document !== undefined) names.push({ reference, image, document });
  }
  return names;
}

function addDocument(plan: ArchivePlan, document: WrittenDocument): void {
  plan.addBytes(document.descriptor.digest, document.bytes);
  for (const layer of document.layers) plan.addBlob(layer);
  for (const part of document.parts) addDocument(plan, part);
}

/** Returns index.json entries by image id and name; unnamed images only if no index has them. */
function indexEntries(
  images: readonly SavedImage[],
  names: readonly NamedTarget[],
  format: ArchiveFormat,
  manifestOf: (image: SavedImage) => Descriptor,
): readonly DescriptorDocument[] {
  const inIndexes = new Set(names.flatMap(({ reference, document }) => platformIds(reference, document)));
  return images.flatMap((image) => {
    const platform = toPlatformDocument(image.image.platform());
    const own = names.filter((name) => name.image === image.id);
    if (own.length === 0) return inIndexes.has(image.id) ? [] : [fromDescriptor(manifestOf(image), { platform })];
    return own.map(({ reference, document: { descriptor } }) => {
      const annotations = annotationsOf(reference.reference, format);
      return fromDescriptor(
        descriptor,
        isIndexType(descriptor.mediaType) ? { annotations } : { annotations, platform },
      );
    });
  });
}

function platformIds(reference: SavedReference, document: WrittenDocument): readonly ImageId[] {
  return isIndexType(document.descriptor.mediaType) ? (reference.platforms ?? []).map(({ image }) => image) : [];
}

/**
 * containerd and Docker read the first annotation. The second is Docker's bare tag, or in pure OCI
 * the short name that skopeo (`oci-archive:FILE:tiny:1`) and umoci match verbatim.
 */
function annotationsOf(canonical: string, format: ArchiveFormat): Readonly<Record<string, string>> {
  const { tag, digest } = parseReference(canonical);
  const name = format === 'oci' ? familiarReference(canonical) : (tag ?? digest ?? '');
  return { [CONTAINERD_NAME]: canonical, [OCI_REF_NAME]: name };
}

function addDockerFiles(
  plan: ArchivePlan,
  images: readonly SavedImage[],
  names: readonly NamedTarget[],
  choice: ManifestChoice,
): void {
  const ids = new Set(images.map(({ id }) => id));
  const documents = images.map((image): DockerImageDocument => {
    const own = names.filter((name) => name.image === image.id);
    // docker load rejects a digest in RepoTags, so such names go in index.json only.
    const tags = own
      .map(({ reference }) => reference.reference)
      .filter((name) => parseReference(name).digest === undefined);
    const layers = choice.manifest(
      image,
      own.find(({ document }) => document.parts.length === 0)?.document.descriptor.digest,
    );
    for (const layer of layers.layers) plan.addBlob(layer);
    const sources = image.layers.map(({ diffId }, at) => [diffId, layers.layers[at]] as const);
    return {
      config: blobName(image.id),
      repoTags: tags.length === 0 ? null : tags.map(familiarReference),
      layers: layers.layers.map(({ digest }) => blobName(digest)),
      parent: image.parent !== undefined && ids.has(image.parent) ? image.parent : '',
      layerSources: Object.fromEntries(
        sources.flatMap(([diffId, blob]) => (blob ? [[diffId, fromDescriptor(blob)]] : [])),
      ),
    };
  });
  plan.addFile('manifest.json', encoder.encode(`${dockerManifestCodec.encode(documents)}\n`));
}

/** Adds the file read by Docker before 1.10: the top layer id of each tag. */
function addRepositories(plan: ArchivePlan, images: readonly SavedImage[], names: readonly NamedTarget[]): void {
  const byId = new Map(images.map((image) => [image.id, image]));
  const repositories = new Map<string, Record<string, string>>();
  for (const { reference, image } of names) {
    const { tag } = parseReference(reference.reference);
    if (tag === undefined) continue;
    const repository = familiarReference(reference.reference).slice(0, -tag.length - 1);
    const top = byId.get(image)?.layers.at(-1)?.diffId ?? image;
    const tags = repositories.get(repository) ?? {};
    tags[tag] = top.slice('sha256:'.length);
    repositories.set(repository, tags);
  }
  if (repositories.size === 0) return;
  plan.addFile('repositories', encoder.encode(`${repositoriesCodec.encode(Object.fromEntries(repositories))}\n`));
}

function compare(a: string, b: string): number {
  if (a === b) return 0;
  return a < b ? -1 : 1;
}
