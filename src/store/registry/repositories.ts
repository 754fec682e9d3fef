import { addTo, type ReferenceEntry, takeFrom } from '../../../projections/references.js';
import type { Page } from '../../../projections/projection.js';
import type { Views } from '../../../projections/views.js';
import { MAX_KEPT_REPOSITORIES } from '../../limits.js';
import type { ContentName, Descriptor, Digest } from '../../model/digest.js';
import { linksOf } from './links.js';

/** Manifest or index, and its bytes. */
interface Document {
  readonly descriptor: Descriptor;
  readonly bytes: Uint8Array;
}

/** Where the documents of repositories are. */
export interface DocumentSource {
  readonly views: Pick<Views, 'references' | 'artifacts'>;
  /** What a reference stands for; undefined if the store no longer has its bytes. */
  documentOf(entry: ReferenceEntry): Document | undefined;
  /** Bytes of a manifest that an index names; undefined if the store has it no more, or not yet. */
  contentOf(digest: Digest): Uint8Array | undefined;
}

/** Manifests, indexes and blobs that the references of one repository lead to, by each name they have in it. */
export interface Members {
  readonly manifests: ReadonlyMap<ContentName, Descriptor>;
  readonly blobs: ReadonlyMap<ContentName, Descriptor>;
  /** Indexes by what they name. */
  readonly indexesOf: ReadonlyMap<Digest, ReadonlySet<Digest>>;
}

/** Members, and what adds a reference to them without a walk from all others. */
interface KnownMembers extends Members {
  readonly manifests: Map<ContentName, Descriptor>;
  readonly blobs: Map<ContentName, Descriptor>;
  readonly indexesOf: Map<Digest, Set<Digest>>;
  /** Manifests and indexes whose links are here. */
  readonly walked: Set<Digest>;
  /** What references stand for. */
  readonly targets: Map<string, Digest>;
  /** References that were set since. */
  readonly waiting: Set<string>;
  /** Whether a reference stands for an image alone, whose manifest another one may become. */
  hasImages: boolean;
}

/** Splits a canonical reference into its repository, and its tag or its digest. */
function splitReference(reference: string): { readonly repository: string; readonly digest: ContentName | undefined } {
  const at = reference.indexOf('@');
  if (at === -1) return { repository: reference.slice(0, reference.lastIndexOf(':')), digest: undefined };
  return { repository: reference.slice(0, at), digest: reference.slice(at + 1) };
}

/**
 * The references of a store by repository, and what each repository has by them. Follows the views
 * by `note`; those of the past stay as they are.
 */
export class Repositories {
  readonly #source: DocumentSource;
  readonly #references = new Map<string, Set<string>>();
  /** SHA-512 digests by which references of a repository name manifests. */
  readonly #aliases = new Map<string, Set<ContentName>>();
  /** The least recently used first. */
  readonly #members = new Map<string, KnownMembers>();

  constructor(source: DocumentSource) {
    this.#source = source;
    for (const reference of source.views.references.byName.keys()) this.#add(reference);
  }

  /** Takes over what events, folded already, changed. */
  note(page: Page): void {
    for (const event of page) {
      if (event.type === 'ReferenceSet') this.#members.get(this.#add(event.reference))?.waiting.add(event.reference);
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
    return [...this.#references.keys()].sort();
  }

  /** The references of a repository; undefined if it has none. */
  references(repository: string): ReadonlySet<string> | undefined {
    return this.#references.get(repository);
  }

  /** The digest by which a repository names a manifest: SHA-512 if nothing names it by the other. */
  nameOf(repository: string, digest: Digest): ContentName {
    const aliases = this.#aliases.get(repository);
    if (aliases === undefined || this.#references.get(repository)?.has(`${repository}@${digest}`)) return digest;
    return [...aliases].find((alias) => this.digestOf(repository, alias) === digest) ?? digest;
  }

  /** What a SHA-512 digest of the repository stands for. */
  digestOf(repository: string, alias: ContentName): Digest | undefined {
    return this.#source.views.references.byName.get(`${repository}@${alias}`)?.target?.digest;
  }

  /** What the references of a repository lead to. */
  members(repository: string): Members {
    const kept = this.#members.get(repository);
    const known = kept !== undefined && this.#catchUp(repository, kept) ? kept : this.#walk(repository);
    this.#members.delete(repository);
    this.#members.set(repository, known);
    const [oldest] = this.#members.keys();
    if (this.#members.size > MAX_KEPT_REPOSITORIES && oldest !== undefined) this.#members.delete(oldest);
    return known;
  }

  #add(reference: string): string {
    const { repository, digest } = splitReference(reference);
    addTo(this.#references, repository, reference);
    if (digest?.startsWith('sha512:') === true) addTo(this.#aliases, repository, digest);
    return repository;
  }

  #remove(reference: string): string {
    const { repository, digest } = splitReference(reference);
    takeFrom(this.#references, repository, reference);
    if (digest !== undefined) takeFrom(this.#aliases, repository, digest);
    return repository;
  }

  #walk(repository: string): KnownMembers {
    const members: KnownMembers = {
      manifests: new Map(),
      blobs: new Map(),
      indexesOf: new Map(),
      walked: new Set(),
      targets: new Map(),
      waiting: new Set(),
      hasImages: false,
    };
    this.#addAll(members, this.#references.get(repository) ?? []);
    return members;
  }

  /** Takes over references that were set; false if something may have left by that. */
  #catchUp(repository: string, members: KnownMembers): boolean {
    const { waiting, targets, hasImages } = members;
    if (waiting.size === 0) return true;
    const { byName } = this.#source.views.references;
    const references = this.#references.get(repository);
    for (const reference of waiting) {
      const target = byName.get(reference)?.target;
      const before = targets.get(reference);
      const isMoved = before !== undefined && before !== target?.digest;
      // What was pushed stays by its digest when a tag moves on.
      const hasLeft = isMoved && references?.has(`${repository}@${before}`) !== true;
      if (hasImages || target === undefined || hasLeft) return false;
    }
    this.#addAll(members, waiting);
    waiting.clear();
    return true;
  }

  #addAll(members: KnownMembers, references: Iterable<string>): void {
    const { views, documentOf } = this.#source;
    const found: Document[] = [];
    for (const reference of references) {
      const entry = views.references.byName.get(reference);
      if (entry === undefined) continue;
      if (entry.target === undefined) members.hasImages = true;
      else members.targets.set(reference, entry.target.digest);
      const { digest } = splitReference(reference);
      if (digest === undefined && entry.target !== undefined && members.walked.has(entry.target.digest)) continue;
      const document = documentOf(entry);
      if (document === undefined) continue;
      found.push(document);
      if (digest !== undefined) members.manifests.set(digest, document.descriptor);
    }
    this.#addLinks(members, found);
  }

  #addLinks({ manifests, blobs, indexesOf, walked }: KnownMembers, waiting: Document[]): void {
    const { views, contentOf } = this.#source;
    for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
      const { descriptor, bytes } = next;
      if (walked.has(descriptor.digest)) continue;
      walked.add(descriptor.digest);
      if (!manifests.has(descriptor.digest)) manifests.set(descriptor.digest, descriptor);
      const links = linksOf(bytes, views.artifacts.byDigest.get(descriptor.digest));
      for (const { name, target } of links.blobs) blobs.set(name, target);
      for (const { name, target } of links.manifests) {
        addTo(indexesOf, target.digest, descriptor.digest);
        const content = contentOf(target.digest);
        if (content === undefined) continue;
        waiting.push({ descriptor: target, bytes: content });
        manifests.set(name, target);
      }
    }
  }
}
