import { Packr } from 'msgpackr';
import { StoreError } from '../errors.js';
import type { Envelope, EventBody, EventType, LayerFacts, PlatformImage, StoredEvent } from '../model/events.js';
import { FieldReader, packDescriptor, packDigest, packOptionalDigest, readDescriptor } from './record-fields.js';
import type { ChainId, DiffId, ImageId } from '../model/digest.js';
import { MAX_RECORD_BYTES } from '../limits.js';

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
function typeCode(type: EventType): number {
  return TYPE_CODES[type];
}

/**
 * Returns the type that `code` stands for.
 * @throws {StoreError} STORE_FORMAT_UNSUPPORTED when this version knows none
 */
function typeOfCode(code: number): EventType {
  const type = TYPES.get(code);
  if (type !== undefined) return type;
  throw new StoreError('STORE_FORMAT_UNSUPPORTED', `a record has the unknown event type ${code}`, { data: { code } });
}

/** Returns the values that a record holds for the fields of its type, in the order of src/log/README.md. */
function encodeBody(event: EventBody): unknown[] {
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

type EventReader<Type extends EventType> = (
  envelope: Envelope,
  fields: FieldReader,
) => Extract<StoredEvent, { readonly type: Type }>;

/*
 * Each takes the fields of its type in the order of src/log/README.md. Every event is written out as one object: to make it of the envelope and
 * the rest takes ten times as long, a third of a microsecond, and a replay makes millions.
 */
const READERS: { readonly [Type in EventType]: EventReader<Type> } = {
  ImageCreated: ({ seq, time, transaction, actor, reason, requestId }, fields) => ({
    seq,
    time,
    transaction,
    actor,
    reason,
    requestId,
    type: 'ImageCreated',
    image: fields.digest<ImageId>('image'),
    size: fields.integer('size'),
    chainId: fields.optionalDigest<ChainId>('chainId'),
    os: fields.text('os'),
    architecture: fields.text('architecture'),
    variant: fields.optionalText('variant'),
    created: fields.optionalText('created'),
  }),
  ImageDeleted: ({ seq, time, transaction, actor, reason, requestId }, fields) => ({
    seq,
    time,
    transaction,
    actor,
    reason,
    requestId,
    type: 'ImageDeleted',
    image: fields.digest<ImageId>('image'),
    parent: fields.optionalDigest<ImageId>('parent'),
    chainId: fields.optionalDigest<ChainId>('chainId'),
  }),
  ParentSet: ({ seq, time, transaction, actor, reason, requestId }, fields) => ({
    seq,
    time,
    transaction,
    actor,
    reason,
    requestId,
    type: 'ParentSet',
    image: fields.digest<ImageId>('image'),
    parent: fields.digest<ImageId>('parent'),
    previous: fields.optionalDigest<ImageId>('previous'),
  }),
  ParentCleared: ({ seq, time, transaction, actor, reason, requestId }, fields) => ({
    seq,
    time,
    transaction,
    actor,
    reason,
    requestId,
    type: 'ParentCleared',
    image: fields.digest<ImageId>('image'),
    parent: fields.digest<ImageId>('parent'),
  }),
  MetadataSet: ({ seq, time, transaction, actor, reason, requestId }, fields) => ({
    seq,
    time,
    transaction,
    actor,
    reason,
    requestId,
    type: 'MetadataSet',
    image: fields.digest<ImageId>('image'),
    key: fields.text('key'),
    value: new Uint8Array(fields.bytes('value')),
  }),
  MetadataCleared: ({ seq, time, transaction, actor, reason, requestId }, fields) => ({
    seq,
    time,
    transaction,
    actor,
    reason,
    requestId,
    type: 'MetadataCleared',
    image: fields.digest<ImageId>('image'),
    key: fields.text('key'),
  }),
  ReferenceSet: ({ seq, time, transaction, actor, reason, requestId }, fields) => ({
    seq,
    time,
    transaction,
    actor,
    reason,
    requestId,
    type: 'ReferenceSet',
    reference: fields.text('reference'),
    image: fields.digest<ImageId>('image'),
    previous: fields.optionalDigest<ImageId>('previous'),
    target: fields.optionalDescriptor('target'),
    platforms: fields.optionalList('platforms', readPlatformImage),
    previousPlatforms: fields.optionalList('previousPlatforms', readPlatformImage),
  }),
  ReferenceRemoved: ({ seq, time, transaction, actor, reason, requestId }, fields) => ({
    seq,
    time,
    transaction,
    actor,
    reason,
    requestId,
    type: 'ReferenceRemoved',
    reference: fields.text('reference'),
    image: fields.digest<ImageId>('image'),
    platforms: fields.optionalList('platforms', readPlatformImage),
  }),
  ManifestAdded: ({ seq, time, transaction, actor, reason, requestId }, fields) => ({
    seq,
    time,
    transaction,
    actor,
    reason,
    requestId,
    type: 'ManifestAdded',
    image: fields.digest<ImageId>('image'),
    manifest: fields.descriptor('manifest'),
    layers: fields.list('layers', readDescriptor),
  }),
  LayerAdded: ({ seq, time, transaction, actor, reason, requestId }, fields) => ({
    seq,
    time,
    transaction,
    actor,
    reason,
    requestId,
    type: 'LayerAdded',
    chainId: fields.digest<ChainId>('chainId'),
    diffId: fields.digest<DiffId>('diffId'),
    parent: fields.optionalDigest<ChainId>('parent'),
    size: fields.integer('size'),
    diffSize: fields.integer('diffSize'),
    blob: fields.descriptor('blob'),
  }),
  LayerRemoved: ({ seq, time, transaction, actor, reason, requestId }, fields) => ({
    seq,
    time,
    transaction,
    actor,
    reason,
    requestId,
    type: 'LayerRemoved',
    chainId: fields.digest<ChainId>('chainId'),
    diffId: fields.digest<DiffId>('diffId'),
    parent: fields.optionalDigest<ChainId>('parent'),
    size: fields.integer('size'),
    diffSize: fields.integer('diffSize'),
    blob: fields.descriptor('blob'),
  }),
  ContentErased: ({ seq, time, transaction, actor, reason, requestId }, fields) => ({
    seq,
    time,
    transaction,
    actor,
    reason,
    requestId,
    type: 'ContentErased',
    digest: fields.digest('digest'),
    size: fields.integer('size'),
  }),
};

/** Returns the event of `type` whose own fields are taken from `fields`. @throws {StoreError} LOG_CORRUPT when they are not there */
function readEvent(type: EventType, envelope: Envelope, fields: FieldReader): StoredEvent {
  return READERS[type](envelope, fields);
}

function readPlatformImage(fields: FieldReader): PlatformImage {
  return {
    image: fields.digest<ImageId>('image'),
    os: fields.text('os'),
    architecture: fields.text('architecture'),
    variant: fields.optionalText('variant'),
  };
}

/** Version of the record layout that this code writes. Every older one stays readable. */
export const RECORD_FORMAT = 1;

// Plain arrays and binary only: no extension types and no shared structures, so that any MessagePack
// reader understands a record by itself.
const packr = new Packr({ useRecords: false, mapsAsObjects: true });

/**
 * Returns the record of `event`: a MessagePack array of format, seq, time, type code, first seq and count of
 * the transaction, actor, reason, request id, and then the fields of the type (src/log/README.md).
 * @throws {StoreError} RECORD_TOO_LARGE when it exceeds MAX_RECORD_BYTES
 */
export function encodeRecord(event: StoredEvent): Uint8Array {
  const { seq, time, transaction, actor, reason, requestId } = event;
  const record: Uint8Array = packr.pack([
    RECORD_FORMAT,
    seq,
    time,
    typeCode(event.type),
    transaction.first,
    transaction.count,
    actor,
    reason ?? null,
    requestId ?? null,
    ...encodeBody(event),
  ]);
  if (record.length > MAX_RECORD_BYTES) {
    throw new StoreError(
      'RECORD_TOO_LARGE',
      `cannot record ${event.type}: its record has ${record.length} bytes, at most ${MAX_RECORD_BYTES} are allowed`,
      { data: { type: event.type, size: record.length, limit: MAX_RECORD_BYTES } },
    );
  }
  return record;
}

/**
 * Returns the event of the record that stands in `bytes` from `start` to the end.
 * @throws {StoreError} STORE_FORMAT_UNSUPPORTED when a newer version wrote it, LOG_CORRUPT when it is no record
 */
export function decodeRecord(bytes: Uint8Array, start = 0): StoredEvent {
  const fields = new FieldReader(bytes, start);
  const format = fields.integer('format');
  if (format !== RECORD_FORMAT) {
    throw new StoreError(
      'STORE_FORMAT_UNSUPPORTED',
      `a record has format ${format}; this version reads format ${RECORD_FORMAT}`,
      { data: { format } },
    );
  }
  const seq = fields.integer('seq');
  const time = fields.integer('time');
  const type = typeOfCode(fields.integer('type'));
  const first = fields.integer('transaction.first');
  const count = fields.integer('transaction.count');
  if (first < 1 || first > seq || seq >= first + count)
    throw fields.fault('transaction', 'does not hold its own event');
  const actor = fields.text('actor');
  const reason = fields.optionalText('reason');
  const requestId = fields.optionalText('requestId');
  const event = readEvent(type, { seq, time, transaction: { first, count }, actor, reason, requestId }, fields);
  fields.end();
  return event;
}
