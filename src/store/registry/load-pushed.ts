import type { ReferenceEntry } from '../../../projections/references.js';
import { ArchiveFile, type ArchiveContents, type KnownFile } from '../../archive/archive-files.js';
import { blobName, type NamedFiles } from '../../archive/archive-tree.js';
import {
  encodeDocument,
  fromDescriptor,
  indexCodec,
  type IndexDocument,
  isForeignType,
  isIndexType,
  isManifestType,
  manifestCodec,
  type ManifestDocument,
  parseDocument,
} from '../../archive/documents.js';
import type { Measurement } from '../../archive/layer-meter.js';
import { CONTAINERD_NAME } from '../../archive/names.js';
import { readPushed } from '../../archive/read-pushed.js';
import { indexOf } from '../../archive/saved-documents.js';
import { isStoreError, StoreError } from '../../errors.js';
import { MAX_PUSHED_MANIFEST_BYTES } from '../../limits.js';
import { type Descriptor, type Digest, digestOf, isDigest } from '../../model/digest.js';
import type { LayerFacts } from '../../model/events.js';
import { canonicalReference, parseRepository } from '../../model/reference.js';
import { loadContents } from '../archives/load-archive.js';
import type { StoreContext } from '../context.js';
import { StoredBlob } from '../layers/blob-store.js';
import type { PushRequest, PushResult, UploadArea } from '../registry-store.js';
import type { WriteOptions } from '../store.js';
import { originOf } from '../writer.js';
import { linksOf, type Members } from './repositories.js';

/** What a push takes from the registry. */
interface PushPlace {
  readonly context: StoreContext;
  readonly uploads: UploadArea;
  readonly members: (repository: string) => Members;
  readonly references: (repository: string) => ReadonlySet<string>;
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
  'ARCHIVE_LIMIT_EXCEEDED',
] as const;

/** Pushes a manifest or index in one transaction. */
export async function loadPushed(request: PushRequest, options: WriteOptions, place: PushPlace): Promise<PushResult> {
  const { context, uploads } = place;
  const origin = originOf(options, context.actor);
  if (context.layerPlace !== 'own') throw new StoreError('LAYERS_UNAVAILABLE', 'this store keeps no files of layers');
  const pushed = checked(request);
  const pinned = pinAll(pushed, place);
  try {
    const files = new PushedFiles(pushed, place);
    files.requireBlobs();
    const contents = await readFor(files, pushed, place);
    try {
      const { notices, seq } = await loadContents(contents, { origin, overwrite: true }, context);
      const { digest } = pushed.descriptor;
      if (!isKept(digest, context)) throw notKept(digest, notices);
      await uploads.settle(
        pushed.repository,
        pushed.blobs.map((blob) => blob.digest),
      );
      return { digest, subject: pushed.subject, notices, seq };
    } finally {
      await contents.discard();
    }
  } finally {
    pinned();
  }
}

/** A manifest or index whose form is right. */
interface Pushed {
  readonly repository: string;
  readonly descriptor: Descriptor;
  readonly bytes: Uint8Array;
  /** References to set: by digest, then each tag. */
  readonly references: readonly string[];
  readonly subject: Digest | undefined;
  /** Config and layers of a manifest; what an index names besides manifests. */
  readonly blobs: readonly Descriptor[];
  /** Manifests and indexes that an index names. */
  readonly children: readonly Descriptor[];
}

function checked({ repository, mediaType, bytes, digest, tags = [] }: PushRequest): Pushed {
  parseRepository(repository);
  const found = digestOf(bytes);
  if (digest !== undefined && found !== digest) {
    throw new StoreError('BLOB_MISMATCH', `the manifest has the digest ${found}, not ${digest}`, {
      data: { digest, found },
    });
  }
  if (bytes.length > MAX_PUSHED_MANIFEST_BYTES) {
    const message = `cannot take the manifest ${found}: it has ${bytes.length} bytes, at most ${MAX_PUSHED_MANIFEST_BYTES} are allowed`;
    throw new StoreError('ARCHIVE_LIMIT_EXCEEDED', message, { data: { limit: MAX_PUSHED_MANIFEST_BYTES } });
  }
  const where = `manifest ${found}`;
  const isIndex = isIndexType(mediaType);
  if (!isIndex && !isManifestType(mediaType)) {
    throw invalid(
      where,
      `expected the media type of a manifest or index, found ${JSON.stringify(mediaType.slice(0, 100))}`,
    );
  }
  const document = isIndex ? parseDocument(bytes, indexCodec, where) : parseDocument(bytes, manifestCodec, where);
  if (document.mediaType !== '' && isIndexType(document.mediaType) !== isIndex) {
    throw invalid(where, `it says that it is ${document.mediaType}, and was sent as ${mediaType}`);
  }
  if (document.schemaVersion !== 2) throw invalid(where, `expected schemaVersion 2, found ${document.schemaVersion}`);
  const subject = document.subject?.digest;
  return {
    repository,
    descriptor: { digest: found, size: bytes.length, mediaType },
    bytes,
    references: [`${repository}@${found}`, ...tags.map((tag) => canonicalReference(`${repository}:${tag}`))],
    subject: subject !== undefined && isDigest(subject) ? subject : undefined,
    blobs: blobsOf(document, where),
    children: isIndex ? linksOf(bytes).manifests : [],
  };
}

function blobsOf(document: IndexDocument | ManifestDocument, where: string): Descriptor[] {
  const named =
    'config' in document
      ? [document.config, ...(document.layers ?? []), ...(document.blobs ?? [])]
      : (document.manifests ?? []).filter(({ mediaType }) => !isIndexType(mediaType) && !isManifestType(mediaType));
  return named
    .filter(({ digest }) => digest !== '')
    .map(({ digest, size, mediaType }) => {
      if (!isDigest(digest) || typeof size !== 'number')
        throw invalid(where, `expected a SHA-256 digest and a size, found ${JSON.stringify(digest.slice(0, 100))}`);
      return { digest, size, mediaType };
    });
}

function invalid(where: string, what: string): StoreError {
  return new StoreError('ARCHIVE_MANIFEST_INVALID', `cannot read the ${where}: ${what}`, { data: { where } });
}

function notKept(digest: Digest, notices: readonly string[]): StoreError {
  return new StoreError('ARCHIVE_MANIFEST_INVALID', `cannot keep the manifest ${digest}: ${notices.join('; ')}`, {
    data: { digest },
  });
}

function isKept(digest: Digest, { log }: StoreContext): boolean {
  return log.content(digest) !== undefined;
}

/** Keeps the blobs of the store that the push names from being removed until it is durable. */
function pinAll({ blobs: named }: Pushed, { context: { blobs, isBlobNeeded } }: PushPlace): () => void {
  const digests = new Set(named.map(({ digest }) => digest));
  for (const digest of digests) blobs.pin(digest);
  return () => {
    for (const digest of digests) blobs.unpin(digest);
    // Never rejects: what cannot be removed waits for the next open's sweep.
    void blobs.removeUnneeded(digests, isBlobNeeded);
  };
}

/** Reads what was pushed: as an image if it is one whose layers are here, else as it came. */
async function readFor(files: PushedFiles, { descriptor }: Pushed, { context }: PushPlace): Promise<ArchiveContents> {
  const isKnownArtifact = (digest: Digest): boolean => context.views.artifacts.byDigest.has(digest);
  const readAsItCame = async (why: string): Promise<ArchiveContents> => {
    const isArtifact = (digest: Digest): boolean => digest === descriptor.digest || isKnownArtifact(digest);
    const contents = await readPushed(files, context.blobs, { isArtifact });
    return { ...contents, notices: [...contents.notices, `kept as it came, not as an image: ${why}`] };
  };
  const elsewhere = files.foreignElsewhere();
  if (elsewhere !== undefined) return readAsItCame(`its layer ${elsewhere} was not pushed`);
  try {
    return await readPushed(files, context.blobs, { isArtifact: isKnownArtifact });
  } catch (error) {
    if (isIndexType(descriptor.mediaType) || !NO_IMAGE.some((code) => isStoreError(error, code))) throw error;
    return readAsItCame(error instanceof Error ? error.message : String(error));
  }
}

/** The files of a layout: what is pushed, and what the repository or the store has already. */
class PushedFiles implements NamedFiles {
  readonly #pushed: Pushed;
  readonly #place: PushPlace;
  readonly #files = new Map<string, ArchiveFile | undefined>();
  readonly #foreign: ReadonlySet<Digest>;
  #layers: Map<Digest, LayerFacts> | undefined;

  constructor(pushed: Pushed, place: PushPlace) {
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

  /**
   * Children of an index may come later. Those of other repositories may not be reached through it.
   * @throws {StoreError} BLOB_NOT_FOUND unless the repository has every blob that the manifest names
   */
  requireBlobs(): void {
    const { repository, blobs, children, descriptor } = this.#pushed;
    const { members, context } = this.#place;
    const { manifests } = members(repository);
    const missing = [
      ...blobs.filter(({ digest, mediaType }) => !isForeignType(mediaType) && !this.#isHere(digest)),
      ...children.filter(({ digest }) => !manifests.has(digest) && context.log.content(digest) !== undefined),
    ];
    if (missing.length === 0) return;
    const digests = [...new Set(missing.map(({ digest }) => digest))];
    throw new StoreError(
      'BLOB_NOT_FOUND',
      `${repository} lacks what the manifest ${descriptor.digest} names: ${digests.slice(0, 3).join(', ')}`,
      { data: { repository, digests } },
    );
  }

  /** A layer that may be elsewhere, and is (OCI image spec, layer.md, "Non-Distributable Layers"). */
  foreignElsewhere(): Digest | undefined {
    return this.#pushed.blobs.find(({ digest, mediaType }) => isForeignType(mediaType) && !this.#isHere(digest))
      ?.digest;
  }

  #isHere(digest: Digest): boolean {
    return this.#isOwn(digest) && this.file(blobName(digest)) !== undefined;
  }

  /** Whether the repository has the blob, or it was pushed to it. */
  #isOwn(digest: Digest): boolean {
    const { repository } = this.#pushed;
    const { uploads, members } = this.#place;
    return uploads.staged(repository, digest) !== undefined || members(repository).blobs.has(digest);
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
    const { file, size, measurement = this.#measured(digest, size) } = staged;
    return { file, digest, size, measurement };
  }

  #stored(digest: Digest): KnownFile | undefined {
    const { views, blobs } = this.#place.context;
    const size = views.blobs.byDigest.get(digest)?.size;
    if (size === undefined || blobs.size(digest) !== size) return undefined;
    return { file: new StoredBlob(blobs, digest), digest, size, measurement: this.#measured(digest, size) };
  }

  /** What a layer of the store was measured as; undefined if only another layer file has its diff id. */
  #measured(digest: Digest, size: number): Measurement | undefined {
    this.#layers ??= new Map(
      [...this.#place.context.views.layers.byChain.values()].map((facts) => [facts.blob.digest, facts]),
    );
    const facts = this.#layers.get(digest);
    if (facts === undefined) return undefined;
    const { diffId, diffSize, blob } = facts;
    return { compression: 'none', blob: { ...blob, size }, layer: { diffId, diffSize } };
  }

  /**
   * The pushed manifest under each of its names, and each index of the repository that names it: a
   * reference to the index then has the image of one more platform.
   */
  #index(): Uint8Array {
    const { descriptor, references, repository } = this.#pushed;
    const entry = (target: Descriptor, name: string) =>
      fromDescriptor(target, { annotations: { [CONTAINERD_NAME]: name } });
    const entries = references.map((name) => entry(descriptor, name));
    const indexes = this.#place.members(repository).indexesOf.get(descriptor.digest) ?? new Set<Digest>();
    const moved = new Set(references);
    for (const reference of indexes.size === 0 ? [] : this.#place.references(repository)) {
      const known: ReferenceEntry | undefined = this.#place.context.views.references.byName.get(reference);
      if (known?.target === undefined || moved.has(reference) || !indexes.has(known.target.digest)) continue;
      entries.push(entry(known.target, reference));
    }
    return encodeDocument(indexOf(entries), indexCodec);
  }
}
