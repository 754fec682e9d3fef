import { addTo, takeFrom } from '../../../projections/references.js';
import type { ContentName, Descriptor, Digest } from '../../model/digest.js';
import type { Links } from './pushed-manifest.js';

/** Manifest or index, and its bytes. */
export interface Document {
  readonly descriptor: Descriptor;
  readonly bytes: Uint8Array;
}

/** Manifests, indexes and blobs that the references of one repository lead to, by each name they have in it. */
export interface Members {
  readonly manifests: ReadonlyMap<ContentName, Descriptor>;
  readonly blobs: ReadonlyMap<ContentName, Descriptor>;
  /** Indexes by what they name. */
  readonly indexesOf: ReadonlyMap<Digest, ReadonlySet<Digest>>;
  /** Returns the manifests that an index of the repository, or one below it, names and the repository lacks. */
  lackingBelow(index: Digest): ReadonlySet<Digest>;
}

/** What members need of the store. */
export interface MemberSource {
  /** `isImage`: it was pushed with all of its layers, also those that may be elsewhere. */
  linksOf(document: Document, isImage: boolean): Links;
  /** Bytes of a manifest that the store had at `seq`; undefined if it has it no more, or got it later. */
  contentOf(digest: Digest, seq: number): Uint8Array | undefined;
}

/** A reference of the repository. */
export interface Root {
  readonly document: Document;
  readonly isImage: boolean;
  /** Digest that it ends with. */
  readonly name: ContentName | undefined;
  /** Seq of the event that set it. */
  readonly seq: number;
}

interface Member {
  links: Links;
  isImage: boolean;
  /** References and indexes that lead to it. */
  count: number;
  /** Which of the manifests that it names the repository has by it. */
  readonly attached: Set<Links['manifests'][number]>;
}

/**
 * The members of one repository. A reference that is set or removed changes what it leads to, and costs
 * nothing else: a repository may have 100,000 tags. An index leads to what the store had when a
 * reference to it was set: what comes later belongs to the repository that it is pushed to.
 */
export class RepositoryMembers implements Members {
  readonly #manifests = new Named();
  readonly #blobs = new Named();
  readonly indexesOf = new Map<Digest, Set<Digest>>();
  readonly #source: MemberSource;
  readonly #roots = new Map<string, Root>();
  readonly #members = new Map<Digest, Member>();
  #isStale = false;

  constructor(source: MemberSource) {
    this.#source = source;
  }

  get manifests(): ReadonlyMap<ContentName, Descriptor> {
    return this.#manifests.byName;
  }

  get blobs(): ReadonlyMap<ContentName, Descriptor> {
    return this.#blobs.byName;
  }

  lackingBelow(index: Digest): Set<Digest> {
    const lacking = new Set<Digest>();
    const below = new Set([index]);
    // A set gives also what is added while it is read.
    for (const digest of below) {
      const member = this.#members.get(digest);
      if (member === undefined) lacking.add(digest);
      for (const { target } of member?.links.manifests ?? []) below.add(target.digest);
    }
    return lacking;
  }

  /** Sets a reference to what it stands for; undefined removes it. Returns whether the members are right. */
  set(reference: string, root: Root | undefined): boolean {
    const before = this.#roots.get(reference);
    if (root !== undefined) {
      this.#roots.set(reference, root);
      this.#name(root, (name, descriptor) => this.#manifests.add(name, descriptor));
      this.#add(root);
    } else {
      this.#roots.delete(reference);
    }
    if (before === undefined) return true;
    this.#name(before, (name) => this.#manifests.remove(name));
    this.#remove(before.document.descriptor.digest);
    // An index may have led to more by that reference than by those that are left.
    return !this.#isStale;
  }

  #name({ document: { descriptor }, name }: Root, apply: (name: ContentName, descriptor: Descriptor) => void): void {
    if (name !== undefined) apply(name, descriptor);
  }

  #add({ document, isImage, seq }: Omit<Root, 'name'>): void {
    const { descriptor } = document;
    const known = this.#members.get(descriptor.digest);
    const links = known?.links ?? this.#source.linksOf(document, isImage);
    const member = known ?? { links, isImage, count: 0, attached: new Set() };
    member.count += 1;
    if (isImage && !member.isImage) this.#becomeImage(member, document);
    if (known === undefined) {
      this.#members.set(descriptor.digest, member);
      this.#manifests.add(descriptor.digest, descriptor);
      for (const { name, target } of member.links.blobs) this.#blobs.add(name, target);
      for (const { target } of member.links.manifests) addTo(this.indexesOf, target.digest, descriptor.digest);
    }
    for (const link of member.links.manifests) {
      const content = member.attached.has(link) ? undefined : this.#source.contentOf(link.target.digest, seq);
      if (content === undefined) continue;
      if (known !== undefined) this.#isStale = true;
      member.attached.add(link);
      this.#manifests.add(link.name, link.target);
      this.#add({ document: { descriptor: link.target, bytes: content }, isImage: false, seq });
    }
  }

  /** It was there without the layers that may be elsewhere, and was pushed again with them. */
  #becomeImage(member: Member, document: Document): void {
    const before = member.links;
    member.links = this.#source.linksOf(document, true);
    member.isImage = true;
    this.#isStale = true;
    for (const { name, target } of member.links.blobs) this.#blobs.add(name, target);
    for (const { name } of before.blobs) this.#blobs.remove(name);
  }

  #remove(digest: Digest): void {
    const member = this.#members.get(digest);
    if (member === undefined) return;
    member.count -= 1;
    if (member.count > 0) return;
    this.#members.delete(digest);
    this.#manifests.remove(digest);
    for (const { name } of member.links.blobs) this.#blobs.remove(name);
    for (const { target } of member.links.manifests) takeFrom(this.indexesOf, target.digest, digest);
    for (const { name, target } of member.attached) {
      this.#manifests.remove(name);
      this.#remove(target.digest);
    }
  }
}

/** Descriptors by name, each for as long as something names it. */
class Named {
  readonly byName = new Map<ContentName, Descriptor>();
  readonly #counts = new Map<ContentName, number>();

  add(name: ContentName, descriptor: Descriptor): void {
    if (!this.byName.has(name)) this.byName.set(name, descriptor);
    this.#counts.set(name, (this.#counts.get(name) ?? 0) + 1);
  }

  remove(name: ContentName): void {
    const count = (this.#counts.get(name) ?? 0) - 1;
    if (count > 0) {
      this.#counts.set(name, count);
      return;
    }
    this.#counts.delete(name);
    this.byName.delete(name);
  }
}
