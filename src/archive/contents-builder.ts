import { StoreError } from '../errors.js';
import { canonicalReference } from '../model/reference.js';
import type { Digest, ImageId } from '../model/digest.js';
import type { PlatformImage } from '../model/events.js';
import type { Descriptor } from '../model/digest.js';
import { type Platform, platformMatches } from '../model/platform.js';
import type { ArchiveImage, ArchiveManifest, ArchiveReference, StagedLayer } from './archive-files.js';
import { type ArchiveTree, findBlob } from './archive-tree.js';
import type { PlatformDocument } from './documents.js';
import type { ArchiveConfig, ImageBuilder, IndexNode, ManifestNode } from './oci-graph.js';

/** Annotation with the full image name, set by containerd and Docker. */
export const CONTAINERD_NAME = 'io.containerd.image.name';
/** Annotation with the name within a layout (OCI image spec, annotations.md). */
export const OCI_REF_NAME = 'org.opencontainers.image.ref.name';

/**
 * Returns the canonical reference from the annotations of an index.json entry; undefined if none.
 * The OCI annotation counts only if it names a repository: a bare `1.0` is just a tag, and text
 * that is not a reference belongs to another tool.
 * @throws {StoreError} REFERENCE_INVALID if containerd's annotation is not a reference
 */
export function annotatedReference(annotations: ReadonlyMap<string, string>): string | undefined {
  const name = annotations.get(CONTAINERD_NAME);
  if (name !== undefined && name !== '') return canonicalReference(name);
  const text = annotations.get(OCI_REF_NAME) ?? '';
  if (!/[:/@]/.test(text)) return undefined;
  try {
    return canonicalReference(text);
  } catch (error) {
    if (error instanceof StoreError) return undefined;
    throw error;
  }
}

/** A manifest reached through an index, with its platform there. */
interface PlatformManifest {
  readonly node: ManifestNode;
  readonly platform: Platform;
}

interface ImageParts {
  readonly config: ArchiveConfig;
  parent: ImageId | undefined;
  staged: readonly (StagedLayer | undefined)[] | undefined;
  readonly manifests: Map<Digest, ArchiveManifest>;
  preferred: Digest | undefined;
}

/** Collects the images, names and documents of an archive, deduplicated, in archive order. */
export class ContentsBuilder {
  readonly #tree: ArchiveTree;
  readonly #builder: ImageBuilder;
  readonly #images = new Map<ImageId, ImageParts>();
  readonly #references = new Map<string, ArchiveReference>();
  readonly #content = new Map<Digest, Uint8Array>();

  constructor(tree: ArchiveTree, builder: ImageBuilder) {
    this.#tree = tree;
    this.#builder = builder;
  }

  has(id: ImageId): boolean {
    return this.#images.has(id);
  }

  get imageCount(): number {
    return this.#images.size;
  }

  /** Adds an image; `staged` are its layers unless a manifest of this layout names them. */
  addImage(
    config: ArchiveConfig,
    more: { readonly parent?: ImageId | undefined; readonly staged?: readonly (StagedLayer | undefined)[] } = {},
  ): void {
    const known = this.#images.get(config.id);
    const parts = known ?? { config, parent: undefined, staged: undefined, manifests: new Map(), preferred: undefined };
    parts.parent ??= more.parent;
    parts.staged ??= more.staged;
    this.#images.set(config.id, parts);
  }

  /**
   * Adds a manifest and its image.
   * @throws {StoreError} ARCHIVE_MANIFEST_INVALID, BLOB_MISMATCH, LAYER_MISMATCH, layer errors
   */
  async addManifest(node: ManifestNode): Promise<void> {
    const { descriptor, config, layers, bytes } = node;
    this.addImage(config);
    const { manifests } = this.#part(config.id);
    if (manifests.has(descriptor.digest)) return;
    const named = layers.map((layer) => ({ name: layer.digest, file: findBlob(this.#tree, layer) }));
    const staged = await this.#builder.layers(config, named, `manifest ${descriptor.digest}`);
    manifests.set(descriptor.digest, { descriptor, layers, staged });
    this.#content.set(descriptor.digest, bytes);
  }

  /** Adds the bytes of an index and its nested indexes. */
  addIndex(node: IndexNode): void {
    if (this.#content.has(node.descriptor.digest)) return;
    this.#content.set(node.descriptor.digest, node.bytes);
    for (const child of node.children) if (child.node.kind === 'index') this.addIndex(child.node);
  }

  /** Adds a name; the last one wins. */
  addReference(reference: ArchiveReference): void {
    this.#references.delete(reference.reference);
    this.#references.set(reference.reference, reference);
  }

  /** Lists the manifest of a name before the image's others; the first call wins. */
  prefer(id: ImageId, manifest: Descriptor): void {
    this.#part(id).preferred ??= manifest.digest;
  }

  manifests(id: ImageId): readonly ArchiveManifest[] {
    return [...(this.#images.get(id)?.manifests.values() ?? [])];
  }

  build(): {
    readonly images: readonly ArchiveImage[];
    readonly references: readonly ArchiveReference[];
    readonly content: ReadonlyMap<Digest, Uint8Array>;
  } {
    const images = [...this.#images.values()].map(toImage);
    return { images, references: [...this.#references.values()], content: this.#content };
  }

  #part(id: ImageId): ImageParts {
    const parts = this.#images.get(id);
    if (parts === undefined) throw new Error(`the image ${id} was not added`);
    return parts;
  }
}

function toImage(parts: ImageParts): ArchiveImage {
  const { config, parent, preferred } = parts;
  const all = [...parts.manifests.values()];
  const first = all.filter(({ descriptor }) => descriptor.digest === preferred);
  const manifests = [...first, ...all.filter(({ descriptor }) => descriptor.digest !== preferred)];
  const layers = config.diffIds.map((diffId, at) => {
    // A layer file missing from one manifest may be present through another.
    const candidates = [parts.staged, ...manifests.map(({ staged }) => staged)];
    return { diffId, staged: candidates.map((staged) => staged?.[at]).find((staged) => staged !== undefined) };
  });
  return { id: config.id, config: config.bytes, image: config.image, layers, parent, manifests };
}

/** Returns the distinct manifests under `node`, in order, with platforms of the index or config. */
export function platformManifests(
  node: ManifestNode | IndexNode,
  wanted?: Platform,
  platform?: PlatformDocument,
): readonly PlatformManifest[] {
  const found = new Map<Digest, PlatformManifest>();
  collect(node, platform, found, new Set());
  const all = [...found.values()];
  return wanted === undefined ? all : all.filter((manifest) => platformMatches(wanted, manifest.platform));
}

/** Converts `manifests` to the form stored with a reference. */
export function toPlatformImages(manifests: readonly PlatformManifest[]): readonly PlatformImage[] {
  return manifests.map(({ node, platform: { os, architecture, variant } }) => ({
    image: node.config.id,
    os,
    architecture,
    ...(variant ? { variant } : {}),
  }));
}

function collect(
  node: ManifestNode | IndexNode,
  platform: PlatformDocument | undefined,
  found: Map<Digest, PlatformManifest>,
  seen: Set<Digest>,
): void {
  const { digest } = node.descriptor;
  if (seen.has(digest)) return;
  seen.add(digest);
  if (node.kind === 'manifest') found.set(digest, { node, platform: platformOf(node, platform) });
  else for (const child of node.children) collect(child.node, child.platform, found, seen);
}

function platformOf(node: ManifestNode, platform: PlatformDocument | undefined): Platform {
  if (platform === undefined) return node.config.image.platform();
  const { os, architecture, variant, osVersion, osFeatures } = platform;
  return {
    os,
    architecture,
    ...(variant === '' ? {} : { variant }),
    ...(osVersion === '' ? {} : { osVersion }),
    ...(osFeatures === null ? {} : { osFeatures }),
  };
}
