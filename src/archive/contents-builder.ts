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

/** The annotation under which containerd and Docker keep the whole name of an image. */
export const CONTAINERD_NAME = 'io.containerd.image.name';
/** The annotation of the OCI image spec, annotations.md, for the name within a layout. */
export const OCI_REF_NAME = 'org.opencontainers.image.ref.name';

/**
 * Returns the canonical reference that the annotations of an entry of index.json give, or undefined when they give none.
 * The OCI annotation counts only when it names a repository: a bare `1.0` is a tag of nothing, and what is no
 * reference at all is some other tool's text.
 *
 * @throws {StoreError} REFERENCE_INVALID when containerd's annotation is no reference
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

/** A manifest that an index leads to, and the platform it stands for there. */
interface PlatformManifest {
  readonly node: ManifestNode;
  readonly platform: Platform;
}

interface ImageParts {
  readonly config: ArchiveConfig;
  parent: ImageId | undefined;
  staged: readonly (StagedLayer | undefined)[] | undefined;
  readonly manifests: Map<Digest, ArchiveManifest>;
  /** The manifest that a name stands for directly. */
  preferred: Digest | undefined;
}

/** Gathers the images, names and documents of an archive, each once, in the archive's order. */
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

  /** Whether the image is there. */
  has(id: ImageId): boolean {
    return this.#images.has(id);
  }

  /** Number of images so far. */
  get imageCount(): number {
    return this.#images.size;
  }

  /** Adds an image; `staged` are its layers when something else than a manifest of this layout names them. */
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
   * Adds a manifest and the image it is of.
   * @throws {StoreError} ARCHIVE_MANIFEST_INVALID, BLOB_MISMATCH, LAYER_MISMATCH and what else is wrong with its layers
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

  /** Adds the bytes of an index and of those in it. */
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

  /** Puts the manifest that a name stands for before the others of the image; the first call counts. */
  prefer(id: ImageId, manifest: Descriptor): void {
    this.#part(id).preferred ??= manifest.digest;
  }

  /** Returns the manifests of `id` so far. */
  manifests(id: ImageId): readonly ArchiveManifest[] {
    return [...(this.#images.get(id)?.manifests.values() ?? [])];
  }

  /** Returns what was gathered. */
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
    // Where one manifest's file is absent, another's may be there.
    const candidates = [parts.staged, ...manifests.map(({ staged }) => staged)];
    return { diffId, staged: candidates.map((staged) => staged?.[at]).find((staged) => staged !== undefined) };
  });
  return { id: config.id, config: config.bytes, image: config.image, layers, parent, manifests };
}

/**
 * Returns the manifests that `node` leads to, in its order, each once, with their platforms: what the index says, else
 * what the config says. Only those for `wanted` when it is given.
 */
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

/** Returns the images of `manifests` as a reference keeps them. */
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
