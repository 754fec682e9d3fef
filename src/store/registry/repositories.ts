import { addTo, type ReferenceEntry, takeFrom } from '../../../projections/references.js';
import type { Page } from '../../../projections/projection.js';
import type { Views } from '../../../projections/views.js';
import { MAX_KEPT_REPOSITORIES, MAX_KEPT_TAG_LISTS } from '../../limits.js';
import type { ContentName, Digest, ImageId } from '../../model/digest.js';
import { RecentMap } from '../../model/collections.js';
import { linksOf } from './pushed-manifest.js';
import { type Document, type Members, RepositoryMembers, type Root } from './members.js';

/** Where the documents of repositories are. */
interface DocumentSource {
  readonly views: Pick<Views, 'references' | 'artifacts'>;
  /** What a reference stands for; undefined if the store no longer has its bytes. */
  documentOf(entry: ReferenceEntry): Document | undefined;
  /** Bytes of a manifest that the store had at `seq`; undefined if it has it no more, or got it later. */
  contentOf(digest: Digest, seq: number): Uint8Array | undefined;
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
  readonly #members = new RecentMap<string, RepositoryMembers>(MAX_KEPT_REPOSITORIES);
  /** Sorted, so that a client that takes a long list in pages does not have each page sort it. */
  readonly #tags = new RecentMap<string, readonly string[]>(MAX_KEPT_TAG_LISTS);

  constructor(source: DocumentSource) {
    this.#source = source;
    for (const reference of source.views.references.byName.keys()) this.#add(reference);
  }

  /** Takes over what events, folded already, changed. */
  note(page: Page): void {
    for (const event of page) {
      if (event.type === 'ReferenceSet') this.#follow(this.#add(event.reference), event.reference);
      else if (event.type === 'ReferenceRemoved') this.#follow(this.#remove(event.reference), event.reference);
      else if (event.type === 'ManifestAdded') this.#dropMadeOf(event.image);
      else if (event.type === 'ImageDeleted' || event.type === 'ArtifactRemoved') this.#members.clear();
    }
  }

  /** Takes over what a reference stands for now. */
  #follow(repository: string, reference: string): void {
    const members = this.#members.get(repository);
    if (members?.set(reference, this.#rootOf(reference)) === false) this.#members.delete(repository);
  }

  /** References without a manifest stand for the first one that their image gets. */
  #dropMadeOf(image: ImageId): void {
    const { byImage, byName } = this.#source.views.references;
    for (const reference of byImage.get(image) ?? []) {
      if (byName.get(reference)?.target === undefined) this.#members.delete(splitReference(reference).repository);
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

  /** The tags of a repository, sorted; undefined if it has no reference. */
  tags(repository: string): readonly string[] | undefined {
    const references = this.#references.get(repository);
    if (references === undefined) return undefined;
    const tags =
      this.#tags.get(repository) ??
      [...references]
        .filter((name) => !name.includes('@'))
        .map((name) => name.slice(repository.length + 1))
        .sort();
    this.#tags.set(repository, tags);
    return tags;
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
    const known = this.#members.get(repository) ?? this.#walk(repository);
    this.#members.set(repository, known);
    return known;
  }

  #add(reference: string): string {
    const { repository, digest } = splitReference(reference);
    if (this.#references.get(repository)?.has(reference) !== true) this.#tags.delete(repository);
    addTo(this.#references, repository, reference);
    if (digest?.startsWith('sha512:') === true) addTo(this.#aliases, repository, digest);
    return repository;
  }

  #remove(reference: string): string {
    const { repository, digest } = splitReference(reference);
    this.#tags.delete(repository);
    takeFrom(this.#references, repository, reference);
    if (digest !== undefined) takeFrom(this.#aliases, repository, digest);
    return repository;
  }

  #walk(repository: string): RepositoryMembers {
    const { views, contentOf } = this.#source;
    const members = new RepositoryMembers({
      contentOf,
      linksOf: ({ descriptor, bytes }, isImage) =>
        linksOf(bytes, isImage ? undefined : views.artifacts.byDigest.get(descriptor.digest)),
    });
    for (const reference of this.#references.get(repository) ?? []) members.set(reference, this.#rootOf(reference));
    return members;
  }

  /** What a reference stands for; undefined if it is gone, or its bytes are. */
  #rootOf(reference: string): Root | undefined {
    const { views, documentOf } = this.#source;
    const entry = views.references.byName.get(reference);
    const document = entry && documentOf(entry);
    if (document === undefined) return undefined;
    const isImage = entry?.image !== undefined && entry.platforms === undefined;
    return { document, isImage, name: splitReference(reference).digest, seq: entry?.seq ?? 0 };
  }
}

/** Whether an action of a repository runs beside others that are `shared`, or while no other does. */
type LockKind = 'shared' | 'alone';

interface Lock {
  /** Ends with the last action that runs alone. */
  last: Promise<unknown>;
  /** Actions since then. */
  readonly shared: Set<Promise<unknown>>;
  users: number;
}

/** Runs actions of each repository in request order: shared ones together, others alone. */
export class RepositoryLocks {
  readonly #locks = new Map<string, Lock>();

  async run<Result>(repository: string, kind: LockKind, action: () => Promise<Result>): Promise<Result> {
    const lock = this.#locks.get(repository) ?? { last: Promise.resolve(), shared: new Set(), users: 0 };
    this.#locks.set(repository, lock);
    lock.users += 1;
    try {
      return await begin(lock, kind, action);
    } finally {
      lock.users -= 1;
      if (lock.users === 0) this.#locks.delete(repository);
    }
  }
}

function begin<Result>(lock: Lock, kind: LockKind, action: () => Promise<Result>): Promise<Result> {
  if (kind === 'shared') {
    const running = lock.last.then(action);
    const ended = running.then(nothing, nothing);
    lock.shared.add(ended);
    void ended.then(() => lock.shared.delete(ended));
    return running;
  }
  const running = Promise.all([lock.last, ...lock.shared]).then(action);
  lock.last = running.then(nothing, nothing);
  lock.shared.clear();
  return running;
}

function nothing(): void {
  // Its caller hears how an action ended; the next one waits only for the end.
}
