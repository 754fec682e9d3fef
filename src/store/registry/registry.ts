import { Readable } from 'node:stream';
import type { ReferenceEntry } from '../../../projections/references.js';
import type { Page } from '../../../projections/projection.js';
import type { Views } from '../../../projections/views.js';
import { loadCode } from '../../errors.js';
import { MAX_KEPT_PAST_REGISTRIES, MAX_SEARCHED_REPOSITORIES } from '../../limits.js';
import { type Digest, type ImageId, isDigest } from '../../model/digest.js';
import type { Referrer } from '../artifacts.js';
import { refuseErased } from '../commands/decision.js';
import { decideRemoveReferences } from '../commands/tag.js';
import type { StoreContext } from '../context.js';
import { type PastOptions, seqAt, type When } from '../past/audit.js';
import type {
  ByteRange,
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
import { Repositories } from './repositories.js';
import { madeManifest } from './save-manifest.js';

/** Reads repositories of the present or the past: only the views differ. */
class RegistryReader implements RegistryReads {
  readonly #context: StoreContext;
  readonly #views: Views;
  readonly repositoriesOf: Repositories;
  #known: Set<Digest> | undefined;

  constructor(context: StoreContext, views: Views) {
    this.#context = context;
    this.#views = views;
    this.repositoriesOf = new Repositories(
      views,
      (entry) => this.#documentOf(entry),
      (digest) => this.#knownContent(digest),
    );
  }

  repositories(): string[] {
    this.#context.checkOpen();
    return this.repositoriesOf.all();
  }

  tags(repository: string): string[] | undefined {
    this.#context.checkOpen();
    const names = this.repositoriesOf.references(repository);
    if (names === undefined) return undefined;
    const tags = [...names].filter((name) => !name.includes('@')).map((name) => name.slice(repository.length + 1));
    return tags.sort();
  }

  manifest(repository: string, tagOrDigest: string): RegistryDocument | undefined {
    this.#context.checkOpen();
    if (!isDigest(tagOrDigest)) {
      const entry = this.#views.references.byName.get(`${repository}:${tagOrDigest}`);
      return entry && this.#documentOf(entry);
    }
    const descriptor = this.repositoriesOf.members(repository).manifests.get(tagOrDigest);
    if (descriptor === undefined) return undefined;
    const bytes = this.#context.log.content(tagOrDigest);
    if (bytes !== undefined) return { descriptor, bytes };
    refuseErased(this.#context.views.erasures, tagOrDigest);
    return this.#madeAs(repository, tagOrDigest);
  }

  blob(repository: string, digest: Digest): RegistryBlob | undefined {
    this.#context.checkOpen();
    if (!this.repositoriesOf.members(repository).blobs.has(digest)) return undefined;
    return this.#config(digest) ?? this.storedBlob(digest);
  }

  /** Returns the file of a blob of the store, whatever names it. */
  storedBlob(digest: Digest): RegistryBlob | undefined {
    const { blobs } = this.#context;
    const size = blobs.size(digest);
    return size === undefined ? undefined : { digest, size, read: (range) => blobs.stream(digest, range) };
  }

  repositoriesWith(blob: Digest): string[] {
    this.#context.checkOpen();
    // Whoever leaves out the repository has just used it, or uploads what is there already.
    const searched = this.repositoriesOf.all().slice(0, MAX_SEARCHED_REPOSITORIES);
    return searched.filter((repository) => this.repositoriesOf.members(repository).blobs.has(blob));
  }

  referrers(repository: string, digest: Digest): Referrer[] {
    this.#context.checkOpen();
    const { manifests } = this.repositoriesOf.members(repository);
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

  #documentOf(entry: ReferenceEntry): RegistryDocument | undefined {
    const { image, target } = entry;
    if (target !== undefined) {
      const bytes = this.#context.log.content(target.digest);
      return bytes && { descriptor: target, bytes };
    }
    return image === undefined ? undefined : this.#imageDocument(image);
  }

  /** The first manifest that an image came with, else the one that `save` writes. */
  #imageDocument(image: ImageId): RegistryDocument | undefined {
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
      const document = entry && this.#documentOf(entry);
      if (document?.descriptor.digest === digest) return document;
    }
    return undefined;
  }

  /** Takes over what events, folded already, changed. */
  note(page: Page): void {
    this.repositoriesOf.note(page);
    for (const event of page) {
      if (event.type === 'ManifestAdded') this.#known?.add(event.manifest.digest);
      else if (event.type === 'ArtifactAdded') this.#known?.add(event.artifact.digest);
      else if (event.type === 'ImageDeleted' || event.type === 'ArtifactRemoved') this.#known = undefined;
    }
  }

  /** Content outlives its manifest, and that of the past may have come later. */
  #knownContent(digest: Digest): Uint8Array | undefined {
    this.#known ??= new Set(knownDocuments(this.#views));
    return this.#known.has(digest) ? this.#context.log.content(digest) : undefined;
  }
}

/** The manifests and artifacts of a store; an index of images alone is none of its own. */
function* knownDocuments({ manifests, artifacts }: Views): Generator<Digest> {
  for (const entries of manifests.values()) for (const { manifest } of entries) yield manifest.digest;
  yield* artifacts.byDigest.keys();
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

/** The registry of an open store. */
export class LocalRegistry implements RegistryStore {
  readonly #context: StoreContext;
  readonly uploads: UploadArea;
  #present: RegistryReader | undefined;
  /** By seq, the least recently used first. */
  readonly #past = new Map<number, Promise<RegistryReader>>();

  constructor(context: StoreContext, uploads: UploadArea) {
    this.#context = context;
    this.uploads = uploads;
  }

  repositories(): string[] {
    return this.#reader.repositories();
  }

  tags(repository: string): string[] | undefined {
    return this.#reader.tags(repository);
  }

  manifest(repository: string, tagOrDigest: string): RegistryDocument | undefined {
    return this.#reader.manifest(repository, tagOrDigest);
  }

  blob(repository: string, digest: Digest): RegistryBlob | undefined {
    return this.#reader.blob(repository, digest) ?? this.uploads.staged(repository, digest);
  }

  repositoriesWith(blob: Digest): string[] {
    const staged = this.uploads.repositoriesWith(blob);
    return [...new Set([...staged, ...this.#reader.repositoriesWith(blob)])];
  }

  referrers(repository: string, digest: Digest): Referrer[] {
    return this.#reader.referrers(repository, digest);
  }

  async at(when: When, options: PastOptions = {}): Promise<RegistryReads & { readonly seq: number }> {
    this.#context.checkOpen();
    const seq = seqAt(when, this.#context, options);
    const reader = await this.#readerAt(seq);
    return {
      seq,
      repositories: () => reader.repositories(),
      tags: (repository) => reader.tags(repository),
      manifest: (repository, tagOrDigest) => reader.manifest(repository, tagOrDigest),
      blob: (repository, digest) => reader.blob(repository, digest),
      repositoriesWith: (blob) => reader.repositoriesWith(blob),
      referrers: (repository, digest) => reader.referrers(repository, digest),
    };
  }

  async push(request: PushRequest, options: WriteOptions = {}): Promise<PushResult> {
    this.#context.checkWritable();
    const { loadPushed } = await loadCode('that takes pushes', import('./load-pushed.js'));
    const reader = this.#reader;
    return loadPushed(request, options, {
      context: this.#context,
      uploads: this.uploads,
      members: (repository) => reader.repositoriesOf.members(repository),
      references: (repository) => reader.repositoriesOf.references(repository) ?? new Set(),
    });
  }

  async remove(repository: string, tagOrDigest: string, options: WriteOptions = {}): Promise<readonly string[]> {
    this.#context.checkWritable();
    const reader = this.#reader;
    const references = isDigest(tagOrDigest)
      ? () => this.#referencesTo(repository, tagOrDigest)
      : () => [`${repository}:${tagOrDigest}`];
    const decide = decideRemoveReferences(references, {
      name: isDigest(tagOrDigest) ? `${repository}@${tagOrDigest}` : `${repository}:${tagOrDigest}`,
      indexesOf: () =>
        isDigest(tagOrDigest) ? reader.repositoriesOf.members(repository).indexesOf.get(tagOrDigest) : undefined,
    });
    return this.#context.submit(decide, options);
  }

  #referencesTo(repository: string, digest: Digest): string[] {
    const { byName } = this.#context.views.references;
    const names = [...(this.#reader.repositoriesOf.references(repository) ?? [])];
    return names.filter((name) => {
      const entry = byName.get(name);
      if (entry?.target !== undefined) return entry.target.digest === digest;
      return this.#reader.manifest(repository, splitTag(name, repository))?.descriptor.digest === digest;
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
    const known =
      this.#past.get(seq) ?? pastViewsAt(this.#context, seq).then((views) => new RegistryReader(this.#context, views));
    this.#past.delete(seq);
    this.#past.set(seq, known);
    known.catch(() => this.#past.delete(seq));
    const [oldest] = this.#past.keys();
    if (this.#past.size > MAX_KEPT_PAST_REGISTRIES && oldest !== undefined) this.#past.delete(oldest);
    return known;
  }
}

function splitTag(name: string, repository: string): string {
  return name.slice(repository.length + 1);
}
