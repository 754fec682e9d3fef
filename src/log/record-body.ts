import { StoreError } from '../errors.js';
import type { EventBody, EventType, LayerFacts, PlatformImage } from '../model/events.js';
import { packDescriptor, packDigest, packOptionalDigest } from './record-fields.js';

/** The number that stands for each type in a record. Numbers are never reused. */
const TYPE_CODES: Readonly<Record<EventType, number>> = {
  ImageCreated: 1,
  ImageDeleted: 2,
  ParentSet: 3,
  ParentCleared: 4,
  MetadataSet: 5,
  MetadataCleared: 6,
  ReferenceSet: 7,
  ReferenceRemoved: 8,
  LayerAdded: 9,
  LayerRemoved: 10,
  ContentErased: 11,
  ManifestAdded: 12,
};

const TYPES = new Map(Object.entries(TYPE_CODES).map(([type, code]) => [code, type as EventType]));

/** Every type of event there is. */
export const eventTypes = Object.keys(TYPE_CODES) as readonly EventType[];

/** Returns the number that stands for `type` in a record. */
export function typeCode(type: EventType): number {
  return TYPE_CODES[type];
}

/**
 * Returns the type that `code` stands for.
 * @throws {StoreError} STORE_FORMAT_UNSUPPORTED when this version knows none
 */
export function typeOfCode(code: number): EventType {
  const type = TYPES.get(code);
  if (type !== undefined) return type;
  throw new StoreError('STORE_FORMAT_UNSUPPORTED', `a record has the unknown event type ${code}`, { data: { code } });
}

/** Returns the values that a record holds for the fields of its type, in the order of src/log/README.md. */
export function encodeBody(event: EventBody): unknown[] {
  switch (event.type) {
    case 'ImageCreated': {
      const { image, size, chainId, os, architecture, variant, created } = event;
      return [packDigest(image), size, packOptionalDigest(chainId), os, architecture, variant ?? null, created ?? null];
    }
    case 'ImageDeleted':
      return [packDigest(event.image), packOptionalDigest(event.parent), packOptionalDigest(event.chainId)];
    case 'ParentSet':
      return [packDigest(event.image), packDigest(event.parent), packOptionalDigest(event.previous)];
    case 'ParentCleared':
      return [packDigest(event.image), packDigest(event.parent)];
    case 'MetadataSet':
      return [packDigest(event.image), event.key, event.value];
    case 'MetadataCleared':
      return [packDigest(event.image), event.key];
    case 'ReferenceSet': {
      const { reference, image, previous, target, platforms, previousPlatforms } = event;
      return [
        reference,
        packDigest(image),
        packOptionalDigest(previous),
        target === undefined ? null : packDescriptor(target),
        packPlatforms(platforms),
        packPlatforms(previousPlatforms),
      ];
    }
    case 'ReferenceRemoved':
      return [event.reference, packDigest(event.image), packPlatforms(event.platforms)];
    case 'ManifestAdded':
      return [packDigest(event.image), packDescriptor(event.manifest), event.layers.map(packDescriptor)];
    case 'LayerAdded':
    case 'LayerRemoved':
      return packLayerFacts(event);
    case 'ContentErased':
      return [packDigest(event.digest), event.size];
  }
}

function packPlatforms(platforms: readonly PlatformImage[] | undefined): unknown[] | null {
  return platforms === undefined ? null : platforms.map(packPlatformImage);
}

function packPlatformImage({ image, os, architecture, variant }: PlatformImage): unknown[] {
  return [packDigest(image), os, architecture, variant ?? null];
}

function packLayerFacts({ chainId, diffId, parent, size, diffSize, blob }: LayerFacts): unknown[] {
  return [packDigest(chainId), packDigest(diffId), packOptionalDigest(parent), size, diffSize, packDescriptor(blob)];
}
