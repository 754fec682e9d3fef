import { isStoreError } from '../errors.js';
import type { Descriptor, Digest, ImageId } from '../model/digest.js';
import type { Annotations } from '../model/events.js';
import type { ArtifactEntry, Referrer } from '../store/artifacts.js';
import type { Reading } from './open-for.js';
import type { ImageSource } from './query.js';

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
