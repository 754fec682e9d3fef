import type { Descriptor, Digest, ImageId } from '../model/digest.js';
import type { PlatformImage } from '../model/events.js';
import type { Platform } from '../model/platform.js';
import type {
  ArchiveArtifact,
  ArchiveContents,
  ArchiveImage,
  ArchiveManifest,
  ArchiveReference,
  ArchiveTarget,
  StagedLayer,
} from './archive-files.js';
import { findBlob, type NamedFiles } from './archive-tree.js';
import type { PlatformDocument } from './documents.js';
import type { ArchiveConfig, ImageBuilder } from './image-builder.js';
import type { ArtifactNode, IndexNode, ManifestNode, OciNode } from './oci-graph.js';

/** A manifest reached through an index, with its platform there. */
export interface PlatformManifest {
  readonly node: ManifestNode;
  readonly platform: Platform;
}

interface ImageParts {
  readonly config: ArchiveConfig;
  parent: ImageId | undefined;
  staged: readonly (StagedLayer | undefined)[] | undefined;
  readonly manifests: Map<Digest, ArchiveManifest>;
  preferred: Digest | undefined;
  isOptional: boolean;
}

/** How an image was found. */
interface ImageOrigin {
  readonly parent?: ImageId | undefined;
  /** Its layers, unless a manifest of this layout names them. */
  readonly staged?: readonly (StagedLayer | undefined)[];
  /** Whether it is one of several platforms. */
  readonly isOptional?: boolean;
}

/** Collects the images, artifacts, names and documents of an archive, once each, in archive order. */
export class ContentsBuilder {
  readonly #tree: NamedFiles;
  readonly #builder: ImageBuilder;
  readonly #images = new Map<ImageId, ImageParts>();
  readonly #artifacts = new Map<Digest, ArchiveArtifact>();
  readonly #references = new Map<string, ArchiveReference>();
  readonly #targets = new Map<Digest, ArchiveTarget>();
  readonly #content = new Map<Digest, Uint8Array>();

  constructor(tree: NamedFiles, builder: ImageBuilder) {
    this.#tree = tree;
    this.#builder = builder;
  }

  has(id: ImageId): boolean {
    return this.#images.has(id);
  }

  get imageCount(): number {
    return this.#images.size;
  }

  /** Adds an image; it is optional only if each place that names it says so. */
  addImage(config: ArchiveConfig, { parent, staged, isOptional = false }: ImageOrigin = {}): void {
    const parts = this.#images.get(config.id) ?? {
      config,
      parent: undefined,
      staged: undefined,
      manifests: new Map(),
      preferred: undefined,
      isOptional,
    };
    parts.parent ??= parent;
    parts.staged ??= staged;
    parts.isOptional &&= isOptional;
    this.#images.set(config.id, parts);
  }

  /**
   * Adds a manifest and its image.
   * @throws {StoreError} ARCHIVE_MANIFEST_INVALID, BLOB_MISMATCH, LAYER_MISMATCH, layer errors
   */
  async addManifest(node: ManifestNode, isOptional: boolean): Promise<void> {
    const { descriptor, config, layers, bytes } = node;
    this.addImage(config, { isOptional });
    const { manifests } = this.#part(config.id);
    if (manifests.has(descriptor.digest)) return;
    const named = layers.map((layer) => ({ name: layer.digest, file: findBlob(this.#tree, layer) }));
    const staged = await this.#builder.layers(config, named, `manifest ${descriptor.digest}`);
    manifests.set(descriptor.digest, { descriptor, layers, staged });
    this.#content.set(descriptor.digest, bytes);
  }

  /** Keeps the bytes of an index of images, which a reference stands for. */
  addIndex(node: IndexNode): void {
    this.#content.set(node.descriptor.digest, node.bytes);
  }

  /** Adds a manifest or index that is kept as it came. */
  async addArtifact(node: ArtifactNode | IndexNode): Promise<void> {
    const { descriptor, artifactType, subject, bytes, blobs } = node;
    if (this.#artifacts.has(descriptor.digest)) return;
    const staged = blobs.map(({ file }) => file?.staged());
    const contains = node.kind === 'index' ? node.contains : [];
    const named = blobs.map((blob) => blob.descriptor);
    this.#artifacts.set(descriptor.digest, { descriptor, artifactType, subject, contains, blobs: named, staged });
    this.#content.set(descriptor.digest, bytes);
  }

  /** Adds a name; the last one wins. */
  addReference(reference: ArchiveReference): void {
    this.#references.delete(reference.reference);
    this.#references.set(reference.reference, reference);
  }

  /** Adds what a name may stand for; the first of its digest wins. */
  addTarget(digest: Digest, target: ArchiveTarget): void {
    if (!this.#targets.has(digest)) this.#targets.set(digest, target);
  }

  /** Lists the manifest of a name before the image's others; the first call wins. */
  prefer(id: ImageId, manifest: Descriptor): void {
    this.#part(id).preferred ??= manifest.digest;
  }

  manifests(id: ImageId): readonly ArchiveManifest[] {
    return [...(this.#images.get(id)?.manifests.values() ?? [])];
  }

  build(): Pick<ArchiveContents, 'images' | 'artifacts' | 'references' | 'targets' | 'content'> {
    return {
      images: [...this.#images.values()].map(toImage),
      artifacts: [...this.#artifacts.values()],
      references: [...this.#references.values()],
      targets: [...this.#targets.values()],
      content: this.#content,
    };
  }

  #part(id: ImageId): ImageParts {
    const parts = this.#images.get(id);
    if (parts === undefined) throw new Error(`the image ${id} was not added`);
    return parts;
  }
}

function toImage(parts: ImageParts): ArchiveImage {
  const { config, parent, preferred, isOptional } = parts;
  const all = [...parts.manifests.values()];
  const first = all.filter(({ descriptor }) => descriptor.digest === preferred);
  const manifests = [...first, ...all.filter(({ descriptor }) => descriptor.digest !== preferred)];
  const layers = config.diffIds.map((diffId, at) => {
    // A layer file missing from one manifest may be present through another.
    const candidates = [parts.staged, ...manifests.map(({ staged }) => staged)];
    return { diffId, staged: candidates.map((staged) => staged?.[at]).find((staged) => staged !== undefined) };
  });
  return { id: config.id, config: config.bytes, image: config.image, layers, parent, manifests, isOptional };
}

/** Returns the distinct manifests under `node`, in order, with platforms of the index or config. */
export function platformManifests(node: OciNode, platform?: PlatformDocument): readonly PlatformManifest[] {
  const found = new Map<Digest, PlatformManifest>();
  collect(node, platform, found, new Set());
  return [...found.values()];
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
  node: OciNode,
  platform: PlatformDocument | undefined,
  found: Map<Digest, PlatformManifest>,
  seen: Set<Digest>,
): void {
  const { digest } = node.descriptor;
  if (seen.has(digest)) return;
  seen.add(digest);
  if (node.kind === 'manifest') found.set(digest, { node, platform: platformOf(node, platform) });
  if (node.kind === 'index') for (const child of node.children) collect(child.node, child.platform, found, seen);
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
