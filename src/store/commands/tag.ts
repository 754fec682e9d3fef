import { type ReferenceEntry, samePlatform, sameTarget } from '../../../projections/references.js';
import { StoreError } from '../../errors.js';
import { type Digest, type ImageId, isDigest } from '../../model/digest.js';
import type { Annotations, PlatformImage, ReferenceSet } from '../../model/events.js';
import type { Descriptor } from '../../model/digest.js';
import type { Platform } from '../../model/platform.js';
import { parseReference } from '../../model/reference.js';
import { pointsAt, referenceRemoved, removeArtifacts } from './artifacts.js';
import { type Decide, type DecisionState, needImage, unchanged } from './decision.js';

/** Reads the platform of an image of the store. */
type PlatformOf = (image: ImageId) => Platform;

/** The new target of a reference. */
export interface ReferenceTarget {
  /** Canonical. */
  readonly reference: string;
  /** Absent if `target` is an artifact or an index without images. */
  readonly image?: ImageId | undefined;
  readonly target?: Descriptor | undefined;
  readonly platforms?: readonly PlatformImage[] | undefined;
  readonly annotations?: Annotations | undefined;
  readonly layoutAnnotations?: Annotations | undefined;
}

/**
 * Decides `tag`. `source` is the id of an image, the digest of an artifact, or a canonical
 * reference, of which all but the name is copied. A reference with a digest must name the image,
 * one of its manifests, or the index or artifact it is copied from.
 * @throws {StoreError} as a decision: IMAGE_NOT_FOUND, REFERENCE_NOT_FOUND for a missing source,
 *   REFERENCE_EXISTS when `overwrite` is false and an image of it would change, REFERENCE_INVALID
 */
export function decideTag(
  reference: string,
  source: string,
  { overwrite, platformOf }: { readonly overwrite: boolean; readonly platformOf: PlatformOf },
): Decide<void> {
  return (state) => {
    const wanted = isDigest(source)
      ? digestTarget(state, reference, source, platformOf)
      : copiedTarget(state, reference, source, platformOf);
    const event = setReference(state, wanted, overwrite);
    return event === undefined ? unchanged(undefined) : { events: [event], result: undefined };
  };
}

function imageTarget(state: DecisionState, reference: string, image: ImageId): ReferenceTarget {
  needImage(state, image);
  return { reference, image, target: targetOf(state, reference, image) };
}

function digestTarget(
  state: DecisionState,
  reference: string,
  source: Digest,
  platformOf: PlatformOf,
): ReferenceTarget {
  const artifact = state.image(source as ImageId) === undefined ? state.artifact(source) : undefined;
  if (artifact === undefined) return imageTarget(state, reference, source as ImageId);
  return artifactTarget(state, reference, artifact.artifact, platformOf);
}

function copiedTarget(
  state: DecisionState,
  reference: string,
  source: string,
  platformOf: PlatformOf,
): ReferenceTarget {
  const entry = state.reference(source);
  if (entry === undefined) throw referenceNotFound(source);
  const { image, target, platforms } = entry;
  const { digest } = parseReference(reference);
  if (digest === undefined || digest === target?.digest) {
    return { reference, image, target, platforms, ...annotationsOf(entry) };
  }
  if (image !== undefined) return imageTarget(state, reference, image);
  if (target !== undefined) return artifactTarget(state, reference, target, platformOf);
  throw new StoreError('INTERNAL', `${source} points at nothing`, { data: { reference: source } });
}

// An index with images stands for them.
function artifactTarget(
  state: DecisionState,
  reference: string,
  target: Descriptor,
  platformOf: PlatformOf,
): ReferenceTarget {
  const { digest } = parseReference(reference);
  if (digest === undefined || digest === target.digest) {
    const platforms = imagesIn(state, target.digest).map((image) => platformImage(image, platformOf(image)));
    return platforms.length === 0
      ? { reference, target }
      : { reference, image: platforms[0]?.image, target, platforms };
  }
  throw new StoreError('REFERENCE_INVALID', `cannot point ${reference} at ${target.digest}: its digest is another`, {
    data: { reference, artifact: target.digest },
  });
}

/** Returns the images of an index, and of those below it, in order. */
function imagesIn(state: DecisionState, index: Digest): ImageId[] {
  const images: ImageId[] = [];
  const seen = new Set<Digest>();
  // Archives that name indexes of each other nest them deeper than one may, so no recursion.
  const left = [index];
  for (let at = left.pop(); at !== undefined; at = left.pop()) {
    if (seen.has(at)) continue;
    seen.add(at);
    const image = at === index ? undefined : state.imageOf(at);
    if (image !== undefined) images.push(image);
    else for (const { digest } of [...(state.artifact(at)?.contains ?? [])].reverse()) left.push(digest);
  }
  return images;
}

function platformImage(image: ImageId, { os, architecture, variant }: Platform): PlatformImage {
  return { image, os, architecture, variant };
}

/** Returns the annotations of a reference, without those that are absent. */
export function annotationsOf({
  annotations,
  layoutAnnotations,
}: Pick<ReferenceTarget, 'annotations' | 'layoutAnnotations'>): Pick<
  ReferenceTarget,
  'annotations' | 'layoutAnnotations'
> {
  return {
    ...(annotations === undefined ? {} : { annotations }),
    ...(layoutAnnotations === undefined ? {} : { layoutAnnotations }),
  };
}

/**
 * Decides `untag`. With `withArtifacts` also removes those that only the reference held. Throws
 * REFERENCE_NOT_FOUND.
 */
export function decideUntag(reference: string, withArtifacts: boolean): Decide<void> {
  return (state) => {
    const entry = state.reference(reference);
    if (entry === undefined) throw referenceNotFound(reference);
    const removed = withArtifacts ? removeArtifacts(state, { references: [entry] }) : [];
    return { events: [referenceRemoved(entry), ...removed], result: undefined };
  };
}

/** What `decideRemoveReferences` needs to know of a manifest in a repository. */
interface RemovedName {
  /** What the caller named, for errors. */
  readonly name: string;
  /** Indexes of the repository that name it. */
  readonly indexesOf: () => ReadonlySet<Digest> | undefined;
}

/**
 * Decides to remove those of the references that exist. Throws REFERENCE_NOT_FOUND if none does,
 * CONTENT_IN_USE if an index would still lead to what they point at.
 */
export function decideRemoveReferences(
  references: () => readonly string[],
  { name, indexesOf }: RemovedName,
): Decide<readonly string[]> {
  return (state) => {
    const [index] = indexesOf() ?? [];
    if (index !== undefined) {
      const data = { reference: name, index };
      throw new StoreError('CONTENT_IN_USE', `cannot remove ${name}: the index ${index} of its repository names it`, {
        data,
      });
    }
    const entries = references().flatMap((reference) => state.reference(reference) ?? []);
    if (entries.length === 0) throw referenceNotFound(name);
    return { events: entries.map(referenceRemoved), result: entries.map(({ reference }) => reference) };
  };
}

/** Creates REFERENCE_NOT_FOUND. */
export function referenceNotFound(reference: string): StoreError {
  return new StoreError('REFERENCE_NOT_FOUND', `no reference ${reference}`, { data: { reference } });
}

/**
 * Returns the event that sets a reference; undefined if it has that target already.
 * @throws {StoreError} REFERENCE_EXISTS when `overwrite` is false and it would lose an image
 */
export function setReference(
  state: DecisionState,
  wanted: ReferenceTarget,
  overwrite: boolean,
): ReferenceSet | undefined {
  const entry = state.reference(wanted.reference);
  if (entry === undefined) return { type: 'ReferenceSet', ...wanted };
  if (sameTarget(entry, wanted) && sameAnnotations(entry, wanted)) return undefined;
  if (!overwrite && !keepsImages(entry, wanted)) throw referenceExists(entry, wanted);
  return replaced(entry, wanted);
}

/** Returns those of some manifests that the store has. */
export function storedOf(manifests: Iterable<Digest>, state: DecisionState): Digest[] {
  return [...manifests].filter((digest) => (state.imageOf(digest) ?? state.artifact(digest)) !== undefined);
}

/**
 * Decides to set a reference to what it stands for: the event says why it stays. It leads from then
 * on to all that its target names: `lackingBelow` returns what of that its repository lacks.
 * @throws {StoreError} as a decision: REFERENCE_NOT_FOUND, BLOB_NOT_FOUND if another repository has it
 */
export function decideConfirm(reference: string, lackingBelow: (target: Digest) => Iterable<Digest>): Decide<void> {
  return (state) => {
    const entry = state.reference(reference);
    if (entry === undefined) throw referenceNotFound(reference);
    const { image, target, platforms } = entry;
    const digests = target === undefined ? [] : storedOf(lackingBelow(target.digest), state);
    if (digests.length > 0) {
      const message = `the repository of ${reference} lacks what the index names: ${digests.slice(0, 3).join(', ')}`;
      throw new StoreError('BLOB_NOT_FOUND', message, { data: { reference, digests } });
    }
    return {
      events: [replaced(entry, { reference, image, target, platforms, ...annotationsOf(entry) })],
      result: undefined,
    };
  };
}

function replaced(entry: ReferenceEntry, wanted: ReferenceTarget): ReferenceSet {
  const { image: previous, platforms: previousPlatforms, target } = entry;
  const event: ReferenceSet = { type: 'ReferenceSet', ...wanted, previous, previousPlatforms };
  return previous === undefined ? { ...event, previousTarget: target?.digest } : event;
}

function referenceExists(entry: ReferenceEntry, wanted: ReferenceTarget): StoreError {
  const [first, ...others] = pointsAt(entry);
  const there = others.length === 0 ? first : `${first} and ${others.length} more`;
  return new StoreError('REFERENCE_EXISTS', `${wanted.reference} points at ${there} already`, {
    data: { reference: wanted.reference, image: entry.image, wanted: wanted.image },
  });
}

/**
 * Whether a reference set to `wanted` keeps its images, the default one and each platform's, or its
 * artifact.
 */
export function keepsImages(entry: ReferenceEntry, wanted: ReferenceTarget): boolean {
  if (entry.image === undefined) return entry.target?.digest === wanted.target?.digest;
  return entry.image === wanted.image && lostPlatforms(entry, wanted).length === 0;
}

/** Returns the platforms whose image a reference set to `wanted` would lose. */
export function lostPlatforms(entry: ReferenceEntry, wanted: ReferenceTarget): readonly PlatformImage[] {
  const left = wanted.platforms ?? [];
  return (entry.platforms ?? []).filter((before) => !left.some((after) => samePlatform(before, after)));
}

// What comes without annotations takes none away.
function sameAnnotations(entry: ReferenceEntry, wanted: ReferenceTarget): boolean {
  return (['annotations', 'layoutAnnotations'] as const).every(
    (field) => wanted[field] === undefined || textsKey(wanted[field]) === textsKey(entry[field]),
  );
}

function textsKey(texts: Annotations | undefined): string {
  return JSON.stringify(Object.entries(texts ?? {}).sort(([one], [other]) => (one < other ? -1 : 1)));
}

// A tag keeps the manifest the image came with, so that its digest survives a save.
function targetOf(state: DecisionState, reference: string, id: ImageId): Descriptor | undefined {
  const { digest } = parseReference(reference);
  const manifests = state.manifests(id).map(({ manifest }) => manifest);
  if (digest === undefined) return manifests[0];
  if (digest === id) return undefined;
  const named = manifests.find((manifest) => manifest.digest === digest);
  if (named !== undefined) return named;
  throw new StoreError(
    'REFERENCE_INVALID',
    `cannot point ${reference} at ${id}: its digest is neither that image nor a manifest of it`,
    { data: { reference, image: id } },
  );
}
