import type { ReferenceEntry } from '../../../projections/references.js';
import { StoreError } from '../../errors.js';
import type { ImageId } from '../../model/digest.js';
import type { Descriptor, PlatformImage, ReferenceSet } from '../../model/events.js';
import { parseReference } from '../../model/reference.js';
import { type Decide, type DecisionState, unchanged } from './decision.js';
import { needImage } from './need.js';

/** What a reference is to stand for. */
export interface ReferenceTarget {
  /** Canonical. */
  readonly reference: string;
  readonly image: ImageId;
  readonly target?: Descriptor | undefined;
  readonly platforms?: readonly PlatformImage[] | undefined;
}

/**
 * Decides `tag`. A reference with a digest must name the image or one of its manifests.
 * Throws IMAGE_NOT_FOUND, REFERENCE_EXISTS when `overwrite` is false and it points elsewhere, REFERENCE_INVALID.
 */
export function decideTag(reference: string, id: ImageId, overwrite: boolean): Decide<void> {
  return (state) => {
    needImage(state, id);
    const target = targetOf(state, reference, id);
    const event = setReference(state, { reference, image: id, target }, overwrite);
    return event === undefined ? unchanged(undefined) : { events: [event], result: undefined };
  };
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

/** Returns the error of a look for a reference that is not there. */
export function referenceNotFound(reference: string): StoreError {
  return new StoreError('REFERENCE_NOT_FOUND', `no reference ${reference}`, { data: { reference } });
}

/**
 * Returns the event that points a reference at something, or undefined when it stands so already.
 * @throws {StoreError} REFERENCE_EXISTS when it points at another image and `overwrite` is false
 */
export function setReference(
  state: DecisionState,
  wanted: ReferenceTarget,
  overwrite: boolean,
): ReferenceSet | undefined {
  const entry = state.reference(wanted.reference);
  if (entry === undefined) return { type: 'ReferenceSet', ...wanted };
  if (sameTarget(entry, wanted)) return undefined;
  if (!overwrite && entry.image !== wanted.image) {
    throw new StoreError('REFERENCE_EXISTS', `${wanted.reference} points at ${entry.image} already`, {
      data: { reference: wanted.reference, image: entry.image, wanted: wanted.image },
    });
  }
  return { type: 'ReferenceSet', ...wanted, previous: entry.image, previousPlatforms: entry.platforms };
}

function sameTarget(entry: ReferenceEntry, wanted: ReferenceTarget): boolean {
  if (entry.image !== wanted.image || entry.target?.digest !== wanted.target?.digest) return false;
  const before = entry.platforms ?? [];
  const after = wanted.platforms ?? [];
  return before.length === after.length && before.every(({ image }, at) => image === after[at]?.image);
}

// A tag keeps the manifest that the image came with, so that its digest survives a save.
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
    {
      data: { reference, image: id },
    },
  );
}
