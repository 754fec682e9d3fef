import { ArchiveFile, type KnownFile } from '../../archive/archive-files.js';
import { blobName, type NamedFiles } from '../../archive/archive-tree.js';
import {
  type DescriptorDocument,
  encodeDocument,
  fromDescriptor,
  indexCodec,
  isForeignType,
} from '../../archive/documents.js';
import type { Measurement } from '../../archive/layer-meter.js';
import { CONTAINERD_NAME } from '../../archive/names.js';
import { indexOf } from '../../archive/saved-documents.js';
import { StoreError } from '../../errors.js';
import { type ContentName, type Descriptor, type Digest, isDigest } from '../../model/digest.js';
import type { StoreContext } from '../context.js';
import { StoredBlob } from '../layers/blob-store.js';
import type { UploadArea } from '../registry-store.js';
import type { LayersByBlob } from './layers-by-blob.js';
import type { PushedManifest } from './pushed-manifest.js';
import type { Members } from './members.js';
import type { Repositories } from './repositories.js';
import type { RepositoryLocks } from './repository-locks.js';

/** What a push takes from the registry. */
export interface PushPlace {
  readonly context: StoreContext;
  readonly uploads: UploadArea;
  readonly repositories: Repositories;
  readonly layers: LayersByBlob;
  readonly locks: RepositoryLocks;
  /** What blobs are as layers, as far as it was measured. */
  readonly measured: Map<Digest, Measurement>;
}

/** The files of an OCI layout: what is pushed, and what the repository or the store has already. */
export class PushedFiles implements NamedFiles {
  readonly #pushed: PushedManifest;
  readonly #place: PushPlace;
  readonly #files = new Map<string, ArchiveFile | undefined>();
  readonly #foreign: ReadonlySet<ContentName>;
  /** Staged blobs that were given out. */
  readonly #lent = new Set<Digest>();
  /** References to indexes that lead to what is pushed, and what else these name that the repository lacks. */
  readonly refreshed = new Map<string, () => readonly Digest[]>();

  constructor(pushed: PushedManifest, place: PushPlace) {
    this.#pushed = pushed;
    this.#place = place;
    this.#foreign = new Set(
      pushed.blobs.filter(({ mediaType }) => isForeignType(mediaType)).map(({ digest }) => digest),
    );
  }

  file(name: string): ArchiveFile | undefined {
    if (!this.#files.has(name)) this.#files.set(name, this.#find(name));
    return this.#files.get(name);
  }

  /** Returns the SHA-256 digest of what the repository, or one of its uploads, has by another name. */
  digestOf(name: ContentName): Digest | undefined {
    if (isDigest(name)) return name;
    const { uploads, repositories } = this.#place;
    const { repository } = this.#pushed;
    const staged = uploads.staged(repository, name)?.digest;
    if (staged !== undefined) return staged;
    const { blobs, manifests } = repositories.members(repository);
    return (blobs.get(name) ?? manifests.get(name))?.digest;
  }

  /** Keeps the blobs of the store that the push names from being removed, until the returned call. */
  pin(): () => void {
    const { blobs, isBlobNeeded } = this.#place.context;
    const digests = new Set(this.#pushed.blobs.flatMap(({ digest }) => this.digestOf(digest) ?? []));
    for (const digest of digests) blobs.pin(digest);
    return () => {
      for (const digest of digests) blobs.unpin(digest);
      // Never rejects: what cannot be removed waits for the next open's sweep.
      void blobs.removeUnneeded(digests, isBlobNeeded);
    };
  }

  /**
   * Children of an index may come later. Those of another repository must not be reached through it.
   * @throws {StoreError} BLOB_NOT_FOUND unless the repository has every blob that the manifest names
   */
  requireBlobs(): void {
    const { repository, blobs, children, descriptor } = this.#pushed;
    const missing = [
      ...blobs.filter(({ digest, mediaType }) => !isForeignType(mediaType) && !this.#hasBlob(digest)),
      ...children.filter(({ digest }) => this.#isOfOthers(digest)),
    ];
    if (missing.length === 0) return;
    const digests = [...new Set(missing.map(({ digest }) => digest))];
    const message = `${repository} lacks what the manifest ${descriptor.digest} names: ${digests.slice(0, 3).join(', ')}`;
    throw new StoreError('BLOB_NOT_FOUND', message, { data: { repository, digests } });
  }

  /** A layer that may be elsewhere, and is (OCI image spec, layer.md, "Non-Distributable Layers"). */
  foreignElsewhere(): ContentName | undefined {
    const { blobs } = this.#pushed;
    return blobs.find(({ digest, mediaType }) => isForeignType(mediaType) && !this.#hasBlob(digest))?.digest;
  }

  #isOfOthers(child: ContentName): boolean {
    const { context, repositories } = this.#place;
    const isKnown = isDigest(child) && context.log.content(child) !== undefined;
    return isKnown && !repositories.members(this.#pushed.repository).manifests.has(child);
  }

  /** Whether a staged blob went meanwhile: another push made it the store's, or a client removed it. */
  hasLostBlobs(): boolean {
    const { repository } = this.#pushed;
    return [...this.#lent].some((digest) => this.#place.uploads.staged(repository, digest) === undefined);
  }

  #hasBlob(name: ContentName): boolean {
    const digest = this.#isOwn(name) ? this.digestOf(name) : undefined;
    return digest !== undefined && this.file(blobName(digest)) !== undefined;
  }

  /** Whether the repository has the blob, or it was pushed to it. */
  #isOwn(name: ContentName): boolean {
    const { uploads, repositories } = this.#place;
    const { repository } = this.#pushed;
    return uploads.staged(repository, name) !== undefined || repositories.members(repository).blobs.has(name);
  }

  #find(name: string): ArchiveFile | undefined {
    const { context } = this.#place;
    const inMemory = (bytes: Uint8Array): ArchiveFile => ArchiveFile.inMemory(name, bytes, context.blobs);
    if (name === 'oci-layout') return inMemory(new TextEncoder().encode('{"imageLayoutVersion":"1.0.0"}'));
    if (name === 'index.json') return inMemory(this.#index());
    const digest = `sha256:${name.slice(name.lastIndexOf('/') + 1)}`;
    if (!isDigest(digest)) return undefined;
    if (digest === this.#pushed.descriptor.digest) return inMemory(this.#pushed.bytes);
    // Another repository may have it: naming it as foreign must not give it away.
    if (this.#foreign.has(digest) && !this.#isOwn(digest)) return undefined;
    const known = this.#staged(digest) ?? this.#stored(digest);
    if (known !== undefined) return ArchiveFile.known(name, known, context.blobs);
    const content = context.log.content(digest);
    return content && inMemory(content);
  }

  #staged(digest: Digest): KnownFile | undefined {
    const staged = this.#place.uploads.staged(this.#pushed.repository, digest);
    if (staged === undefined) return undefined;
    this.#lent.add(digest);
    const { file, size, measurement } = staged;
    return { file, digest, size, ...this.#measured(digest, size, measurement) };
  }

  #stored(digest: Digest): KnownFile | undefined {
    const { views, blobs } = this.#place.context;
    const size = views.blobs.byDigest.get(digest)?.size;
    if (size === undefined || blobs.size(digest) !== size) return undefined;
    return { file: new StoredBlob(blobs, digest), digest, size, ...this.#measured(digest, size) };
  }

  /**
   * What a blob is as a layer: decompressed once, not for each manifest that names it. The layers of the
   * store have no file of an artifact, nor one of several with the same diff id.
   */
  #measured(digest: Digest, size: number, found?: Measurement): Pick<KnownFile, 'measurement' | 'onMeasured'> {
    const { measured } = this.#place;
    const onMeasured = (measurement: Measurement): void => void measured.set(digest, measurement);
    // What is not compressed costs no decompression to see.
    if (found !== undefined && found.compression !== 'none') onMeasured(found);
    return { measurement: found ?? this.#layer(digest, size) ?? measured.get(digest), onMeasured };
  }

  #layer(digest: Digest, size: number): Measurement | undefined {
    const facts = this.#place.layers.get(digest);
    if (facts === undefined) return undefined;
    const { diffId, diffSize, blob } = facts;
    return { compression: 'none', blob: { ...blob, size }, layer: { diffId, diffSize } };
  }

  /**
   * The pushed manifest under each of its names, and each index of the repository that leads to it: a
   * reference to the index then has the image of one more platform.
   */
  #index(): Uint8Array {
    const { descriptor, references, repository } = this.#pushed;
    const { context, repositories } = this.#place;
    const entries = references.map((name) => namedEntry(descriptor, name));
    const indexes = indexesAbove(descriptor.digest, repositories.members(repository).indexesOf);
    const others = indexes.size === 0 ? [] : (repositories.references(repository) ?? []);
    for (const reference of others) {
      const target = context.views.references.byName.get(reference)?.target;
      if (target === undefined || references.includes(reference) || !indexes.has(target.digest)) continue;
      entries.push(namedEntry(target, reference));
      const lacking = (): ReadonlySet<Digest> => repositories.members(repository).lackingBelow(target.digest);
      this.refreshed.set(reference, () => [...lacking()].filter((digest) => digest !== descriptor.digest));
    }
    return encodeDocument(indexOf(entries), indexCodec);
  }
}

/** Indexes that name `digest`, or an index above it. */
function indexesAbove(digest: Digest, indexesOf: Members['indexesOf']): ReadonlySet<Digest> {
  const above = new Set<Digest>(indexesOf.get(digest));
  // A set gives also what is added while it is read.
  for (const index of above) for (const next of indexesOf.get(index) ?? []) above.add(next);
  return above;
}

function namedEntry(target: Descriptor, name: string): DescriptorDocument {
  return fromDescriptor(target, { annotations: { [CONTAINERD_NAME]: name } });
}
