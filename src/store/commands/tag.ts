import { imagesOf, type ReferenceEntry, samePlatform, sameTarget } from '../../../projections/references.js';
import { StoreError } from '../../errors.js';
import { type ImageId, isDigest } from '../../model/digest.js';
import type { PlatformImage, ReferenceSet } from '../../model/events.js';
import type { Descriptor } from '../../model/digest.js';
import { parseReference } from '../../model/reference.js';
import { type Decide, type DecisionState, needImage, unchanged } from './decision.js';

/** The new target of a reference. */
export interface ReferenceTarget {
  /** Canonical. */
  readonly reference: string;
  readonly image: ImageId;
  readonly target?: Descriptor | undefined;
  readonly platforms?: readonly PlatformImage[] | undefined;
}

/**
 * Decides `tag`. `source` is an image id or a canonical reference, whose target and platforms are
 * copied. A reference with a digest must name the image, one of its manifests, or the index it is
 * copied from.
 * @throws {StoreError} as a decision: IMAGE_NOT_FOUND, REFERENCE_NOT_FOUND for a missing source,
 *   REFERENCE_EXISTS when `overwrite` is false and an image of it would change, REFERENCE_INVALID
 */
export function decideTag(reference: string, source: string, overwrite: boolean): Decide<void> {
  return (state) => {
    const wanted = isDigest(source)
      ? imageTarget(state, reference, source as ImageId)
      : copiedTarget(state, reference, source);
    const event = setReference(state, wanted, overwrite);
    return event === undefined ? unchanged(undefined) : { events: [event], result: undefined };
  };
}

function imageTarget(state: DecisionState, reference: string, image: ImageId): ReferenceTarget {
  needImage(state, image);
  return { reference, image, target: targetOf(state, reference, image) };
}

function copiedTarget(state: DecisionState, reference: string, source: string): ReferenceTarget {
  const entry = state.reference(source);
  if (entry === undefined) throw referenceNotFound(source);
  const { image, target, platforms } = entry;
  const { digest } = parseReference(reference);
  if (digest === undefined || digest === target?.digest) return { reference, image, target, platforms };
  return imageTarget(state, reference, image);
}

/** Decides `untag`. Throws REFERENCE_NOT_FOUND. */
export function decideUntag(reference: string): Decide<void> {
  return (state) => {
    const entry = state.reference(reference);
    if (entry === undefined) throw referenceNotFound(reference);
    const { image, platforms } = entry;
    return { events: [{ type: 'ReferenceRemoved', reference, image, platforms }], result: undefined };
  };
}

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
  if (sameTarget(entry, wanted)) return undefined;
  if (!overwrite && !keepsImages(entry, wanted)) {
    const others = imagesOf(entry).length - 1;
    const images = others === 0 ? entry.image : `${entry.image} and ${others} more`;
    throw new StoreError('REFERENCE_EXISTS', `${wanted.reference} points at ${images} already`, {
      data: { reference: wanted.reference, image: entry.image, wanted: wanted.image },
    });
  }
  return { type: 'ReferenceSet', ...wanted, previous: entry.image, previousPlatforms: entry.platforms };
}

/** Whether a reference set to `wanted` keeps its images: the default one and each platform's. */
export function keepsImages(entry: ReferenceEntry, wanted: ReferenceTarget): boolean {
  return entry.image === wanted.image && lostPlatforms(entry, wanted).length === 0;
}

/** Returns the platforms whose image a reference set to `wanted` would lose. */
export function lostPlatforms(entry: ReferenceEntry, wanted: ReferenceTarget): readonly PlatformImage[] {
  const left = wanted.platforms ?? [];
  return (entry.platforms ?? []).filter((before) => !left.some((after) => samePlatform(before, after)));
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
