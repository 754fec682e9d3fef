import { type ArchiveContents, ArchiveFile, type KnownFile } from '../../archive/archive-files.js';
import { blobName, type NamedFiles } from '../../archive/archive-tree.js';
import {
  type DescriptorDocument,
  encodeDocument,
  fromDescriptor,
  indexCodec,
  isForeignType,
  isIndexType,
} from '../../archive/documents.js';
import type { Measurement } from '../../archive/layer-meter.js';
import { CONTAINERD_NAME } from '../../archive/names.js';
import { indexOf } from '../../archive/saved-documents.js';
import { isStoreError, StoreError, thrownText } from '../../errors.js';
import { type ContentName, type Descriptor, type Digest, isDigest } from '../../model/digest.js';
import type { StoreContext } from '../context.js';
import { StoredBlob } from '../layers/blob-store.js';
import type { PushRequest, PushResult, UploadArea } from '../registry-store.js';
import type { LayersByBlob } from './layers-by-blob.js';
import { checkedManifest, type PushedManifest } from './pushed-manifest.js';
import type { Members } from './members.js';
import type { Repositories, RepositoryLocks } from './repositories.js';
import { readPushed } from '../../archive/read-archive.js';
import { MAX_RECORD_BYTES } from '../../limits.js';
import { discardStaged, loadContents } from '../archives/load-archive.js';
import type { WriteOptions } from '../store.js';
import { type Origin, originOf } from '../writer.js';

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

/** What is wrong with an image as such: a registry keeps its manifest as it came. */
const NO_IMAGE = [
  'LAYER_INVALID',
  'LAYER_MISMATCH',
  'LAYER_MISSING',
  'COMPRESSION_INVALID',
  'CONFIG_INVALID',
  'CONFIG_TOO_LARGE',
  'HISTORY_INVALID',
  'ARCHIVE_MANIFEST_INVALID',
  'ARCHIVE_LIMIT_EXCEEDED',
] as const;

/** A lock that every push takes: no repository has this name. */
const EVERY_REPOSITORY = '';

/** Pushes a manifest or index in one transaction, by the decision that loads an archive. */
export async function loadPushed(request: PushRequest, options: WriteOptions, place: PushPlace): Promise<PushResult> {
  const { context } = place;
  const origin = originOf(options, context.actor);
  if (context.layerPlace !== 'own') throw new StoreError('LAYERS_UNAVAILABLE', 'this store keeps no files of layers');
  const pushed = checkedManifest(request);
  for (;;) {
    // What an index leads to and the tags of indexes change one push at a time.
    const isAlone = isIndexType(pushed.descriptor.mediaType) || isNamed(pushed, place);
    const push = async (): Promise<PushResult | undefined> => {
      if (!isAlone && isNamed(pushed, place)) return undefined;
      return tryOnce(pushed, { origin, place });
    };
    const inRepository = (): ReturnType<typeof push> =>
      place.locks.run(pushed.repository, isAlone ? 'alone' : 'shared', push);
    // Another repository must not get meanwhile what an index names before it is there.
    const isAhead = pushed.children.some(({ digest }) => isDigest(digest) && !place.context.log.content(digest));
    const result = await place.locks.run(EVERY_REPOSITORY, isAhead ? 'alone' : 'shared', inRepository);
    if (result !== undefined) return result;
  }
}

/** Whether an index of the repository names it. */
function isNamed({ repository, descriptor }: PushedManifest, { repositories }: PushPlace): boolean {
  return repositories.members(repository).indexesOf.has(descriptor.digest);
}

/** Where a push comes from and goes to. */
interface PushTry {
  readonly origin: Origin;
  readonly place: PushPlace;
}

/** Resolves with undefined if another push or a client took a staged blob meanwhile. */
async function tryOnce(pushed: PushedManifest, { origin, place }: PushTry): Promise<PushResult | undefined> {
  const files = new PushedFiles(pushed, place);
  try {
    return await loadOnce(pushed, files, { origin, place });
  } catch (error) {
    // It is elsewhere now, or the next try says that it is missing.
    if (isStoreError(error, 'IO_FAILED') && files.hasLostBlobs()) return undefined;
    throw isStoreError(error, 'RECORD_TOO_LARGE') ? tooManyNamed(pushed, error) : error;
  }
}

async function loadOnce(pushed: PushedManifest, files: PushedFiles, { origin, place }: PushTry): Promise<PushResult> {
  const unpin = files.pin();
  try {
    files.requireBlobs();
    const contents = await readContents(files, pushed, place);
    try {
      const { refreshed } = files;
      const options = { origin, overwrite: true, refreshed };
      const { notices, seq, references } = await loadContents(contents, options, place.context);
      const isKept = pushed.references.every((name) => references.some(({ reference }) => reference === name));
      if (!isKept) throw notKept(pushed, notices);
      const { name, subject, descriptor } = pushed;
      const unsettled = await settle(pushed, place);
      return { digest: descriptor.digest, name, subject, notices: [...notices, ...unsettled], seq };
    } finally {
      await discardStaged(contents, place.context);
    }
  } finally {
    unpin();
  }
}

/** The push is committed: that its staged blobs stay until they expire is only a notice. */
async function settle({ repository, blobs }: PushedManifest, { uploads }: PushPlace): Promise<readonly string[]> {
  try {
    await uploads.settle(
      repository,
      blobs.map(({ digest }) => digest),
    );
    return [];
  } catch (error) {
    return [`pushed, but its uploaded blobs stay until they expire: ${thrownText(error)}`];
  }
}

/** Reads what was pushed: as an image if it is one whose layers are here, else as it came. */
async function readContents(
  files: PushedFiles,
  pushed: PushedManifest,
  { context }: PushPlace,
): Promise<ArchiveContents> {
  const { descriptor, name, isArtifact } = pushed;
  const { digest, mediaType } = descriptor;
  const isKnown = (other: Digest): boolean => context.views.artifacts.byDigest.has(other);
  const options = {
    digestOf: (other: string) => files.digestOf(other),
    aliasOf: (other: Digest) => (other === digest && name !== digest ? name : undefined),
  };
  const asItCame = { ...options, isArtifact: (other: Digest) => other === digest || isKnown(other) };
  if (isArtifact) return readPushed(files, context.blobs, asItCame);
  const elsewhere = files.foreignElsewhere();
  try {
    // Another repository may have it without the layers that are here.
    const isOther = (other: Digest): boolean => other !== digest && isKnown(other);
    const isArtifactHere = pushed.blobs.some(({ mediaType: type }) => isForeignType(type)) ? isOther : isKnown;
    if (elsewhere === undefined) {
      return await readPushed(files, context.blobs, { ...options, isArtifact: isArtifactHere });
    }
    throw new StoreError('LAYER_MISSING', `its layer ${elsewhere} was not pushed`);
  } catch (error) {
    if (isIndexType(mediaType) || !NO_IMAGE.some((code) => isStoreError(error, code))) throw error;
    const contents = await readPushed(files, context.blobs, asItCame);
    const why = thrownText(error);
    return { ...contents, notices: [...contents.notices, `kept as it came, not as an image: ${why}`] };
  }
}

function tooManyNamed({ descriptor: { digest }, blobs, children }: PushedManifest, cause: StoreError): StoreError {
  const count = blobs.length + children.length;
  const message =
    `cannot take the manifest ${digest}: it names ${count} manifests and blobs, ` +
    `and an event that lists them has room for ${MAX_RECORD_BYTES} bytes`;
  return new StoreError('RECORD_TOO_LARGE', message, { cause, data: { ...cause.data, count } });
}

function notKept({ descriptor: { digest } }: PushedManifest, notices: readonly string[]): StoreError {
  const message = `cannot keep the manifest ${digest}: ${notices.join('; ')}`;
  return new StoreError('ARCHIVE_MANIFEST_INVALID', message, { data: { digest } });
}
