import { childrenOf, hasChildren, parentOf } from '../../../projections/children.js';
import type { Erasure } from '../../../projections/erasures.js';
import type { ImageEntry } from '../../../projections/images-view.js';
import type { ManifestEntry } from '../../../projections/manifests.js';
import { imagesOf, type ReferenceEntry } from '../../../projections/references.js';
import type { Views } from '../../../projections/views.js';
import type { ChainId, Digest, ImageId } from '../../model/digest.js';
import type { EventBody, LayerFacts, ReferenceSet } from '../../model/events.js';
import { type ContentUsers, neededContent, usersOf } from './content-users.js';
import type { DecisionState } from './decision.js';

/*
 * Commands that wait are decided one after another against the durable views, and appended as one group. That is
 * right as long as no command looks at something that an earlier one of the group changes. So each look notes a
 * key, each event gives the keys it changes, and a command whose notes meet those keys waits for the next group.
 */

/** A fact of the store that a command can look at or change. */
type FactKey =
  | `image ${string}`
  | `parent ${string}`
  | `children ${string}`
  | `metadata ${string}`
  | `reference ${string}`
  | `references ${string}`
  | `manifests ${string}`
  | `layer ${string}`
  | `blob ${string}`
  | `uses ${string}`
  | `content ${string}`;

/** Callers' holds on layers, which are no events: they end with the process. */
export interface HoldCounts {
  holdsOf(chainId: ChainId): number;
}

/** The views as a decision sees them, with a note of every look. */
export class NotedState implements DecisionState {
  readonly #views: Views;
  readonly #holds: HoldCounts;
  readonly #notes = new Set<FactKey>();

  constructor(views: Views, holds: HoldCounts) {
    this.#views = views;
    this.#holds = holds;
  }

  /** Whether any look was at one of these facts. */
  looksAt(facts: ReadonlySet<FactKey>): boolean {
    if (facts.size === 0) return false;
    for (const note of this.#notes) if (facts.has(note)) return true;
    return false;
  }

  image(id: ImageId): ImageEntry | undefined {
    this.#notes.add(`image ${id}`);
    return this.#views.images.get(id);
  }

  parent(id: ImageId): ImageId | undefined {
    this.#notes.add(`parent ${id}`);
    return parentOf(this.#views.images, id);
  }

  children(id: ImageId): ImageId[] {
    this.#notes.add(`children ${id}`);
    return childrenOf(this.#views.images, id);
  }

  hasChildren(id: ImageId): boolean {
    this.#notes.add(`children ${id}`);
    return hasChildren(this.#views.images, id);
  }

  metadata(id: ImageId, key: string): Uint8Array | undefined {
    this.#notes.add(`metadata ${id}`);
    return this.#views.metadata.get(id)?.get(key);
  }

  reference(name: string): ReferenceEntry | undefined {
    this.#notes.add(`reference ${name}`);
    return this.#views.references.byName.get(name);
  }

  referencesOf(id: ImageId): string[] {
    this.#notes.add(`references ${id}`);
    return [...(this.#views.references.byImage.get(id) ?? [])].sort();
  }

  manifests(id: ImageId): readonly ManifestEntry[] {
    this.#notes.add(`manifests ${id}`);
    return this.#views.manifests.get(id) ?? [];
  }

  layer(chainId: ChainId): LayerFacts | undefined {
    this.#notes.add(`layer ${chainId}`);
    return this.#views.layers.byChain.get(chainId);
  }

  hasBlob(digest: Digest): boolean {
    this.#notes.add(`blob ${digest}`);
    return this.#views.blobs.byDigest.has(digest);
  }

  usesOfBlob(digest: Digest): number {
    this.#notes.add(`blob ${digest}`);
    return this.#views.blobs.byDigest.get(digest)?.uses ?? 0;
  }

  erasure(digest: Digest): Erasure | undefined {
    this.#notes.add(`content ${digest}`);
    return this.#views.erasures.get(digest);
  }

  usersOf(digest: Digest): ContentUsers {
    const users = usersOf(this.#views, digest);
    // What comes to need it changes one of the first two; what ceases to, the fact of the user.
    this.#notes.add(`content ${digest}`).add(`blob ${digest}`);
    for (const image of users.images) this.#notes.add(`image ${image}`);
    for (const reference of users.references) this.#notes.add(`reference ${reference}`);
    for (const { chainId } of users.layers) this.#notes.add(`layer ${chainId}`);
    return users;
  }

  needed(digests: ReadonlySet<Digest>): ReadonlySet<Digest> {
    for (const digest of digests) this.#notes.add(`content ${digest}`);
    return new Set([...neededContent(this.#views)].filter((digest) => digests.has(digest)));
  }

  usesOf(chainId: ChainId): number {
    this.#notes.add(`uses ${chainId}`);
    const images = this.#views.images.usesOfChain(chainId);
    const layers = this.#views.layers.childrenOf.get(chainId) ?? 0;
    return images + layers + this.#holds.holdsOf(chainId);
  }
}

/** Facts that the events of a group change, as the views stand before it. */
export class ChangedFacts {
  readonly #views: Views;
  readonly #facts = new Set<FactKey>();

  constructor(views: Views) {
    this.#views = views;
  }

  get facts(): ReadonlySet<FactKey> {
    return this.#facts;
  }

  /** Adds what `event` changes. */
  add(event: EventBody): void {
    switch (event.type) {
      case 'ImageCreated':
        this.#change(`image ${event.image}`, `content ${event.image}`);
        if (event.chainId !== undefined) this.#change(`uses ${event.chainId}`);
        break;
      case 'ImageDeleted':
        this.#change(
          `image ${event.image}`,
          `metadata ${event.image}`,
          `manifests ${event.image}`,
          `parent ${event.image}`,
        );
        if (event.parent !== undefined) this.#change(`children ${event.parent}`);
        if (event.chainId !== undefined) this.#change(`uses ${event.chainId}`);
        for (const { digest } of this.#views.blobs.ofImage.get(event.image) ?? []) this.#change(`blob ${digest}`);
        break;
      case 'ParentSet':
        this.#change(`parent ${event.image}`, `children ${event.parent}`);
        if (event.previous !== undefined) this.#change(`children ${event.previous}`);
        break;
      case 'ParentCleared':
        this.#change(`parent ${event.image}`, `children ${event.parent}`);
        break;
      case 'MetadataSet':
      case 'MetadataCleared':
        this.#change(`metadata ${event.image}`);
        break;
      case 'ReferenceSet':
        this.#changeReference(event.reference, event);
        if (event.target !== undefined) this.#change(`content ${event.target.digest}`);
        if (event.previous !== undefined) {
          this.#changeReference(event.reference, { image: event.previous, platforms: event.previousPlatforms });
        }
        break;
      case 'ReferenceRemoved':
        this.#changeReference(event.reference, event);
        break;
      case 'ManifestAdded':
        this.#change(`manifests ${event.image}`, `content ${event.manifest.digest}`);
        for (const { digest } of event.layers) this.#change(`blob ${digest}`);
        break;
      case 'LayerAdded':
      case 'LayerRemoved':
        this.#change(`layer ${event.chainId}`, `uses ${event.chainId}`, `blob ${event.blob.digest}`);
        if (event.parent !== undefined) this.#change(`uses ${event.parent}`);
        break;
      case 'ContentErased':
        this.#change(`content ${event.digest}`, `blob ${event.digest}`);
        break;
    }
  }

  /** What a reference resolved to, or will: that reference, and the names of each such image. */
  #changeReference(reference: string, resolved: Pick<ReferenceSet, 'image' | 'platforms'>): void {
    this.#change(`reference ${reference}`);
    for (const image of imagesOf(resolved)) this.#change(`references ${image}`);
  }

  #change(...facts: FactKey[]): void {
    for (const fact of facts) this.#facts.add(fact);
  }
}
