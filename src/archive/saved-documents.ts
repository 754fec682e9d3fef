import { StoreError } from '../errors.js';
import { type DiffId, type Digest, digestOf, type ImageId } from '../model/digest.js';
import type { Descriptor } from '../model/digest.js';
import type { PlatformImage } from '../model/events.js';
import type { Image } from '../model/image.js';
import { formatPlatform, type Platform } from '../model/platform.js';
import {
  type DescriptorDocument,
  encodeDocument,
  fromDescriptor,
  indexCodec,
  type IndexDocument,
  isIndexType,
  manifestCodec,
  OCI_CONFIG,
  OCI_INDEX,
  OCI_MANIFEST,
  parseDocument,
  type PlatformDocument,
  toDescriptor,
} from './documents.js';

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

/** A manifest or index that is no image, as the store keeps it. */
export interface SavedArtifact {
  readonly descriptor: Descriptor;
  readonly artifactType: string;
  readonly subject?: Descriptor | undefined;
  readonly contains: readonly Descriptor[];
  readonly blobs: readonly Descriptor[];
}

/** A name to save. */
export interface SavedReference {
  /** Canonical. */
  readonly reference: string;
  /** Absent for an artifact, or an index without images. */
  readonly image?: ImageId | undefined;
  /** The manifest or index the name came with, if any. */
  readonly target?: Descriptor | undefined;
  /** The image per platform if `target` is an index. */
  readonly platforms?: readonly PlatformImage[] | undefined;
  /** Annotations of its entry in index.json, and of index.json itself. */
  readonly annotations?: Readonly<Record<string, string>> | undefined;
  readonly layoutAnnotations?: Readonly<Record<string, string>> | undefined;
}

/** The images, artifacts and names to save, with access to their bytes. */
export interface SavedArchive {
  /** Unique by id, in any order. */
  readonly images: readonly SavedImage[];
  /** Saved without a name, besides what names and images lead to. */
  readonly artifacts: readonly SavedArtifact[];
  /** Unique, in any order; narrowed or dropped if not all their images are saved. */
  readonly references: readonly SavedReference[];
  /** Returns the artifact or kept index of this digest, if the store has it. */
  artifact(digest: Digest): SavedArtifact | undefined;
  /** Returns the artifacts whose subject has this digest. */
  referrers(digest: Digest): readonly SavedArtifact[];
  /** Returns the bytes of a manifest or index; undefined if absent. */
  content(digest: Digest): Uint8Array | undefined;
  /** Returns whether `openBlob` can open this layer file. */
  hasBlob(digest: Digest): boolean;
  /** Streams a layer file. Called once per file, in turn; its chunks reach the reader uncopied. */
  openBlob(digest: Digest): AsyncIterable<Uint8Array>;
}

/** A manifest or index to write, with its dependencies. */
export interface WrittenDocument {
  readonly descriptor: Descriptor;
  readonly bytes: Uint8Array;
  /** Blobs it names, in order: layers bottom to top, an artifact's config and layers. */
  readonly blobs: readonly Descriptor[];
  /** Targets of an index; empty for a manifest. */
  readonly parts: readonly WrittenDocument[];
  /** The image of a manifest. */
  readonly image?: ImageId | undefined;
  readonly artifactType?: string | undefined;
}

/** Chooses the manifest or index that each image, artifact and name is written as. */
export class SavedDocuments {
  readonly #saved: SavedArchive;
  readonly #notice: (text: string) => void;
  readonly #images: ReadonlyMap<ImageId, SavedImage>;
  /** Images by the digests of their known manifests. */
  readonly #byManifest = new Map<Digest, SavedImage>();
  readonly #made = new Map<ImageId, WrittenDocument>();
  readonly #documents = new Map<string, WrittenDocument | undefined>();

  constructor(saved: SavedArchive, notice: (text: string) => void) {
    this.#saved = saved;
    this.#notice = notice;
    this.#images = new Map(saved.images.map((image) => [image.id, image]));
    for (const image of saved.images) {
      for (const { descriptor } of image.manifests) this.#byManifest.set(descriptor.digest, image);
    }
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
      if (bytes !== undefined && isComplete) return { descriptor, bytes, blobs: layers, parts: [], image: image.id };
    }
    const made = this.#made.get(image.id) ?? this.#make(image);
    this.#made.set(image.id, made);
    return made;
  }

  /**
   * Returns what `reference` is written as: its artifact, its index as it came if all that the store
   * has of it is saved, else a smaller index, or the manifest of its image. Undefined if nothing is
   * saved. A notice says what is not written as it came.
   */
  target(reference: SavedReference): WrittenDocument | undefined {
    const { target } = reference;
    const kept = target && this.document(target);
    if (kept !== undefined) return kept;
    // One image is saved as its manifest.
    const least = reference.image === undefined ? 1 : 2;
    const smaller = target && this.#smallerIndex(reference.reference, target, least);
    if (smaller !== undefined) return smaller;
    const other = this.#other(reference);
    if (target !== undefined) this.#noteOther(reference.reference, target, other);
    return other;
  }

  /** Returns what an artifact without a name is written as, as `target` does. */
  artifact({ descriptor }: SavedArtifact): WrittenDocument | undefined {
    const kept = this.document(descriptor) ?? this.#smallerIndex(descriptor.digest, descriptor, 1);
    if (kept === undefined) this.#noteOther('an artifact', descriptor, undefined);
    return kept;
  }

  #noteOther(name: string, { digest }: Descriptor, other: WrittenDocument | undefined): void {
    const instead = other === undefined ? 'is not saved' : `is saved as ${other.descriptor.digest}`;
    this.#notice(`${name} ${instead}: ${digest} is not there whole`);
  }

  /** A manifest or index of the images of a name that are saved. */
  #other({ image, platforms = [], target }: SavedReference): WrittenDocument | undefined {
    const saved = platforms.filter((platform) => this.#images.has(platform.image));
    if (saved.length > 1) return this.#newIndex(saved);
    const id = saved[0]?.image ?? image;
    const only = id && this.#images.get(id);
    return only && this.manifest(only, target?.digest);
  }

  /**
   * Returns a manifest or index of the store as it came; undefined if a part of it is in the store
   * and not saved. An index may come without some of its platforms, as Docker and containerd export
   * the host's alone: it keeps its digest.
   */
  document(descriptor: Descriptor): WrittenDocument | undefined {
    // Indexes may share parts, so a walk without memory could take exponential time; one of them
    // may give a false size or type.
    const key = JSON.stringify([descriptor.digest, descriptor.size, descriptor.mediaType]);
    if (!this.#documents.has(key)) this.#documents.set(key, this.#document(descriptor));
    return this.#documents.get(key);
  }

  #document(descriptor: Descriptor): WrittenDocument | undefined {
    const { digest } = descriptor;
    const image = this.#byManifest.get(digest);
    if (image !== undefined) {
      const chosen = this.manifest(image, digest);
      const isSame = chosen.descriptor.digest === digest && chosen.descriptor.size === descriptor.size;
      return isSame ? chosen : undefined;
    }
    const bytes = this.#saved.content(digest);
    // An index that came without what it names may give it a false size or type: no reader takes that.
    if (bytes?.length !== descriptor.size) return undefined;
    const artifact = this.#saved.artifact(digest);
    const { mediaType } = artifact?.descriptor ?? descriptor;
    if (isIndexType(mediaType) !== isIndexType(descriptor.mediaType)) return undefined;
    const blobs = artifact?.blobs ?? [];
    if (!blobs.every(({ digest }) => this.#saved.hasBlob(digest))) return undefined;
    if (!isIndexType(descriptor.mediaType)) {
      return artifact && { descriptor, bytes, blobs, parts: [], artifactType: artifact.artifactType };
    }
    const named = new Set(blobs.map(({ digest }) => digest));
    const [parts, absent]: [WrittenDocument[], string[]] = [[], []];
    const index = parseDocument(bytes, indexCodec, `index ${digest}`);
    // A manifest of the store that an index without it describes as an index: no reader takes that.
    if (index.mediaType !== '' && !isIndexType(index.mediaType)) return undefined;
    for (const entry of entriesOf(descriptor, bytes)) {
      if (named.has(entry.child.digest)) continue;
      const part = this.document(entry.child);
      if (part !== undefined) parts.push(part);
      // Left out by the caller, or a layer that the index calls a manifest: that is another index.
      else if (this.#has(entry.child.digest)) return undefined;
      else absent.push(shownEntry(entry));
    }
    if (absent.length === 0) return { descriptor, bytes, blobs, parts };
    if (parts.length === 0) return undefined;
    this.#notice(`the index ${digest} is saved as it came, without what the store lacks: ${listed(absent)}`);
    return { descriptor, bytes, blobs, parts };
  }

  #has(digest: Digest): boolean {
    return this.#saved.content(digest) !== undefined || this.#saved.hasBlob(digest);
  }

  /** Returns the documents that refer to `documents` or to parts of them, and to those in turn. */
  referrers(documents: readonly WrittenDocument[]): readonly WrittenDocument[] {
    const found = new Map<Digest, WrittenDocument>();
    // A chain of subjects may be longer than the stack is deep.
    const seen = new Map(documents.map((document) => [document.descriptor.digest, document]));
    for (const [digest, { parts }] of seen) {
      for (const part of parts) if (!seen.has(part.descriptor.digest)) seen.set(part.descriptor.digest, part);
      for (const { descriptor } of this.#saved.referrers(digest)) {
        if (found.has(descriptor.digest)) continue;
        const referrer = this.document(descriptor);
        if (referrer === undefined) {
          this.#noteOther(`what is about ${digest}`, descriptor, undefined);
          continue;
        }
        found.set(descriptor.digest, referrer);
        if (!seen.has(descriptor.digest)) seen.set(descriptor.digest, referrer);
      }
    }
    return [...found.values()];
  }

  /** An index with those of its entries that are saved; undefined for fewer than `least`. */
  #smallerIndex(name: string, descriptor: Descriptor, least: number): WrittenDocument | undefined {
    const bytes = isIndexType(descriptor.mediaType) ? this.#saved.content(descriptor.digest) : undefined;
    if (bytes === undefined) return undefined;
    const [parts, left]: [WrittenDocument[], string[]] = [[], []];
    const kept = new Set<string>();
    for (const entry of entriesOf(descriptor, bytes)) {
      const { child, document } = entry;
      const attested = document.annotations?.[ATTESTED];
      const part = attested === undefined || kept.has(attested) ? this.document(child) : undefined;
      if (part === undefined) {
        // The platform of an attestation is unknown/unknown.
        left.push(attested === undefined ? shownEntry(entry) : 'attestations');
      } else {
        parts.push(part);
        kept.add(child.digest);
      }
    }
    if (parts.length < least) return undefined;
    this.#notice(`${name} is saved with a smaller index, without ${listed(left)}`);
    const index = JSON.parse(new TextDecoder().decode(bytes)) as { manifests: { readonly digest: string }[] };
    index.manifests = index.manifests.filter(({ digest }) => kept.has(digest));
    const smaller = new TextEncoder().encode(JSON.stringify(index));
    return { descriptor: describe(smaller, descriptor.mediaType), bytes: smaller, blobs: [], parts };
  }

  #newIndex(platforms: readonly PlatformImage[]): WrittenDocument {
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
    return { descriptor: describe(bytes, OCI_INDEX), bytes, blobs: [], parts };
  }

  /** Matches Docker 25 byte for byte, so that its archives keep their manifest digests. */
  #make(image: SavedImage): WrittenDocument {
    const layers = image.layers.map(({ blob }) => blob);
    const missing = layers.find(({ digest }) => !this.#saved.hasBlob(digest));
    if (missing !== undefined) {
      throw new StoreError(
        'BLOB_MISSING',
        `cannot save ${image.id}: expected the layer file ${missing.digest}, found none`,
        { data: { image: image.id, blob: missing.digest } },
      );
    }
    const config = { digest: image.id, size: image.config.length, mediaType: OCI_CONFIG };
    const document = {
      schemaVersion: 2,
      mediaType: OCI_MANIFEST,
      artifactType: '',
      config: fromDescriptor(config, { platform: toPlatformDocument(image.image.platform()) }),
      layers: layers.map((layer) => fromDescriptor(layer)),
      blobs: null,
      subject: undefined,
    };
    const bytes = encodeDocument(document, manifestCodec);
    return { descriptor: describe(bytes, OCI_MANIFEST), bytes, blobs: layers, parts: [], image: image.id };
  }
}

/** Annotation of BuildKit: the manifest that an attestation is about. */
const ATTESTED = 'vnd.docker.reference.digest';

interface IndexEntry {
  readonly child: Descriptor;
  readonly document: DescriptorDocument;
}

function entriesOf(descriptor: Descriptor, bytes: Uint8Array): readonly IndexEntry[] {
  const where = `index ${descriptor.digest}`;
  const documents = parseDocument(bytes, indexCodec, where).manifests ?? [];
  return documents.map((document) => ({ child: toDescriptor(document, where), document }));
}

function shownEntry({ child, document: { annotations, platform } }: IndexEntry): string {
  // The platform of an attestation is unknown/unknown.
  if (annotations?.[ATTESTED] !== undefined) return 'attestations';
  return platform === undefined ? child.digest : formatPlatform({ ...platform, osFeatures: undefined });
}

function listed(entries: readonly string[]): string {
  return [...new Set(entries)].join(', ');
}

/** Returns an index of `manifests`, as Docker writes it. */
export function indexOf(
  manifests: readonly DescriptorDocument[],
  annotations: Readonly<Record<string, string>> | null = null,
): IndexDocument {
  return { schemaVersion: 2, mediaType: OCI_INDEX, artifactType: '', manifests, subject: undefined, annotations };
}

/** Converts a platform to its form in OCI documents. */
export function toPlatformDocument(platform: Platform): PlatformDocument {
  const { os, architecture, variant = '', osVersion = '', osFeatures = null } = platform;
  return { architecture, os, osVersion, osFeatures, variant };
}

function describe(bytes: Uint8Array, mediaType: string): Descriptor {
  return { digest: digestOf(bytes), size: bytes.length, mediaType };
}
