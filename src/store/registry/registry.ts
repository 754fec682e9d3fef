import { Readable } from 'node:stream';
import type { ReferenceEntry } from '../../../projections/references.js';
import type { Page } from '../../../projections/projection.js';
import type { Views } from '../../../projections/views.js';
import { isStoreError, loadCode } from '../../errors.js';
import type { Measurement } from '../../archive/layer-meter.js';
import { MAX_KEPT_PAST_REGISTRIES, MAX_SEARCHED_REPOSITORIES } from '../../limits.js';
import { type ContentName, type Digest, type ImageId, isContentName } from '../../model/digest.js';
import { RecentMap } from '../../model/collections.js';
import type { Referrer } from '../artifacts.js';
import { refuseErased } from '../commands/decision.js';
import { decideConfirm, decideRemoveReferences } from '../commands/tag.js';
import type { StoreContext } from '../context.js';
import { type PastOptions, seqAt, type When } from '../past/audit.js';
import type {
  ByteRange,
  PullCount,
  PushRequest,
  PushResult,
  RegistryBlob,
  RegistryDocument,
  RegistryReads,
  RegistryStore,
  UploadArea,
} from '../registry-store.js';
import { pastViewsAt } from '../snapshots/views-at.js';
import type { WriteOptions } from '../store.js';
import { BuildSlots } from './build-slots.js';
import { LayersByBlob } from './layers-by-blob.js';
import { PullCounts } from './pull-counts.js';
import { Repositories, RepositoryLocks } from './repositories.js';
import { SavedDocuments } from '../../archive/saved-documents.js';
import { savedImage } from '../archives/save-archive.js';

/** A document without the name that a repository has for it. */
type StoredDocument = Omit<RegistryDocument, 'name'>;

/** Reads repositories of the present or the past: only the views differ. */
class RegistryReader implements RegistryReads {
  readonly #context: StoreContext;
  readonly #views: Views;
  readonly repositoriesOf: Repositories;
  readonly layers: LayersByBlob;
  /** The manifests of the store. */
  #known: Map<Digest, Known> | undefined;

  constructor(context: StoreContext, views: Views) {
    this.#context = context;
    this.#views = views;
    this.layers = new LayersByBlob(() => views.layers);
    this.repositoriesOf = new Repositories({
      views,
      documentOf: (entry) => this.#keptDocumentOf(entry),
      contentOf: (digest, seq) => this.#knownContent(digest, seq),
    });
  }

  repositories(): string[] {
    this.#context.checkOpen();
    return this.repositoriesOf.all();
  }

  tags(repository: string): string[] | undefined {
    this.#context.checkOpen();
    return this.repositoriesOf.tags(repository)?.slice();
  }

  manifest(repository: string, tagOrName: string): RegistryDocument | undefined {
    this.#context.checkOpen();
    if (!isContentName(tagOrName)) {
      const entry = this.#views.references.byName.get(`${repository}:${tagOrName}`);
      const document = entry && this.#documentOf(entry);
      return document && { ...document, name: this.repositoriesOf.nameOf(repository, document.descriptor.digest) };
    }
    const descriptor = this.repositoriesOf.members(repository).manifests.get(tagOrName);
    if (descriptor === undefined) {
      const entry = this.#views.references.byName.get(`${repository}@${tagOrName}`);
      if (entry !== undefined) this.#documentOf(entry);
      return undefined;
    }
    const bytes = this.#context.log.content(descriptor.digest);
    if (bytes !== undefined) return { descriptor, bytes, name: tagOrName };
    refuseErased(this.#context.views.erasures, descriptor.digest);
    return this.#madeAs(repository, descriptor.digest);
  }

  blob(repository: string, name: ContentName): RegistryBlob | undefined {
    this.#context.checkOpen();
    const target = this.repositoriesOf.members(repository).blobs.get(name);
    return target && (this.#config(target.digest) ?? this.#file(target.digest));
  }

  /** A file of another size than its event says is as good as none: a push brings it again. */
  #file(digest: Digest): RegistryBlob | undefined {
    const { blobs, onNotice } = this.#context;
    const size = blobs.size(digest);
    if (size === undefined) return undefined;
    const expected = this.#views.blobs.byDigest.get(digest)?.size ?? size;
    if (size !== expected) {
      onNotice(`the layer blob ${digest} has ${size} bytes, ${expected} were written: \`verify\` says what is damaged`);
      return undefined;
    }
    const read = (range?: ByteRange): Readable => blobs.stream(digest, range);
    return { digest, size, read, lend: (nextBuffer, range) => blobs.lend(digest, nextBuffer, range) };
  }

  repositoriesWith(blob: ContentName): string[] {
    this.#context.checkOpen();
    // A client that leaves out the repository has just used it, or uploads what is there already.
    const searched = this.repositoriesOf.all().slice(0, MAX_SEARCHED_REPOSITORIES);
    return searched.filter((repository) => this.repositoriesOf.members(repository).blobs.has(blob));
  }

  referrers(repository: string, subject: ContentName): Referrer[] {
    this.#context.checkOpen();
    const { manifests } = this.repositoriesOf.members(repository);
    const digest = manifests.get(subject)?.digest ?? (subject as Digest);
    return [...(this.#views.artifacts.bySubject.get(digest) ?? [])].flatMap((about): Referrer[] => {
      const descriptor = manifests.get(about);
      const bytes = this.#context.log.content(about);
      return descriptor === undefined || bytes === undefined ? [] : [{ ...descriptor, ...describe(bytes) }];
    });
  }

  #config(digest: Digest): RegistryBlob | undefined {
    if (!this.#views.images.has(digest as ImageId)) return undefined;
    const bytes = this.#context.readConfig(digest as ImageId).bytes();
    return { digest, size: bytes.length, read: (range) => bytesStream(bytes, range) };
  }

  #documentOf(entry: ReferenceEntry): StoredDocument | undefined {
    const { image, target } = entry;
    if (target !== undefined) {
      const bytes = this.#context.log.content(target.digest);
      if (bytes === undefined) refuseErased(this.#context.views.erasures, target.digest);
      return bytes && { descriptor: target, bytes };
    }
    return image === undefined ? undefined : this.#imageDocument(image);
  }

  /** One reference whose content was erased hides no other of its repository. */
  #keptDocumentOf(entry: ReferenceEntry): StoredDocument | undefined {
    try {
      return this.#documentOf(entry);
    } catch (error) {
      if (isStoreError(error, 'CONTENT_ERASED')) return undefined;
      throw error;
    }
  }

  /** The first manifest that an image came with, else the one that `save` writes. */
  #imageDocument(image: ImageId): StoredDocument | undefined {
    for (const { manifest } of this.#views.manifests.get(image) ?? []) {
      const bytes = this.#context.log.content(manifest.digest);
      if (bytes !== undefined) return { descriptor: manifest, bytes };
    }
    return madeManifest(image, this.#context, this.#views);
  }

  /** A manifest of the repository that no archive brought. */
  #madeAs(repository: string, digest: Digest): RegistryDocument | undefined {
    for (const name of this.repositoriesOf.references(repository) ?? []) {
      const entry = this.#views.references.byName.get(name);
      const document = entry && this.#keptDocumentOf(entry);
      if (document?.descriptor.digest === digest) return { ...document, name: digest };
    }
    return undefined;
  }

  /** Takes over what events, folded already, changed. */
  note(page: Page): void {
    this.layers.note(page);
    for (const event of page) {
      if (event.type === 'ManifestAdded') this.#know(event.manifest.digest, event.seq);
      else if (event.type === 'ArtifactAdded') this.#know(event.artifact.digest, event.seq);
      else if (event.type === 'ImageDeleted' || event.type === 'ArtifactRemoved') this.#known = undefined;
    }
    this.repositoriesOf.note(page);
  }

  #know(digest: Digest, seq: number): void {
    if (this.#known?.has(digest) === false) this.#known.set(digest, { seq });
  }

  /** Content outlives its manifest, and that of the past may have come later. */
  #knownContent(digest: Digest, seq: number): Uint8Array | undefined {
    this.#known ??= knownDocuments(this.#views);
    let known = this.#known.get(digest);
    if (known === undefined || known.seq > seq) return undefined;
    if (known.image !== undefined) {
      known = addedBy(digest, { ...known, image: known.image, to: seq }, this.#context.log, this.#views);
      this.#known.set(digest, known);
    }
    return known.seq <= seq ? this.#context.log.content(digest) : undefined;
  }
}

/** A manifest of the store. */
interface Known {
  /** Event that added it; with `image`, one before which it was not added. */
  readonly seq: number;
  /** What it is a manifest of, until the log says which event added it. */
  readonly image?: ImageId | undefined;
}

/** The manifests and artifacts of a store, by when they came; an index of images alone is absent. */
function knownDocuments({ images, manifests, artifacts }: Views): Map<Digest, Known> {
  const known = new Map<Digest, Known>();
  // Views do not tell when a manifest came: not before its image.
  for (const [image, entries] of manifests) {
    for (const { manifest } of entries) known.set(manifest.digest, { seq: images.get(image)?.seq ?? 1, image });
  }
  for (const { artifact, seq } of artifacts.byDigest.values()) known.set(artifact.digest, { seq });
  return known;
}

/**
 * Finds which event from `seq` to `to` added a manifest of `image`; if none did, returns that it came
 * later. Looks first where most come: with the image, with a reference to them, just before the
 * index that names them. Only for what came otherwise are all events between read.
 * @throws {StoreError} LOG_CORRUPT
 */
function addedBy(
  digest: Digest,
  { seq: from, image, to }: { readonly seq: number; readonly image: ImageId; readonly to: number },
  log: Pick<StoreContext['log'], 'event'>,
  { references }: Pick<Views, 'references'>,
): Known {
  const adds = (seq: number): boolean => {
    const event = log.event(seq);
    return event?.type === 'ManifestAdded' && event.manifest.digest === digest;
  };
  const names = references.byImage.get(image) ?? [];
  const ends = [...names].flatMap((name) => references.byName.get(name) ?? []).map((entry) => entry.seq);
  for (const seq of [from, ...ends]) {
    const { first = seq, count = 0 } = log.event(seq)?.transaction ?? {};
    for (let at = Math.max(first, from); at < first + count; at++) if (adds(at)) return { seq: at };
  }
  for (let at = to; at >= from; at--) if (adds(at)) return { seq: at };
  return { seq: to + 1, image };
}

/** Type and annotations of a manifest, as the referrers API gives them (OCI distribution spec, "Listing Referrers"). */
function describe(bytes: Uint8Array): Pick<Referrer, 'artifactType' | 'annotations'> {
  const { artifactType, config, annotations } = JSON.parse(new TextDecoder().decode(bytes)) as {
    readonly artifactType?: string;
    readonly config?: { readonly mediaType?: string };
    readonly annotations?: Readonly<Record<string, string>> | null;
  };
  return { artifactType: artifactType || (config?.mediaType ?? ''), annotations: annotations ?? {} };
}

function bytesStream(bytes: Uint8Array, range: ByteRange | undefined): Readable {
  const part = range === undefined ? bytes : bytes.subarray(range.first, range.last + 1);
  return Readable.from([part], { objectMode: false });
}

/** Blobs whose findings as a layer are remembered: pushes that name others decompress them again. */
const KEPT_MEASUREMENTS = 10_000;

/** The registry of an open store. */
export class LocalRegistry implements RegistryStore {
  readonly #context: StoreContext;
  readonly uploads: UploadArea;
  readonly #pulls: PullCounts;
  readonly #locks = new RepositoryLocks();
  readonly #measured = new RecentMap<Digest, Measurement>(KEPT_MEASUREMENTS);
  #present: RegistryReader | undefined;
  /** By seq, the least recently used first. */
  readonly #past = new RecentMap<number, Promise<RegistryReader>>(MAX_KEPT_PAST_REGISTRIES);

  readonly #builds = new BuildSlots();

  constructor(context: StoreContext, uploads: UploadArea) {
    this.#context = context;
    this.uploads = uploads;
    this.#pulls = new PullCounts(context);
  }

  repositories(): string[] {
    return this.#reader.repositories();
  }

  tags(repository: string): string[] | undefined {
    return this.#reader.tags(repository);
  }

  manifest(repository: string, tagOrName: string): RegistryDocument | undefined {
    return this.#reader.manifest(repository, tagOrName);
  }

  blob(repository: string, name: ContentName): RegistryBlob | undefined {
    return this.#reader.blob(repository, name) ?? this.uploads.staged(repository, name);
  }

  repositoriesWith(blob: ContentName): string[] {
    const staged = this.uploads.repositoriesWith(blob);
    return [...new Set([...staged, ...this.#reader.repositoriesWith(blob)])];
  }

  referrers(repository: string, subject: ContentName): Referrer[] {
    return this.#reader.referrers(repository, subject);
  }

  async at(when: When, options: PastOptions = {}): Promise<RegistryReads & { readonly seq: number }> {
    this.#context.checkOpen();
    const seq = seqAt(when, this.#context, options);
    const reader = await this.#readerAt(seq);
    return {
      seq,
      repositories: () => reader.repositories(),
      tags: (repository) => reader.tags(repository),
      manifest: (repository, tagOrName) => reader.manifest(repository, tagOrName),
      blob: (repository, name) => reader.blob(repository, name),
      repositoriesWith: (blob) => reader.repositoriesWith(blob),
      referrers: (repository, digest) => reader.referrers(repository, digest),
    };
  }

  countPull(reference: string): void {
    this.#context.checkOpen();
    this.#pulls.count(reference);
  }

  pulls(reference?: string): PullCount[] {
    this.#context.checkOpen();
    if (reference === undefined) return this.#pulls.all();
    const found = this.#pulls.of(reference);
    return found === undefined ? [] : [found];
  }

  /** Writes the counted pulls: the store closes. */
  async end(): Promise<void> {
    await this.#pulls.flush();
  }

  async push(request: PushRequest, options: WriteOptions = {}): Promise<PushResult> {
    this.#context.checkWritable();
    const { loadPushed } = await loadCode('that takes pushes', import('./load-pushed.js'));
    const { repositoriesOf, layers } = this.#reader;
    return loadPushed(request, options, {
      context: this.#context,
      uploads: this.uploads,
      repositories: repositoriesOf,
      layers,
      locks: this.#locks,
      measured: this.#measured,
    });
  }

  async confirm(repository: string, tag: string, options: WriteOptions = {}): Promise<void> {
    this.#context.checkWritable();
    const { repositoriesOf } = this.#reader;
    const lackingBelow = (target: Digest): ReadonlySet<Digest> =>
      repositoriesOf.members(repository).lackingBelow(target);
    await this.#context.submit(decideConfirm(`${repository}:${tag}`, lackingBelow), options);
  }

  async remove(repository: string, tagOrName: string, options: WriteOptions = {}): Promise<readonly string[]> {
    this.#context.checkWritable();
    const { repositoriesOf } = this.#reader;
    const decide = isContentName(tagOrName)
      ? decideRemoveReferences(() => this.#referencesTo(repository, tagOrName), {
          name: `${repository}@${tagOrName}`,
          indexesOf: () => {
            const { manifests, indexesOf } = repositoriesOf.members(repository);
            return indexesOf.get(manifests.get(tagOrName)?.digest as Digest);
          },
        })
      : decideRemoveReferences(() => [`${repository}:${tagOrName}`], {
          name: `${repository}:${tagOrName}`,
          indexesOf: () => undefined,
        });
    return this.#locks.run(repository, 'alone', () => this.#context.submit(decide, options));
  }

  /** References of a repository to a manifest or index: its digests, and its tags. */
  #referencesTo(repository: string, name: ContentName): string[] {
    const { repositoriesOf } = this.#reader;
    const digest = repositoriesOf.members(repository).manifests.get(name)?.digest;
    if (digest === undefined) return [];
    const { byName } = this.#context.views.references;
    return [...(repositoriesOf.references(repository) ?? [])].filter((reference) => {
      const target = byName.get(reference)?.target;
      if (target !== undefined) return target.digest === digest;
      return this.#reader.manifest(repository, reference.slice(repository.length + 1))?.descriptor.digest === digest;
    });
  }

  get #reader(): RegistryReader {
    if (this.#present !== undefined) return this.#present;
    const reader = new RegistryReader(this.#context, this.#context.views);
    this.#context.viewSet.folded$.subscribe((page) => reader.note(page));
    this.#present = reader;
    return reader;
  }

  async #readerAt(seq: number): Promise<RegistryReader> {
    const build = async (): Promise<RegistryReader> =>
      new RegistryReader(this.#context, await pastViewsAt(this.#context, seq));
    const known = this.#past.get(seq) ?? this.#builds.run(build);
    this.#past.set(seq, known);
    known.catch(() => this.#past.delete(seq));
    return known;
  }
}

/**
 * Returns the manifest that `save --format oci` writes for an image that came without one; undefined
 * if the store has no files of its layers. The same image gives the same bytes.
 */
function madeManifest(image: ImageId, context: StoreContext, views: Views): Omit<RegistryDocument, 'name'> | undefined {
  try {
    const saved = savedImage(image, context, views);
    const documents = new SavedDocuments(
      {
        images: [saved],
        artifacts: [],
        references: [],
        artifact: () => undefined,
        referrers: () => [],
        content: () => undefined,
        hasBlob: (digest) => views.blobs.byDigest.has(digest),
        openBlob: (digest) => context.blobs.read(digest),
      },
      () => undefined,
    );
    const { descriptor, bytes } = documents.manifest(saved);
    return { descriptor, bytes };
  } catch (error) {
    // Only configs are kept here, or a layer is kept elsewhere.
    if (isStoreError(error, 'BLOB_MISSING') || isStoreError(error, 'LAYER_NOT_FOUND')) return undefined;
    throw error;
  }
}
