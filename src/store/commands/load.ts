import type { ReferenceEntry } from '../../../projections/references.js';
import type {
  ArchiveArtifact,
  ArchiveContents,
  ArchiveImage,
  ArchiveManifest,
  ArchiveReference,
} from '../../archive/archive-files.js';
import { layerMismatch } from '../../archive/layer-meter.js';
import { StoreError } from '../../errors.js';
import type { ChainId, DiffId, Digest, ImageId } from '../../model/digest.js';
import type { EventBody, LayerFacts, PlatformImage } from '../../model/events.js';
import { type Image, isValidParent } from '../../model/image.js';
import { formatPlatform, type Platform } from '../../model/platform.js';
import type { LoadedArtifact, LoadedReference, LoadResult } from '../store.js';
import { checkImage, imageCreated, type ImagePolicy } from './images.js';
import { chainOnTop } from './layers.js';
import type { Decide, DecisionState } from './decision.js';
import { descendsFrom } from './metadata.js';
import { annotationsOf, keepsImages, lostPlatforms, type ReferenceTarget, setReference, storedOf } from './tag.js';

export interface LoadPolicy {
  readonly images: ImagePolicy;
  /** Whether this store keeps layers and manifests. */
  readonly keepsLayers: boolean;
  /** Whether a reference to another image may be moved. */
  readonly overwrite: boolean;
  /**
   * References that are set only where they still have their target, and while the store has none of
   * the manifests that these functions return: set again, they would lead to them.
   */
  readonly refreshed?: ReadonlyMap<string, () => readonly Digest[]> | undefined;
  /** Reads an image of the store. */
  readonly readImage: (id: ImageId) => Image;
}

/** The result of a decided load, not yet at a seq. */
type LoadOutcome = Omit<LoadResult, 'seq'>;

/**
 * Decides `load`: adds the layers, images, manifests, parents, artifacts and references the store
 * lacks, in one transaction. Throws what `checkImage` throws, LAYER_MISSING when a layer is neither in the
 * archive nor in the store, REFERENCE_EXISTS.
 */
export function decideLoad(contents: ArchiveContents, policy: LoadPolicy): Decide<LoadOutcome> {
  for (const { id, config, image } of contents.images) checkImage({ id, config, image }, policy.images);
  const chains = new ChainMemory();
  return (state) => {
    const plan = new LoadPlan(state, contents, policy, chains);
    for (const image of contents.images) plan.addImage(image);
    plan.refuseNothing();
    for (const image of contents.images) plan.addParent(image);
    for (const artifact of contents.artifacts) plan.addArtifact(artifact);
    for (const reference of contents.references) plan.addReference(reference);
    return plan.decision();
  };
}

/** Cache: images of one archive share most layers, and a hash takes ten times a lookup. */
class ChainMemory {
  readonly #chains = new Map<ChainId | undefined, Map<DiffId, ChainId>>();

  onTop(parent: ChainId | undefined, diffId: DiffId): ChainId {
    const above = this.#chains.get(parent) ?? new Map<DiffId, ChainId>();
    const chainId = above.get(diffId) ?? chainOnTop(parent, diffId);
    this.#chains.set(parent, above.set(diffId, chainId));
    return chainId;
  }
}

class LoadPlan {
  readonly #state: DecisionState;
  readonly #contents: ArchiveContents;
  readonly #policy: LoadPolicy;
  readonly #chains: ChainMemory;
  readonly #arriving: ReadonlyMap<ImageId, ArchiveImage>;
  readonly #events: EventBody[] = [];
  readonly #content = new Map<Digest, Uint8Array>();
  readonly #newChains = new Map<ChainId, LayerFacts>();
  readonly #created = new Set<ImageId>();
  /** Platforms that were skipped because a layer is missing. */
  readonly #skipped = new Map<ImageId, StoreError>();
  readonly #parents = new Map<ImageId, ImageId>();
  readonly #namedParents = new Set<ImageId>();
  readonly #manifests = new Set<Digest>();
  readonly #artifacts = new Map<Digest, LoadedArtifact>();
  readonly #references: LoadedReference[] = [];
  readonly #notices: string[] = [];

  constructor(state: DecisionState, contents: ArchiveContents, policy: LoadPolicy, chains: ChainMemory) {
    this.#state = state;
    this.#contents = contents;
    this.#policy = policy;
    this.#chains = chains;
    this.#arriving = new Map(contents.images.map((image) => [image.id, image]));
  }

  addImage(arriving: ArchiveImage): void {
    const { id, config, image } = arriving;
    if (this.#policy.keepsLayers) {
      const missing = arriving.isOptional ? this.#missingLayer(arriving) : undefined;
      if (missing !== undefined) {
        this.#skipped.set(id, missing);
        this.#notices.push(`skipped ${id} for ${formatPlatform(image.platform())}: ${missing.message}`);
        return;
      }
      this.#addLayers(arriving);
    }
    if (this.#state.image(id) === undefined) {
      this.#created.add(id);
      this.#events.push(imageCreated({ id, config, image }));
      this.#content.set(id, config);
    }
    if (this.#policy.keepsLayers) for (const manifest of arriving.manifests) this.#addManifest(arriving, manifest);
  }

  /** Throws LAYER_MISSING if a layer of every image is missing. */
  refuseNothing(): void {
    const [first] = this.#skipped.values();
    if (first !== undefined && this.#skipped.size === this.#contents.images.length) throw first;
  }

  addParent({ id, image, parent }: ArchiveImage): void {
    const previous = this.#state.parent(id);
    if (parent === undefined || parent === previous || this.#skipped.has(id)) return;
    const parentImage = this.#imageOf(parent);
    const refusal =
      parentImage === undefined
        ? 'the store does not have it'
        : !isValidParent(image, parentImage)
          ? 'its build steps and layers do not begin those of the image'
          : this.#wouldCycle(id, parent)
            ? 'it descends from the image'
            : undefined;
    if (refusal !== undefined) {
      this.#notices.push(`the parent ${parent} of ${id} was not kept: ${refusal}`);
      return;
    }
    this.#parents.set(id, parent);
    this.#namedParents.add(parent);
    this.#events.push({ type: 'ParentSet', image: id, parent, previous });
  }

  addArtifact(artifact: ArchiveArtifact): void {
    const { descriptor, artifactType, subject, contains, blobs } = artifact;
    const { digest } = descriptor;
    if (this.#artifacts.has(digest)) return;
    const known = this.#state.artifact(digest) !== undefined;
    const refusal = known ? undefined : this.#artifactRefusal(artifact);
    if (refusal !== undefined) {
      this.#notices.push(`the artifact ${digest} (${artifactType}) was not kept: ${refusal}`);
      return;
    }
    this.#artifacts.set(digest, { digest, artifactType, subject: subject?.digest, created: !known });
    if (known) return;
    this.#keepContent(digest);
    this.#events.push({ type: 'ArtifactAdded', artifact: descriptor, artifactType, subject, contains, blobs });
  }

  #artifactRefusal({ descriptor, blobs, staged: files }: ArchiveArtifact): string | undefined {
    if (!this.#policy.keepsLayers) return 'this store keeps no files';
    if (!this.#contents.content.has(descriptor.digest)) return 'the archive lacks it';
    const missing = blobs.find((blob, at) => files[at] === undefined && !this.#state.hasBlob(blob));
    return missing === undefined ? undefined : `the archive lacks its blob ${missing.digest}`;
  }

  addReference(arriving: ArchiveReference): void {
    const { reference, target } = arriving;
    const lacking = this.#policy.refreshed?.get(reference);
    if (lacking !== undefined) {
      if (this.#state.reference(reference)?.target?.digest !== target?.digest) return;
      if (storedOf(lacking(), this.#state).length > 0) return;
    }
    const wanted = this.#withWholePlatforms(arriving);
    if (wanted.image === undefined) this.#nameArtifact(wanted);
    else this.#nameImage(wanted, wanted.image);
  }

  #nameArtifact(wanted: ArchiveReference): void {
    const { reference, target } = wanted;
    if (target === undefined || !this.#artifacts.has(target.digest)) {
      this.#notices.push(`the name ${reference} was not set: the artifact ${target?.digest} was not kept`);
      return;
    }
    const before = this.#state.reference(reference);
    const next = { reference, target, ...annotationsOf(wanted) };
    const event = setReference(this.#state, next, this.#policy.overwrite);
    if (event !== undefined) this.#events.push(event);
    this.#references.push({ reference, artifact: target.digest, ...formerly(before, wanted) });
  }

  #nameImage(wanted: ArchiveReference, image: ImageId): void {
    const { reference } = wanted;
    const target = wanted.target !== undefined && this.#keepsTarget(wanted) ? wanted.target : undefined;
    const before = this.#state.reference(reference);
    // An archive without manifests knows no target: keep the reference's if the image is the same.
    if (target === undefined && wanted.platforms === undefined && before?.image === image) {
      this.#references.push({ reference, image });
      return;
    }
    const next = { reference, image, target, platforms: wanted.platforms, ...annotationsOf(wanted) };
    const event = setReference(this.#state, next, this.#policy.overwrite);
    if (event !== undefined) this.#events.push(event);
    this.#references.push({ reference, image, previous: undefined, ...formerly(before, next) });
    if (before !== undefined && !keepsImages(before, next)) this.#noteLost(before, next);
  }

  /**
   * Leaves out platforms that were skipped, and adds those that the name already has of the
   * same index: a second load of one platform adds, and does not move the name.
   */
  #withWholePlatforms(arriving: ArchiveReference): ArchiveReference {
    if (arriving.platforms === undefined) return arriving;
    const before = this.#state.reference(arriving.reference);
    const isSame = before?.target !== undefined && before.target.digest === arriving.target?.digest;
    const known = isSame ? (before.platforms ?? []) : [];
    const whole = arriving.platforms.filter((platform) => !this.#skipped.has(platform.image));
    const has = ({ image }: PlatformImage): boolean => [...whole, ...known].some((each) => each.image === image);
    const platforms = (arriving.allPlatforms ?? arriving.platforms).filter(has);
    const [first] = platforms;
    const missing = arriving.image === undefined ? undefined : this.#skipped.get(arriving.image);
    if (first === undefined && missing !== undefined) throw missing;
    const image =
      isSame && before.image !== undefined ? before.image : missing === undefined ? arriving.image : first?.image;
    return { ...arriving, image, platforms };
  }

  #noteLost(before: ReferenceEntry, wanted: ReferenceTarget): void {
    const lost = lostPlatforms(before, wanted).filter(
      (platform) => platform.image !== wanted.image && !hasPlatform(wanted, platform),
    );
    if (lost.length === 0) return;
    this.#notices.push(`${wanted.reference} no longer has an image for ${lost.map(formatPlatform).join(', ')}`);
  }

  decision(): { events: EventBody[]; content: ReadonlyMap<Digest, Uint8Array>; result: LoadOutcome } {
    const loaded = this.#contents.images.filter(({ id }) => !this.#skipped.has(id));
    const images = loaded.map(({ id, image, manifests }) => ({
      id,
      created: this.#created.has(id),
      parent: this.#parents.get(id) ?? this.#state.parent(id),
      platform: image.platform(),
      manifest: manifests[0]?.descriptor.digest,
    }));
    const result = {
      format: this.#contents.format,
      images,
      references: this.#references,
      artifacts: [...this.#artifacts.values()],
      layersAdded: this.#newChains.size,
      notices: [...this.#contents.notices, ...this.#notices],
    };
    return { events: this.#events, content: this.#content, result };
  }

  #addLayers({ id, layers }: ArchiveImage): void {
    let below: LayerFacts | undefined;
    for (const [position, { diffId, staged }] of layers.entries()) {
      const parent = below?.chainId;
      const chainId = this.#chains.onTop(parent, diffId);
      let facts = this.#newChains.get(chainId) ?? this.#state.layer(chainId);
      if (facts === undefined) {
        if (staged === undefined) throw layerMissing(id, { chainId, diffId, position });
        const { blob, diffSize } = staged;
        facts = { chainId, diffId, parent, size: (below?.size ?? 0) + diffSize, diffSize, blob };
        this.#newChains.set(chainId, facts);
        this.#events.push({ type: 'LayerAdded', ...facts });
      }
      below = facts;
    }
  }

  /** The error for the first layer that neither the archive nor the store has. */
  #missingLayer({ id, layers }: ArchiveImage): StoreError | undefined {
    let parent: ChainId | undefined;
    for (const [position, { diffId, staged }] of layers.entries()) {
      parent = this.#chains.onTop(parent, diffId);
      if (staged !== undefined || this.#newChains.has(parent) || this.#state.layer(parent) !== undefined) continue;
      return layerMissing(id, { chainId: parent, diffId, position });
    }
    return undefined;
  }

  /** @throws {StoreError} LAYER_MISMATCH if the store has a blob that the archive lacks as another layer */
  #addManifest({ id, layers }: ArchiveImage, { descriptor, layers: blobs, staged: files }: ArchiveManifest): void {
    const known = this.#state.manifests(id).some(({ manifest }) => manifest.digest === descriptor.digest);
    for (const [at, { digest }] of blobs.entries()) {
      if (known || files[at] !== undefined) continue;
      const [expected, found] = [layers[at]?.diffId, this.#state.diffIdOf(digest)];
      if (found !== undefined && found !== expected) throw layerMismatch(digest, expected, found);
    }
    const staged = new Set(files.map((file) => file?.blob.digest));
    const missing = blobs.find((blob) => !staged.has(blob.digest) && !this.#state.hasBlob(blob));
    if (missing !== undefined && !known) {
      this.#notices.push(
        `the manifest ${descriptor.digest} of ${id} was not kept: the archive lacks its layer ${missing.digest}`,
      );
      return;
    }
    this.#manifests.add(descriptor.digest);
    if (known) return;
    this.#keepContent(descriptor.digest);
    this.#events.push({ type: 'ManifestAdded', image: id, manifest: descriptor, layers: blobs });
  }

  // An image's target is its manifest; a multi-platform one is an index, needing no blobs.
  #keepsTarget({ target, platforms }: ArchiveReference): boolean {
    if (target === undefined || !this.#policy.keepsLayers) return false;
    if (platforms === undefined) return this.#manifests.has(target.digest);
    this.#keepContent(target.digest);
    return true;
  }

  #keepContent(digest: Digest): void {
    const bytes = this.#contents.content.get(digest);
    if (bytes !== undefined) this.#content.set(digest, bytes);
  }

  #imageOf(id: ImageId): Image | undefined {
    const arriving = this.#arriving.get(id)?.image;
    if (arriving !== undefined) return arriving;
    return this.#state.image(id) === undefined ? undefined : this.#policy.readImage(id);
  }

  // Walks the future parents once: edges of this load take precedence over the store's.
  #wouldCycle(id: ImageId, parent: ImageId): boolean {
    if (parent === id) return true;
    if (!this.#namedParents.has(id) && !this.#state.hasChildren(id)) return false;
    return descendsFrom(parent, id, (at) => this.#parents.get(at) ?? this.#state.parent(at));
  }
}

/** Returns what a reference stood for, if a load takes it away. */
function formerly(
  before: ReferenceEntry | undefined,
  wanted: ReferenceTarget,
): Pick<LoadedReference, 'previous' | 'previousArtifact'> {
  if (before === undefined || keepsImages(before, wanted)) return {};
  return before.image === undefined ? { previousArtifact: before.target?.digest } : { previous: before.image };
}

function hasPlatform({ platforms = [] }: ReferenceTarget, wanted: Platform): boolean {
  return platforms.some((platform) => formatPlatform(platform) === formatPlatform(wanted));
}

interface MissingLayer {
  readonly chainId: ChainId;
  readonly diffId: string;
  readonly position: number;
}

// Names the layer as every text does, and as the archive does, where it has to be looked for.
function layerMissing(image: ImageId, { chainId, diffId, position }: MissingLayer): StoreError {
  const layer = `${chainId}${chainId === diffId ? '' : ` (diff id ${diffId})`}`;
  return new StoreError(
    'LAYER_MISSING',
    `the image ${image} needs the layer ${layer} at position ${position + 1}, which is neither in the archive nor in the store`,
    { data: { image, chainId, diffId, position } },
  );
}
