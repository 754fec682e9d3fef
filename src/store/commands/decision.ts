import type { Views } from '../../../projections/views.js';
import type { ArtifactEntry } from '../../../projections/artifacts.js';
import type { ChainId, Descriptor, DiffId, Digest, ImageId } from '../../model/digest.js';
import type { FactKind } from '../../model/event-facts.js';
import type { EventBody, LayerFacts } from '../../model/events.js';
import { factsOf } from '../../model/event-table.js';
import type { Erasure, ErasuresView, ManifestEntry } from '../../../projections/content.js';
import type { ImageEntry } from '../../../projections/image-table.js';
import type { ReferenceEntry } from '../../../projections/references.js';
import type { ConsumerPosition } from '../../log/log.js';
import { StoreError } from '../../errors.js';
import { childrenOf, hasChildren, parentOf } from '../../../projections/images.js';

/** Users of content or a blob. */
interface ContentUsers {
  /** Images whose config it is, or whose manifest it is or is named by. */
  readonly images: readonly ImageId[];
  /** References whose target it is. */
  readonly references: readonly string[];
  /** Layers whose blob it is. */
  readonly layers: readonly LayerFacts[];
  /** Artifacts whose manifest, config or layer it is. */
  readonly artifacts: readonly Digest[];
}

/** Returns what needs `digest`. Walks manifests, references, layers and artifacts. */
function usersOf({ images, manifests, references, layers, artifacts }: Views, digest: Digest): ContentUsers {
  const users = new Set<ImageId>();
  if (images.has(digest as ImageId)) users.add(digest as ImageId);
  for (const [image, entries] of manifests) {
    const isNamed = entries.some(
      ({ manifest, layers: blobs }) => manifest.digest === digest || blobs.some((blob) => blob.digest === digest),
    );
    if (isNamed) users.add(image);
  }
  return {
    images: [...users],
    references: [...references.byName.values()]
      .filter(({ target }) => target?.digest === digest)
      .map(({ reference }) => reference)
      .sort(),
    layers: [...layers.byChain.values()].filter(({ blob }) => blob.digest === digest),
    artifacts: [...artifacts.byDigest.values()]
      .filter(({ artifact, blobs }) => artifact.digest === digest || blobs.some((blob) => blob.digest === digest))
      .map(({ artifact }) => artifact.digest),
  };
}

type ContentViews = Pick<Views, 'images' | 'manifests' | 'references' | 'artifacts'>;

/** Yields the configs, manifests and indexes these views need; some more than once. */
export function* neededContent({ images, manifests, references, artifacts }: ContentViews) {
  yield* images.ids() as Iterable<Digest>;
  for (const entries of manifests.values()) for (const { manifest } of entries) yield manifest.digest;
  for (const { target } of references.byName.values()) if (target !== undefined) yield target.digest;
  yield* artifacts.byDigest.keys();
}

/**
 * What a command may read while it is decided. Every read is noted, so that the writer can tell
 * which commands of a group conflict with an earlier one.
 */
export interface DecisionState {
  image(id: ImageId): ImageEntry | undefined;
  parent(id: ImageId): ImageId | undefined;
  children(id: ImageId): ImageId[];
  hasChildren(id: ImageId): boolean;
  metadata(id: ImageId, key: string): Uint8Array | undefined;
  reference(name: string): ReferenceEntry | undefined;
  /** References that resolve to the image, sorted. */
  referencesOf(id: ImageId): string[];
  manifests(id: ImageId): readonly ManifestEntry[];
  /** The image whose config or manifest it is. Walks the manifests, once a decision. */
  imageOf(digest: Digest): ImageId | undefined;
  artifact(digest: Digest): ArtifactEntry | undefined;
  /** Artifacts whose subject it is, in the order they were added. */
  artifactsAbout(digest: Digest): readonly Digest[];
  /** Indexes, kept as artifacts, that contain it. */
  indexesOf(digest: Digest): readonly Digest[];
  /** References that point at the index or artifact, sorted. */
  referencesTo(digest: Digest): string[];
  layer(chainId: ChainId): LayerFacts | undefined;
  /** Whether a layer, manifest or artifact needs the blob, so that its file exists, and it has that size. */
  hasBlob(blob: Descriptor): boolean;
  /** The layer that a blob of the store holds, if a layer or manifest says so. Walks both, once a decision. */
  diffIdOf(blob: Digest): DiffId | undefined;
  /** Number of layers, manifests and artifacts that need the blob. */
  usesOfBlob(digest: Digest): number;
  /** Number of images, layers and callers that need the chain. */
  usesOf(chainId: ChainId): number;
  /** The erasure of content or a blob not added again since. */
  erasure(digest: Digest): Erasure | undefined;
  /** Users of content or a blob. Walks the views. */
  usersOf(digest: Digest): ContentUsers;
  /** Those of `digests` that are a needed config, manifest or index. Walks the views once. */
  needed(digests: ReadonlySet<Digest>): ReadonlySet<Digest>;
}

/** The outcome of deciding a command: events to append, their content, and the caller's result. */
export interface Decision<Result> {
  readonly events: readonly EventBody[];
  /** Undefined removes content. */
  readonly content?: ReadonlyMap<Digest, Uint8Array | undefined> | undefined;
  /** Consumer positions to write along; undefined removes one. May come without events. */
  readonly positions?: ReadonlyMap<string, ConsumerPosition | undefined> | undefined;
  readonly result: Result;
}

/** A pure function of the state. A refusal is thrown; nothing is written then. */
export type Decide<Result> = (state: DecisionState) => Decision<Result>;

/** Returns a decision that changes nothing. */
export function unchanged<Result>(result: Result): Decision<Result> {
  return { events: [], result };
}

/** Returns the entry of an image. @throws {StoreError} IMAGE_NOT_FOUND */
export function needImage(state: Pick<DecisionState, 'image'>, id: ImageId): ImageEntry {
  const entry = state.image(id);
  if (entry === undefined) throw imageNotFound(id);
  return entry;
}

/** `id` may be anything a caller passed. */
export function imageNotFound(id: string): StoreError {
  const shown = String(id).slice(0, 100);
  return new StoreError('IMAGE_NOT_FOUND', `no image ${shown}`, { data: { image: shown } });
}

/** @throws {StoreError} CONTENT_ERASED with when, by whom and why, if it was erased */
export function refuseErased(erasures: ErasuresView, digest: Digest): void {
  const erasure = erasures.get(digest);
  if (erasure !== undefined) throw contentErased(erasure);
}

/** Creates CONTENT_ERASED, which tells who erased it, when and why. */
export function contentErased({ digest, size, seq, time, actor, reason }: Erasure): StoreError {
  const at = new Date(time).toISOString();
  const why = reason === undefined ? '' : `: ${reason}`;
  return new StoreError('CONTENT_ERASED', `${digest} was erased at ${at} by ${actor} (event ${seq})${why}`, {
    data: { digest, size, seq, time, actor, reason },
  });
}

/*
 * Conflict detection: queued commands are decided in order against the durable views and appended
 * as one group. That is correct as long as no command reads what an earlier one of the group
 * changes. So each read notes a key, each event yields the keys it changes, and a command whose
 * notes meet those keys waits for the next group.
 */

/** One noted read. */
type Note = readonly [kind: FactKind, key: string];

/** Facts by kind: joining kind and key would build and hash a new string for each read. */
class FactSet {
  readonly #keys = new Map<FactKind, Set<string>>();

  get isEmpty(): boolean {
    return this.#keys.size === 0;
  }

  add(kind: FactKind, key: string): void {
    const keys = this.#keys.get(kind);
    if (keys === undefined) this.#keys.set(kind, new Set([key]));
    else keys.add(key);
  }

  has(kind: FactKind, key: string): boolean {
    return this.#keys.get(kind)?.has(key) ?? false;
  }
}

/** Callers' holds on layers; not events, as they end with the process. */
export interface HoldCounts {
  holdsOf(chainId: ChainId): number;
}

/** The views as a decision sees them; notes every read. */
export class NotedState implements DecisionState {
  readonly #views: Views;
  readonly #holds: HoldCounts;
  readonly #notes: Note[] = [];
  #imageOfManifest: Map<Digest, ImageId> | undefined;
  #diffIdOfBlob: Map<Digest, DiffId> | undefined;

  constructor(views: Views, holds: HoldCounts) {
    this.#views = views;
    this.#holds = holds;
  }

  /** Whether any noted read was of one of these facts. */
  looksAt(facts: Pick<FactSet, 'isEmpty' | 'has'>): boolean {
    return !facts.isEmpty && this.#notes.some(([kind, key]) => facts.has(kind, key));
  }

  image(id: ImageId): ImageEntry | undefined {
    this.#note('image', id);
    return this.#views.images.get(id);
  }

  parent(id: ImageId): ImageId | undefined {
    this.#note('parent', id);
    return parentOf(this.#views.images, id);
  }

  children(id: ImageId): ImageId[] {
    this.#note('children', id);
    return childrenOf(this.#views.images, id);
  }

  hasChildren(id: ImageId): boolean {
    this.#note('children', id);
    return hasChildren(this.#views.images, id);
  }

  metadata(id: ImageId, key: string): Uint8Array | undefined {
    this.#note('metadata', id);
    return this.#views.metadata.get(id)?.get(key);
  }

  reference(name: string): ReferenceEntry | undefined {
    this.#note('reference', name);
    return this.#views.references.byName.get(name);
  }

  referencesOf(id: ImageId): string[] {
    this.#note('references', id);
    return [...(this.#views.references.byImage.get(id) ?? [])].sort();
  }

  manifests(id: ImageId): readonly ManifestEntry[] {
    this.#note('manifests', id);
    return this.#views.manifests.get(id) ?? [];
  }

  imageOf(digest: Digest): ImageId | undefined {
    this.#note('content', digest);
    const id = this.#views.images.has(digest as ImageId) ? (digest as ImageId) : this.#imageWith(digest);
    // A new one changes the first fact; a lost one, its own.
    if (id !== undefined) this.#note('image', id);
    return id;
  }

  artifact(digest: Digest): ArtifactEntry | undefined {
    this.#note('artifact', digest);
    return this.#views.artifacts.byDigest.get(digest);
  }

  artifactsAbout(digest: Digest): readonly Digest[] {
    this.#note('about', digest);
    return [...(this.#views.artifacts.bySubject.get(digest) ?? [])];
  }

  indexesOf(digest: Digest): readonly Digest[] {
    this.#note('indexes', digest);
    return [...(this.#views.artifacts.indexesOf.get(digest) ?? [])];
  }

  referencesTo(digest: Digest): string[] {
    this.#note('target', digest);
    return [...(this.#views.references.byTarget.get(digest) ?? [])].sort();
  }

  layer(chainId: ChainId): LayerFacts | undefined {
    this.#note('layer', chainId);
    return this.#views.layers.byChain.get(chainId);
  }

  hasBlob({ digest, size }: Descriptor): boolean {
    this.#note('blob', digest);
    return this.#views.blobs.byDigest.get(digest)?.size === size;
  }

  diffIdOf(blob: Digest): DiffId | undefined {
    this.#note('blob', blob);
    this.#diffIdOfBlob ??= diffIdsByBlob(this.#views);
    return this.#diffIdOfBlob.get(blob);
  }

  usesOfBlob(digest: Digest): number {
    this.#note('blob', digest);
    return this.#views.blobs.byDigest.get(digest)?.uses ?? 0;
  }

  erasure(digest: Digest): Erasure | undefined {
    this.#note('content', digest);
    return this.#views.erasures.get(digest);
  }

  usersOf(digest: Digest): ContentUsers {
    const users = usersOf(this.#views, digest);
    // A new user changes one of the first two facts; a lost one, its own fact.
    this.#note('content', digest);
    this.#note('blob', digest);
    for (const image of users.images) this.#note('image', image);
    for (const reference of users.references) this.#note('reference', reference);
    for (const { chainId } of users.layers) this.#note('layer', chainId);
    for (const artifact of users.artifacts) this.#note('artifact', artifact);
    return users;
  }

  needed(digests: ReadonlySet<Digest>): ReadonlySet<Digest> {
    for (const digest of digests) this.#note('content', digest);
    return new Set([...neededContent(this.#views)].filter((digest) => digests.has(digest)));
  }

  usesOf(chainId: ChainId): number {
    this.#note('uses', chainId);
    const images = this.#views.images.usesOfChain(chainId);
    const layers = this.#views.layers.childrenOf.get(chainId) ?? 0;
    return images + layers + this.#holds.holdsOf(chainId);
  }

  #imageWith(manifest: Digest): ImageId | undefined {
    this.#imageOfManifest ??= imagesByManifest(this.#views.manifests);
    return this.#imageOfManifest.get(manifest);
  }

  #note(kind: FactKind, key: string): void {
    this.#notes.push([kind, key]);
  }
}

function imagesByManifest(manifests: Views['manifests']): Map<Digest, ImageId> {
  const images = new Map<Digest, ImageId>();
  for (const [image, entries] of manifests) for (const { manifest } of entries) images.set(manifest.digest, image);
  return images;
}

function diffIdsByBlob({ images, manifests, layers: { byChain } }: Views): Map<Digest, DiffId> {
  const diffIds = new Map<Digest, DiffId>();
  for (const [image, entries] of manifests) {
    let facts = byChain.get(images.get(image)?.chainId as ChainId);
    for (let at = (entries[0]?.layers.length ?? 0) - 1; at >= 0 && facts !== undefined; at -= 1) {
      for (const { layers } of entries) {
        const blob = layers[at];
        if (blob !== undefined) diffIds.set(blob.digest, facts.diffId);
      }
      facts = byChain.get(facts.parent as ChainId);
    }
  }
  for (const { blob, diffId } of byChain.values()) diffIds.set(blob.digest, diffId);
  return diffIds;
}

/** Facts that the events of a group change, relative to the views before it. */
export class ChangedFacts {
  readonly #views: Views;
  readonly #facts = new FactSet();

  constructor(views: Views) {
    this.#views = views;
  }

  get facts(): Pick<FactSet, 'isEmpty' | 'has'> {
    return this.#facts;
  }

  /** Adds what `event` changes. */
  add(event: EventBody): void {
    for (const [kind, key] of factsOf(event).changes(event)) {
      this.#facts.add(kind, key);
      if (kind === 'image') this.#addAll('blob', this.#views.blobs.ofImage.get(key));
      else if (kind === 'artifact') this.#addAll('indexes', this.#views.artifacts.byDigest.get(key)?.contains);
      else if (kind === 'reference') this.#addTarget(key);
    }
  }

  // With an image go its manifests, and with them its blobs; with an index, what it contains.
  #addAll(kind: FactKind, descriptors: readonly Descriptor[] = []): void {
    for (const { digest } of descriptors) this.#facts.add(kind, digest);
  }

  // A reference leaves what it pointed at.
  #addTarget(reference: string): void {
    const { target } = this.#views.references.byName.get(reference) ?? {};
    if (target !== undefined) this.#facts.add('target', target.digest);
  }
}
