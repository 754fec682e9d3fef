import type { ReferenceEntry } from '../../../projections/references.js';
import type { Page } from '../../../projections/projection.js';
import type { Views } from '../../../projections/views.js';
import { isIndexType, isManifestType } from '../../archive/documents.js';
import { MAX_KEPT_REPOSITORIES } from '../../limits.js';
import { type Descriptor, type Digest, type ImageId, isDigest } from '../../model/digest.js';
import type { RegistryDocument } from '../registry-store.js';

/** Finds the manifest or index that a reference stands for, and its bytes; undefined if there are none. */
export type DocumentOf = (entry: ReferenceEntry) => RegistryDocument | undefined;

/** Returns the bytes of a manifest or index that another one names; undefined if the store has it no more, or not yet. */
export type ContentOf = (digest: Digest) => Uint8Array | undefined;

/** What a manifest or index names. */
interface Links {
  readonly config: Digest | undefined;
  readonly manifests: readonly Descriptor[];
  readonly blobs: readonly Descriptor[];
}

/** Manifests, indexes and blobs that the references of one repository lead to. */
export interface Members {
  readonly manifests: ReadonlyMap<Digest, Descriptor>;
  readonly blobs: ReadonlyMap<Digest, Descriptor>;
  /** Indexes by what they name. */
  readonly indexesOf: ReadonlyMap<Digest, ReadonlySet<Digest>>;
}

/** Splits a canonical reference into its repository and its tag, or its digest behind an `@`. */
export function splitReference(reference: string): { readonly repository: string; readonly rest: string } {
  const at = reference.indexOf('@');
  const end = at === -1 ? reference.lastIndexOf(':') : at;
  return { repository: reference.slice(0, end), rest: reference.slice(at === -1 ? end + 1 : end) };
}

/**
 * The references of a store by repository, and what each repository has by them. Follows the views
 * by `note`; those of the past stay as they are.
 */
export class Repositories {
  readonly #views: Pick<Views, 'references' | 'artifacts' | 'manifests'>;
  readonly #documentOf: DocumentOf;
  readonly #contentOf: ContentOf;
  readonly #names: ReadonlyMap<string, Set<string>> & Map<string, Set<string>> = new Map();
  /** The least recently used first. */
  readonly #members = new Map<string, Members>();

  constructor(
    views: Pick<Views, 'references' | 'artifacts' | 'manifests'>,
    documentOf: DocumentOf,
    contentOf: ContentOf,
  ) {
    this.#views = views;
    this.#documentOf = documentOf;
    this.#contentOf = contentOf;
    for (const reference of views.references.byName.keys()) this.#add(reference);
  }

  /** Takes over what events, folded already, changed. */
  note(page: Page): void {
    for (const event of page) {
      if (event.type === 'ReferenceSet') this.#members.delete(this.#add(event.reference));
      else if (event.type === 'ReferenceRemoved') this.#members.delete(this.#remove(event.reference));
      else if (event.type === 'ManifestAdded') this.#dropIndexesOf(event.manifest.digest);
      else if (event.type === 'ArtifactAdded') this.#dropIndexesOf(event.artifact.digest);
      else if (event.type === 'ImageDeleted' || event.type === 'ArtifactRemoved') this.#members.clear();
    }
  }

  /** Another repository may push what an index of this one names. */
  #dropIndexesOf(digest: Digest): void {
    for (const [repository, { indexesOf, manifests }] of this.#members) {
      if (indexesOf.has(digest) && !manifests.has(digest)) this.#members.delete(repository);
    }
  }

  /** Every repository with a reference, sorted. */
  all(): string[] {
    return [...this.#names.keys()].sort();
  }

  /** The references of a repository; undefined if it has none. */
  references(repository: string): ReadonlySet<string> | undefined {
    return this.#names.get(repository);
  }

  /** What the references of a repository lead to. */
  members(repository: string): Members {
    const known = this.#members.get(repository) ?? this.#walk(repository);
    this.#members.delete(repository);
    this.#members.set(repository, known);
    const [oldest] = this.#members.keys();
    if (this.#members.size > MAX_KEPT_REPOSITORIES && oldest !== undefined) this.#members.delete(oldest);
    return known;
  }

  #add(reference: string): string {
    const { repository } = splitReference(reference);
    const names = this.#names.get(repository);
    if (names === undefined) this.#names.set(repository, new Set([reference]));
    else names.add(reference);
    return repository;
  }

  #remove(reference: string): string {
    const { repository } = splitReference(reference);
    const names = this.#names.get(repository);
    names?.delete(reference);
    if (names?.size === 0) this.#names.delete(repository);
    return repository;
  }

  #walk(repository: string): Members {
    const manifests = new Map<Digest, Descriptor>();
    const blobs = new Map<Digest, Descriptor>();
    const indexesOf = new Map<Digest, Set<Digest>>();
    const waiting: RegistryDocument[] = [];
    for (const reference of this.#names.get(repository) ?? []) {
      const entry = this.#views.references.byName.get(reference);
      const document = entry && this.#documentOf(entry);
      if (document !== undefined) waiting.push(document);
    }
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      const { descriptor, bytes } = next;
      if (manifests.has(descriptor.digest)) continue;
      manifests.set(descriptor.digest, descriptor);
      const links = linksOf(bytes);
      for (const blob of this.#keptBlobs(descriptor.digest, links)) blobs.set(blob.digest, blob);
      for (const child of links.manifests) {
        const indexes = indexesOf.get(child.digest);
        if (indexes === undefined) indexesOf.set(child.digest, new Set([descriptor.digest]));
        else indexes.add(descriptor.digest);
        const content = this.#contentOf(child.digest);
        if (content !== undefined) waiting.push({ descriptor: child, bytes: content });
      }
    }
    return { manifests, blobs, indexesOf };
  }

  /** Without the foreign layers that a manifest came without: another repository may have such blobs. */
  #keptBlobs(digest: Digest, { config, blobs }: Links): readonly Descriptor[] {
    const { artifacts, manifests } = this.#views;
    const kept = artifacts.byDigest.get(digest)?.blobs;
    const entries = config === undefined ? undefined : manifests.get(config as ImageId);
    return kept === undefined || entries?.some(({ manifest }) => manifest.digest === digest) ? blobs : kept;
  }
}

/** A document of the store as far as it names others. */
interface LinkingDocument {
  readonly config?: Descriptor;
  readonly manifests?: readonly Descriptor[] | null;
  readonly layers?: readonly Descriptor[] | null;
  readonly blobs?: readonly Descriptor[] | null;
}

/** Returns what a manifest or index, checked when it came in, names. */
export function linksOf(bytes: Uint8Array): Links {
  const { config, manifests, layers, blobs } = JSON.parse(new TextDecoder().decode(bytes)) as LinkingDocument;
  const links = {
    config: config !== undefined && isDigest(config.digest) ? config.digest : undefined,
    manifests: [] as Descriptor[],
    blobs: [] as Descriptor[],
  };
  for (const named of [...(manifests ?? []), config, ...(layers ?? []), ...(blobs ?? [])]) {
    if (named === undefined || !isDigest(named.digest)) continue;
    const { digest, size, mediaType = '' } = named;
    // An index may also list what is no manifest, as a build cache does.
    const isManifest = manifests != null && (isIndexType(mediaType) || isManifestType(mediaType));
    (isManifest ? links.manifests : links.blobs).push({ digest, size, mediaType });
  }
  return links;
}
