import { type ChainId, type DiffId, type Digest, type ImageId, isDigest } from '../model/digest.js';
import type { LayerTable } from '../model/history.js';
import { artifactTypeText } from '../model/event-facts.js';
import type { ReferenceRemoved, ReferenceSet, StoredEvent } from '../model/events.js';
import type { PastStore, ReferenceInterval } from '../store/past/audit.js';
import { isStoreError, StoreError } from '../errors.js';
import type { ArtifactEntry, ArtifactReads, FoundDigest } from '../store/artifacts.js';
import type { EventStore } from '../store/event-store.js';
import type { ImageReads, LayerMetadata, ReferenceEntry } from '../store/store.js';
import { sameTarget } from '../../projections/references.js';
import { canonicalReference, parseReference } from '../model/reference.js';
import { ambiguous, isCutReference, mayBeId, wholeReference } from './cut-reference.js';

/** What reading commands query: the current store or a past one. */
export interface ImageSource
  extends ImageReads,
    ArtifactReads,
    Pick<PastStore, 'resolve' | 'references' | 'referenceEntries' | 'imageEntries' | 'metadata'> {
  readonly layers: { map(): LayerTable };
}

/** Layers in JSON: their chain ids, and in the same order their diff ids. */
export interface LayerIds {
  readonly layers: readonly ChainId[];
  readonly diffIds: readonly DiffId[];
}

/** Returns both ids of each layer. */
export function layerIds(layers: readonly LayerMetadata[]): LayerIds {
  return { layers: layers.map(({ chainId }) => chainId), diffIds: layers.map(({ diffId }) => diffId) };
}

/** Returns the intervals begun by event `seq`; later ends are removed. */
export function intervalsUpTo(intervals: readonly ReferenceInterval[], seq: number): ReferenceInterval[] {
  return intervals.filter((interval) => interval.seq <= seq).map((interval) => asOf(interval, seq));
}

function asOf(interval: ReferenceInterval, seq: number): ReferenceInterval {
  if (interval.untilSeq === undefined || interval.untilSeq <= seq) return interval;
  const { until, untilSeq, removedBy, removedReason, removedRequestId, ...lasting } = interval;
  return lasting;
}

/** Returns the entry of a canonical reference; undefined if absent. */
export function referenceEntry(store: EventStore, reference: string): ReferenceEntry | undefined {
  return store.referenceEntries().find((entry) => entry.reference === reference);
}

/** Creates the error for an absent reference; `doing` is the failed action, e.g. `cannot untag`. */
export function referenceNotFound(doing: string, reference: string): StoreError {
  return new StoreError('REFERENCE_NOT_FOUND', `${doing} ${reference}: no such reference`, { data: { reference } });
}

interface FoundImage {
  readonly id: ImageId;
  /** Canonical; present if the name was a reference. */
  readonly reference?: string | undefined;
  /** The manifest or index of the image that the name was the digest of. */
  readonly via?: Pick<FoundDigest, 'kind' | 'digest'> | undefined;
  readonly entry?: undefined;
}

interface FoundArtifact {
  readonly entry: ArtifactEntry;
  /** Canonical; present if the name was a reference. */
  readonly reference?: string | undefined;
}

/**
 * Resolves `name` in Docker's order: full id, reference, id prefix; then to the image of the
 * manifest or index whose digest it is. The digest of a reference may be cut where it is the only one.
 * @throws {StoreError} IMAGE_NOT_FOUND; REFERENCE_NOT_IMAGE for the name or digest of an artifact;
 *   ID_AMBIGUOUS if several ids match
 */
export function findImage(source: ImageSource, name: string): FoundImage {
  const found = findNamed(source, name, { throwsNotImage: true });
  if (found.entry === undefined) return found;
  const { artifact } = found.entry;
  const data = { name, artifact: artifact.digest };
  const type = artifactTypeText(found.entry);
  throw new StoreError('REFERENCE_NOT_IMAGE', `${name} is no image: it is the artifact ${artifact.digest} (${type})`, {
    data,
  });
}

/**
 * Resolves `name` as `findImage`, or to the artifact that a reference, a digest or its first digits
 * name.
 * @throws {StoreError} IMAGE_NOT_FOUND; ID_AMBIGUOUS if several ids match
 */
export function findNamed(
  source: ImageSource,
  name: string,
  { throwsNotImage = false } = {},
): FoundImage | FoundArtifact {
  const isId = isDigest(name) && unlessMissing(() => source.get(name as ImageId)) !== undefined;
  if (isId) return { id: name as ImageId };
  const reference = wholeReference(name, source) ?? asReference(name);
  if (reference !== undefined) {
    const artifact = throwsNotImage ? undefined : namedArtifact(source, reference);
    if (artifact !== undefined) return { entry: artifact, reference };
    const id = unlessMissing(() => source.resolve(reference));
    if (id !== undefined) return referenced(source, reference, id);
  }
  const found = unlessMissing(() => source.find(name));
  if (found === undefined) throw notFound(name);
  const { kind, digest, image } = found;
  if (image === undefined) return { entry: source.artifact(digest) };
  return kind === 'image' ? { id: image } : { id: image, via: { kind, digest } };
}

/**
 * Returns the one reference that `name` means: it, there or not, or with the rest of a digest that is cut; of an
 * id, a digest or its first digits the only reference to what it is.
 * @throws {StoreError} REFERENCE_INVALID; IMAGE_NOT_FOUND; ID_AMBIGUOUS for several references
 */
export function referenceMeant(source: ImageSource, name: string): string {
  const reference = wholeReference(name, source) ?? asReference(name);
  const isThere = source.referenceEntries().some((entry) => entry.reference === reference);
  if (reference !== undefined && (isThere || !mayBeId(name))) return reference;
  if (!mayBeId(name)) return canonicalReference(name);
  const [only, ...others] = referencesTo(source, name);
  if (only === undefined) throw notFound(name);
  if (others.length === 0) return only;
  throw ambiguous(name, [only, ...others], `${others.length + 1} references point at it`);
}

/**
 * Returns the references to what an id, a digest or its first digits name, sorted.
 * @throws {StoreError} IMAGE_NOT_FOUND; ID_AMBIGUOUS
 */
export function referencesTo(source: ImageSource, name: string): string[] {
  const found = findNamed(source, name);
  const digest = found.entry === undefined ? (found.via?.digest ?? found.id) : found.entry.artifact.digest;
  const entries = source.referenceEntries();
  const direct = entries.filter(({ image, target }) => image === digest || target?.digest === digest);
  const isElsewhere = direct.length === 0 && found.entry === undefined;
  const names = isElsewhere ? source.references(found.id) : direct.map(({ reference }) => reference);
  return [...names].sort();
}

function namedArtifact(source: ImageSource, reference: string): ArtifactEntry | undefined {
  const entry = source.referenceEntries().find((each) => each.reference === reference);
  if (entry === undefined || entry.image !== undefined || entry.target === undefined) return undefined;
  return source.artifact(entry.target.digest);
}

// A reference by digest may name a manifest of its repository without being there itself.
function referenced(source: ImageSource, reference: string, id: ImageId): FoundImage {
  const { digest } = parseReference(reference);
  if (digest === undefined || !isDigest(digest) || source.references(id).includes(reference)) return { id, reference };
  return digest === id ? { id } : { id, via: { kind: source.find(digest).kind, digest } };
}

/**
 * Resolves `name`, including deleted images: a full id as is, even if it never existed; else as
 * `findNamed`; else the id prefix of a deleted image or artifact, by the index.
 * @throws {StoreError} IMAGE_NOT_FOUND, ID_AMBIGUOUS
 */
export async function findImageEver(
  { store, images, seq }: { readonly store: EventStore; readonly images: ImageSource; readonly seq: number },
  name: string,
  signal: AbortSignal,
): Promise<ImageId> {
  if (isDigest(name)) return name as ImageId;
  // The index of removals has no names.
  const alive = isCutReference(name) ? findNamed(images, name) : unlessMissing(() => findNamed(images, name));
  if (alive !== undefined) return subjectId(images, alive);
  try {
    return (await store.search(name, { past: true, at: seq, signal })) as ImageId;
  } catch (error) {
    throw isStoreError(error, 'IMAGE_NOT_FOUND') ? notFound(name) : error;
  }
}

// Events are about indexes that are artifacts, and about the images of manifests.
function subjectId(source: ImageSource, found: FoundImage | FoundArtifact): ImageId {
  const digest = found.entry === undefined ? found.via?.digest : found.entry.artifact.digest;
  const artifact = source.artifacts().find(({ artifact: { digest: own } }) => own === digest);
  return found.entry === undefined && artifact === undefined ? found.id : (digest as ImageId);
}

function asReference(name: string): string | undefined {
  try {
    return canonicalReference(name);
  } catch (error) {
    if (isStoreError(error, 'REFERENCE_INVALID')) return undefined;
    throw error;
  }
}

function unlessMissing<Result>(find: () => Result): Result | undefined {
  try {
    return find();
  } catch (error) {
    if (isStoreError(error, 'IMAGE_NOT_FOUND') || isStoreError(error, 'REFERENCE_NOT_FOUND')) return undefined;
    throw error;
  }
}

function notFound(name: string): StoreError {
  return new StoreError(
    'IMAGE_NOT_FOUND',
    `cannot find the image ${JSON.stringify(name)}: no reference has this name and no id this prefix`,
    { data: { name } },
  );
}

/**
 * Returns the event that made a reference what it was after event `seq`; undefined when it was never
 * set. An event that set it to its target again decided nothing.
 */
export async function decidingEvent(
  store: EventStore,
  reference: string,
  seq: number,
  signal: AbortSignal,
): Promise<(StoredEvent & (ReferenceSet | ReferenceRemoved)) | undefined> {
  if (seq === 0) return undefined;
  const filter = { reference, type: ['ReferenceSet', 'ReferenceRemoved'] } as const;
  let deciding: (StoredEvent & (ReferenceSet | ReferenceRemoved)) | undefined;
  for await (const event of store.log.read({ to: seq, reverse: true, filter, signal })) {
    if (event.type !== 'ReferenceSet' && event.type !== 'ReferenceRemoved') continue;
    const isEarlier =
      deciding?.type === 'ReferenceSet' && (event.type !== 'ReferenceSet' || !sameTarget(event, deciding));
    if (isEarlier) break;
    deciding = event;
    if (event.type === 'ReferenceRemoved') break;
  }
  return deciding;
}

/** A period in the life of a reference: pointing at one target, or removed. */
export interface ReferencePeriod
  extends Pick<ReferenceInterval, 'from' | 'until' | 'seq' | 'actor' | 'reason' | 'requestId' | 'via' | 'address'> {
  readonly image?: ImageId | undefined;
  /** The artifact it pointed at; like the image absent while removed. */
  readonly artifact?: Digest | undefined;
  /** Number of images for other platforms. */
  readonly others: number;
}

/** Returns the full life of a reference as contiguous periods, oldest first. */
export function referencePeriods(intervals: readonly ReferenceInterval[]): ReferencePeriod[] {
  return intervals.flatMap((interval, at) => {
    const gap = gapAfter(interval, intervals[at + 1]);
    return gap === undefined ? [standing(interval)] : [standing(interval), gap];
  });
}

function standing({
  image,
  target,
  platforms,
  from,
  until,
  seq,
  actor,
  reason,
  requestId,
  via,
  address,
}: ReferenceInterval): ReferencePeriod {
  const artifact = image === undefined ? target : undefined;
  const others = Math.max(0, (platforms?.length ?? 1) - 1);
  return { image, artifact, others, from, until, seq, actor, reason, requestId, via, address };
}

function gapAfter(interval: ReferenceInterval, next: ReferenceInterval | undefined): ReferencePeriod | undefined {
  const { until, untilSeq, removedBy, removedReason, removedRequestId, removedVia, removedAddress } = interval;
  if (until === undefined || untilSeq === undefined || removedBy === undefined) return undefined;
  const why = { reason: removedReason, requestId: removedRequestId, via: removedVia, address: removedAddress };
  return { others: 0, from: until, until: next?.from, seq: untilSeq, actor: removedBy, ...why };
}
