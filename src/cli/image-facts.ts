import { isStoreError } from '../errors.js';
import type { ChainId, Descriptor, DiffId, Digest, ImageId } from '../model/digest.js';
import type { Image } from '../model/image.js';
import type { Timestamp } from '../model/timestamp.js';
import { BUILT_LOCALLY_KEY, LAST_UPDATED_KEY, PARENT_KEY } from '../store/commands/metadata.js';
import { metadataText } from '../log/event-json.js';
import { configTimeText, type LayerTable } from '../model/history.js';
import type { ImageSource } from './query.js';
import { utcText } from '../model/texts.js';
import type { Annotations } from '../model/events.js';
import type { ArtifactEntry, Referrer } from '../store/artifacts.js';
import type { Reading } from './open-for.js';

/** An image in `images --json`: one object a line, missing facts null. */
export interface ImageFacts {
  readonly id: ImageId;
  /** Canonical, sorted. */
  readonly references: readonly string[];
  readonly parent: ImageId | null;
  readonly children: readonly ImageId[];
  readonly chainId: ChainId | null;
  /** Diff ids, bottom to top. */
  readonly layers: readonly DiffId[];
  /** Total bytes of regular files in all layers; null if the store does not keep layers. */
  readonly size: number | null;
  readonly os: string;
  readonly architecture: string;
  readonly variant: string | null;
  /** In UTC, from the config. */
  readonly created: Timestamp | null;
  /** Whether the image has no children. */
  readonly head: boolean;
  /** By key, sorted, without Docker's keys. */
  readonly metadata: MetadataFacts;
  /** Set for a past image whose config was erased since; its config facts are unknown. */
  readonly erased?: true;
}

/** Metadata by key: the text, or, for bytes that are no printable UTF-8, their base64. */
type MetadataFacts = Readonly<Record<string, string | { readonly base64: string }>>;

/** Keys of Docker's own, which are shown by their meaning and not set as metadata. */
export const DOCKER_KEYS: ReadonlySet<string> = new Set([PARENT_KEY, LAST_UPDATED_KEY, BUILT_LOCALLY_KEY]);

function metadataFacts(source: ImageSource, id: ImageId): MetadataFacts {
  const own = [...source.metadata(id)].filter(([key]) => !DOCKER_KEYS.has(key));
  return Object.fromEntries(
    own.map(([key, value]) => [key, metadataText(value) ?? { base64: Buffer.from(value).toString('base64') }]),
  );
}

/** Returns what an image has under Docker's keys, by its meaning: an id, a time, or `true`. */
export function dockerMetadata(source: ImageSource, id: ImageId): ReadonlyMap<string, string> {
  const parent = parentOf(source, id);
  const updated = source.getLastUpdated(id);
  return new Map([
    ...(parent === null ? [] : [[PARENT_KEY, parent] as const]),
    ...(updated === undefined ? [] : [[LAST_UPDATED_KEY, utcText(updated.getTime())] as const]),
    ...(source.isBuiltLocally(id) ? [[BUILT_LOCALLY_KEY, 'true'] as const] : []),
  ]);
}

/** Returns the facts of one image; `layers` is the source's table, shared across images. */
export function imageFacts(source: ImageSource, image: Image, layers: LayerTable): ImageFacts {
  const id = image.id();
  const children = source.children(id);
  const chainId = image.rootFS.chainID() || undefined;
  const { os, architecture, variant } = image.platform();
  return {
    id,
    references: source.references(id),
    parent: image.parent === '' ? null : image.parent,
    children,
    chainId: chainId ?? null,
    layers: image.rootFS.diffIds,
    size: chainId === undefined ? 0 : (layers.get(chainId)?.size ?? null),
    os,
    architecture,
    variant: variant ?? null,
    created: configTimeText(image),
    head: children.length === 0,
    metadata: metadataFacts(source, id),
  };
}

/** Returns the facts of a past image whose config was erased since. */
export function erasedFacts(source: ImageSource, id: ImageId): ImageFacts {
  const children = source.children(id);
  return {
    id,
    references: source.references(id),
    parent: parentOf(source, id),
    children,
    chainId: null,
    layers: [],
    size: null,
    os: '',
    architecture: '',
    variant: null,
    created: null,
    head: children.length === 0,
    metadata: metadataFacts(source, id),
    erased: true,
  };
}

function parentOf(source: ImageSource, id: ImageId): ImageId | null {
  try {
    return source.getParent(id);
  } catch (error) {
    if (isStoreError(error, 'METADATA_NOT_FOUND')) return null;
    throw error;
  }
}

/** An artifact in `images --all --json` and `inspect`: missing facts are null. */
export interface ArtifactFacts extends Descriptor {
  readonly kind: 'artifact' | 'index';
  /** Null when neither its manifest nor its config says. */
  readonly artifactType: string | null;
  /** Digest of what it is about. */
  readonly subject: Digest | null;
  /** Canonical references that point at it, sorted. */
  readonly references: readonly string[];
  /** Bytes of the manifest and its blobs. */
  readonly totalSize: number;
}

/** Returns the facts of every artifact, in the order added. */
export function allArtifactFacts(source: ImageSource): ArtifactFacts[] {
  const names = referencesByTarget(source);
  return source.artifacts().map((entry) => artifactFacts(entry, names));
}

/** Returns the facts of one artifact. */
export function artifactFactsOf(source: ImageSource, entry: ArtifactEntry): ArtifactFacts {
  return artifactFacts(entry, referencesByTarget(source));
}

function artifactFacts(entry: ArtifactEntry, names: ReadonlyMap<Digest, readonly string[]>): ArtifactFacts {
  const { artifact, artifactType, subject, contains, blobs } = entry;
  return {
    kind: contains.length > 0 ? 'index' : 'artifact',
    ...artifact,
    artifactType: artifactType === '' ? null : artifactType,
    subject: subject?.digest ?? null,
    references: names.get(artifact.digest) ?? [],
    totalSize: blobs.reduce((sum, { size }) => sum + size, artifact.size),
  };
}

function referencesByTarget(source: ImageSource): Map<Digest, string[]> {
  const names = new Map<Digest, string[]>();
  for (const { reference, target } of source.referenceEntries()) {
    if (target === undefined) continue;
    names.set(target.digest, [...(names.get(target.digest) ?? []), reference]);
  }
  return names;
}

/** Returns the manifests that an image came with, by the log. */
export async function manifestsOf({ store, seq }: Reading, image: ImageId, signal: AbortSignal): Promise<Descriptor[]> {
  const manifests = new Map<Digest, Descriptor>();
  for await (const event of store.history({ image }, { type: 'ManifestAdded', to: seq, signal })) {
    if (event.type === 'ManifestAdded') manifests.set(event.manifest.digest, event.manifest);
  }
  return [...manifests.values()];
}

/** What refers to a digest, and the digest. */
export interface Referring extends Referrer {
  readonly subject: Digest;
}

/** Returns what refers to any of `subjects`, each once. */
export function referringTo(source: ImageSource, subjects: Iterable<Digest>, artifactType?: string): Referring[] {
  const found = new Map<Digest, Referring>();
  for (const subject of subjects) {
    for (const referrer of source.referrers(subject, { artifactType })) {
      if (!found.has(referrer.digest)) found.set(referrer.digest, { ...referrer, subject });
    }
  }
  return [...found.values()];
}

/** An artifact that belongs to an image, and how. */
interface RelatedArtifact extends Descriptor {
  readonly artifactType: string | null;
  /** The digest it is about; null when an index holds it beside the image. */
  readonly subject: Digest | null;
  /** The index that holds both; null when it is about the image. */
  readonly index: Digest | null;
  readonly annotations: Annotations | null;
}

/** Returns the artifacts about an image, its manifests and indexes, and those beside it in an index. */
export function relatedArtifacts(
  source: ImageSource,
  image: ImageId,
  manifests: readonly Descriptor[],
): RelatedArtifact[] {
  const own = new Set<Digest>([image, ...manifests.map(({ digest }) => digest)]);
  const indexes = source.artifacts().filter(({ contains }) => contains.some(({ digest }) => own.has(digest)));
  const subjects = new Set([...own, ...indexes.map(({ artifact }) => artifact.digest), ...targetsOf(source, image)]);
  const related = new Map<Digest, RelatedArtifact>();
  for (const { digest, size, mediaType, artifactType, annotations = null, subject } of referringTo(source, subjects)) {
    const type = artifactType === '' ? null : artifactType;
    related.set(digest, { digest, size, mediaType, artifactType: type, subject, index: null, annotations });
  }
  for (const { artifact: index, contains } of indexes) {
    for (const { digest } of contains) {
      const entry = related.has(digest) ? undefined : artifactOrNone(source, digest);
      if (entry === undefined) continue;
      const type = entry.artifactType === '' ? null : entry.artifactType;
      const place = { subject: null, index: index.digest, annotations: null };
      related.set(digest, { ...entry.artifact, artifactType: type, ...place });
    }
  }
  return [...related.values()];
}

function targetsOf(source: ImageSource, image: ImageId): Digest[] {
  const names = new Set(source.references(image));
  return source
    .referenceEntries()
    .flatMap(({ reference, target }) => (names.has(reference) && target !== undefined ? [target.digest] : []));
}

function artifactOrNone(source: ImageSource, digest: Digest): ArtifactEntry | undefined {
  try {
    return source.artifact(digest);
  } catch (error) {
    if (isStoreError(error, 'ARTIFACT_NOT_FOUND')) return undefined;
    throw error;
  }
}
