import { StoreError } from '../errors.js';
import { type Digest, digestOf, type ImageId } from '../model/digest.js';
import type { Descriptor } from '../model/events.js';
import type { Platform } from '../model/platform.js';
import {
  type DescriptorDocument,
  encodeDocument,
  fromDescriptor,
  indexCodec,
  manifestCodec,
  parseDocument,
  type PlatformDocument,
  toDescriptor,
} from './documents.js';
import { isIndexType, isManifestType, OCI_CONFIG, OCI_INDEX, OCI_MANIFEST } from './media-types.js';
import type { SavedArchive, SavedImage, SavedReference } from './saved-archive.js';

/** A manifest or index to write, with all that must be written for it. */
export interface WrittenDocument {
  readonly descriptor: Descriptor;
  readonly bytes: Uint8Array;
  /** Layer files, from the bottom up; of an index none, they are its parts'. */
  readonly layers: readonly Descriptor[];
  /** What an index names; empty for a manifest. */
  readonly parts: readonly WrittenDocument[];
}

/** Chooses which manifest or index stands for an image or a name when it is saved. */
export class ManifestChoice {
  readonly #saved: SavedArchive;
  readonly #images: ReadonlyMap<ImageId, SavedImage>;
  readonly #made = new Map<ImageId, WrittenDocument>();

  constructor(saved: SavedArchive) {
    this.#saved = saved;
    this.#images = new Map(saved.images.map((image) => [image.id, image]));
  }

  /**
   * Returns the manifest of `image`: the one with the digest `wanted` when it is known, else the first that is known
   * with all its layers, else a new one over the layers as they were received.
   *
   * @throws {StoreError} BLOB_MISSING when a layer is not there
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
   * Returns what `reference` is written as, or undefined when none of its images is saved: for one platform the
   * manifest; for several the index it came with, when all that the index names is saved, else a new index of what is.
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

  /** The index with everything in it, or undefined when a part is not among what is saved. */
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
    const bytes = encodeDocument({ schemaVersion: 2, mediaType: OCI_INDEX, manifests }, indexCodec);
    return { descriptor: describe(bytes, OCI_INDEX), bytes, layers: [], parts };
  }

  /** To the byte what Docker 25 makes, so that its archives keep their manifest digests. */
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
    };
    const bytes = encodeDocument(document, manifestCodec);
    return { descriptor: describe(bytes, OCI_MANIFEST), bytes, layers, parts: [] };
  }
}

/** Returns a platform as documents write it. */
export function toPlatformDocument(platform: Platform): PlatformDocument {
  const { os, architecture, variant = '', osVersion = '', osFeatures = null } = platform;
  return { architecture, os, osVersion, osFeatures, variant };
}

function describe(bytes: Uint8Array, mediaType: string): Descriptor {
  return { digest: digestOf(bytes), size: bytes.length, mediaType };
}
