import type { ChainId, DiffId, Digest, ImageId } from './digest.js';
import { type FieldReader, packDescriptor, packDigest, packOptionalDigest, readDescriptor } from './record-fields.js';

/*
 * The events: what each tells, and in the table `eventFacts` everything about its type that does not
 * depend on a view: its number and fields in a record, its subjects, the content it names. Records,
 * the subject index, filters, backups and the command line read the table. A new type is its
 * interface here, a case of EventBody, and one entry:
 *
 *   + ImagePinned: {
 *   +   code: 13,
 *   +   read: ({ seq, time, transaction, actor, reason, requestId }, fields) => ({
 *   +     seq, time, transaction, actor, reason, requestId,
 *   +     type: 'ImagePinned',
 *   +     image: fields.digest<ImageId>('image'),
 *   +   }),
 *   +   write: ({ image }) => [packDigest(image)],
 *   +   images: ({ image }) => [image],
 *   +   chains: none,
 *   +   content: nothing,
 *   + },
 *
 * and then its fold (projections/) and the decision that makes it (src/store/decide/).
 */

/** What an OCI descriptor says of some bytes: their digest, size in bytes and media type. */
export interface Descriptor {
  readonly digest: Digest;
  readonly size: number;
  readonly mediaType: string;
}

/** The image that a multi-platform reference gives for one platform. */
export interface PlatformImage {
  readonly image: ImageId;
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string | undefined;
}

/** The events of one command: they became durable together, `count` of them, the first at seq `first`. */
export interface Transaction {
  readonly first: number;
  readonly count: number;
}

/** What every event carries beside its own fields. */
export interface Envelope {
  /** Position in the log: 1, 2, 3 … without a gap. */
  readonly seq: number;
  /** Milliseconds since the epoch, never earlier than the event before. */
  readonly time: number;
  readonly transaction: Transaction;
  readonly actor: string;
  readonly reason?: string | undefined;
  readonly requestId?: string | undefined;
}

/** An image config became known. */
export interface ImageCreated {
  readonly type: 'ImageCreated';
  readonly image: ImageId;
  /** Bytes of the config. */
  readonly size: number;
  /** Absent for an image without layers. */
  readonly chainId?: ChainId | undefined;
  /** As the config says; empty when it says nothing. */
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string | undefined;
  /** RFC 3339, as the config says. */
  readonly created?: string | undefined;
}

/** An image is no longer in the store. Its config stays readable in the past until it is erased. */
export interface ImageDeleted {
  readonly type: 'ImageDeleted';
  readonly image: ImageId;
  readonly parent?: ImageId | undefined;
  readonly chainId?: ChainId | undefined;
}

/** An image has a parent from now on. */
export interface ParentSet {
  readonly type: 'ParentSet';
  readonly image: ImageId;
  readonly parent: ImageId;
  readonly previous?: ImageId | undefined;
}

/** An image has no parent any more. */
export interface ParentCleared {
  readonly type: 'ParentCleared';
  readonly image: ImageId;
  /** The parent that the image had. */
  readonly parent: ImageId;
}

/** An image has a value under a key from now on. */
export interface MetadataSet {
  readonly type: 'MetadataSet';
  readonly image: ImageId;
  readonly key: string;
  readonly value: Uint8Array;
}

/** An image has no value under a key any more. */
export interface MetadataCleared {
  readonly type: 'MetadataCleared';
  readonly image: ImageId;
  readonly key: string;
}

/** A reference points at an image from now on. */
export interface ReferenceSet {
  readonly type: 'ReferenceSet';
  /** Canonical: domain, path, and a tag or digest. */
  readonly reference: string;
  readonly image: ImageId;
  /** The image it pointed at before. */
  readonly previous?: ImageId | undefined;
  /** The manifest or index that the name stands for, when it came with one. */
  readonly target?: Descriptor | undefined;
  /** The image of each platform when `target` is an index, in the index's order. */
  readonly platforms?: readonly PlatformImage[] | undefined;
  /** The image of each platform that it gave before, when it gave several. */
  readonly previousPlatforms?: readonly PlatformImage[] | undefined;
}

/** A reference points at nothing any more. */
export interface ReferenceRemoved {
  readonly type: 'ReferenceRemoved';
  readonly reference: string;
  /** The image that it pointed at. */
  readonly image: ImageId;
  /** The image of each platform that it gave, when it gave several. */
  readonly platforms?: readonly PlatformImage[] | undefined;
}

/** An OCI manifest of an image became known; its bytes are content, its layers are blobs. */
export interface ManifestAdded {
  readonly type: 'ManifestAdded';
  readonly image: ImageId;
  readonly manifest: Descriptor;
  /** The layer blobs that the manifest names, from the bottom up. */
  readonly layers: readonly Descriptor[];
}

/** One layer on top of a chain: what the event tells and what a caller gets. */
export interface LayerFacts {
  readonly chainId: ChainId;
  readonly diffId: DiffId;
  /** The chain below; absent for a bottom layer. */
  readonly parent?: ChainId | undefined;
  /** Bytes of the regular files of the chain up to here. */
  readonly size: number;
  /** Bytes of the regular files of this layer. */
  readonly diffSize: number;
  /** The file as it was received, compressed or not. */
  readonly blob: Descriptor;
}

export interface LayerAdded extends LayerFacts {
  readonly type: 'LayerAdded';
}

export interface LayerRemoved extends LayerFacts {
  readonly type: 'LayerRemoved';
}

/**
 * The bytes of a config, manifest, index or layer blob were removed for good; nothing needed them any more. The same bytes may
 * come again later, by an event that names them.
 */
export interface ContentErased {
  readonly type: 'ContentErased';
  readonly digest: Digest;
  /** Bytes that were removed. */
  readonly size: number;
}

/** What one event tells, without its envelope. */
export type EventBody =
  | ImageCreated
  | ImageDeleted
  | ParentSet
  | ParentCleared
  | MetadataSet
  | MetadataCleared
  | ReferenceSet
  | ReferenceRemoved
  | ManifestAdded
  | LayerAdded
  | LayerRemoved
  | ContentErased;

/** The name of a kind of event. */
export type EventType = EventBody['type'];

/** One immutable fact at one position of the log. */
export type StoredEvent = Envelope & EventBody;

/** What is known of every event of one type. */
export interface EventFacts<Body extends EventBody> {
  /** The number that stands for the type in a record. Numbers are never reused. */
  readonly code: number;
  /**
   * Takes the fields of the type in the order of src/log/README.md. Every event is written out as one
   * object: to make it of the envelope and the rest takes ten times as long, a third of a microsecond,
   * and a replay makes millions.
   */
  readonly read: (envelope: Envelope, fields: FieldReader) => Envelope & Body;
  /** Returns the values that a record holds for these fields, in the same order. */
  readonly write: (event: Body) => unknown[];
  /** Images it is about: also those that a reference pointed at before, and parents. May name one twice. */
  readonly images: (event: Body) => readonly (ImageId | undefined)[];
  /** Chains it is about: also those that a layer stands on. */
  readonly chains: (event: Body) => readonly (ChainId | undefined)[];
  /** The content that it names, and that became durable with it or was there before. */
  readonly content: (event: Body) => Digest | undefined;
}

const NONE: readonly never[] = [];
const none = (): readonly never[] => NONE;
const nothing = (): undefined => undefined;

/** The facts of each type of event. */
export const eventFacts: { readonly [Type in EventType]: EventFacts<Extract<EventBody, { readonly type: Type }>> } = {
  ImageCreated: {
    code: 1,
    read: ({ seq, time, transaction, actor, reason, requestId }, fields) => ({
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
    write: ({ image, size, chainId, os, architecture, variant, created }) => [
      packDigest(image),
      size,
      packOptionalDigest(chainId),
      os,
      architecture,
      variant ?? null,
      created ?? null,
    ],
    images: ({ image }) => [image],
    chains: ({ chainId }) => [chainId],
    content: ({ image }) => image,
  },
  ImageDeleted: {
    code: 2,
    read: ({ seq, time, transaction, actor, reason, requestId }, fields) => ({
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
    write: ({ image, parent, chainId }) => [packDigest(image), packOptionalDigest(parent), packOptionalDigest(chainId)],
    images: ({ image, parent }) => [image, parent],
    chains: ({ chainId }) => [chainId],
    content: nothing,
  },
  ParentSet: {
    code: 3,
    read: ({ seq, time, transaction, actor, reason, requestId }, fields) => ({
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
    write: ({ image, parent, previous }) => [packDigest(image), packDigest(parent), packOptionalDigest(previous)],
    images: ({ image, parent, previous }) => [image, parent, previous],
    chains: none,
    content: nothing,
  },
  ParentCleared: {
    code: 4,
    read: ({ seq, time, transaction, actor, reason, requestId }, fields) => ({
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
    write: ({ image, parent }) => [packDigest(image), packDigest(parent)],
    images: ({ image, parent }) => [image, parent],
    chains: none,
    content: nothing,
  },
  MetadataSet: {
    code: 5,
    read: ({ seq, time, transaction, actor, reason, requestId }, fields) => ({
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
    write: ({ image, key, value }) => [packDigest(image), key, value],
    images: ({ image }) => [image],
    chains: none,
    content: nothing,
  },
  MetadataCleared: {
    code: 6,
    read: ({ seq, time, transaction, actor, reason, requestId }, fields) => ({
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
    write: ({ image, key }) => [packDigest(image), key],
    images: ({ image }) => [image],
    chains: none,
    content: nothing,
  },
  ReferenceSet: {
    code: 7,
    read: ({ seq, time, transaction, actor, reason, requestId }, fields) => ({
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
    write: ({ reference, image, previous, target, platforms, previousPlatforms }) => [
      reference,
      packDigest(image),
      packOptionalDigest(previous),
      target === undefined ? null : packDescriptor(target),
      packPlatforms(platforms),
      packPlatforms(previousPlatforms),
    ],
    images: ({ image, previous, platforms, previousPlatforms }) =>
      withPlatforms([image, previous], platforms, previousPlatforms),
    chains: none,
    content: ({ target }) => target?.digest,
  },
  ReferenceRemoved: {
    code: 8,
    read: ({ seq, time, transaction, actor, reason, requestId }, fields) => ({
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
    write: ({ reference, image, platforms }) => [reference, packDigest(image), packPlatforms(platforms)],
    images: ({ image, platforms }) => withPlatforms([image], platforms),
    chains: none,
    content: nothing,
  },
  ManifestAdded: {
    code: 12,
    read: ({ seq, time, transaction, actor, reason, requestId }, fields) => ({
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
    write: ({ image, manifest, layers }) => [packDigest(image), packDescriptor(manifest), layers.map(packDescriptor)],
    images: ({ image }) => [image],
    chains: none,
    content: ({ manifest }) => manifest.digest,
  },
  LayerAdded: {
    code: 9,
    read: ({ seq, time, transaction, actor, reason, requestId }, fields) => ({
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
    write: packLayerFacts,
    images: none,
    chains: ({ chainId, parent }) => [chainId, parent],
    content: nothing,
  },
  LayerRemoved: {
    code: 10,
    read: ({ seq, time, transaction, actor, reason, requestId }, fields) => ({
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
    write: packLayerFacts,
    images: none,
    chains: ({ chainId, parent }) => [chainId, parent],
    content: nothing,
  },
  ContentErased: {
    code: 11,
    read: ({ seq, time, transaction, actor, reason, requestId }, fields) => ({
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
    write: ({ digest, size }) => [packDigest(digest), size],
    // Of whatever kind the content was: a digest is looked up among images first.
    images: ({ digest }) => [digest as ImageId],
    chains: none,
    content: nothing,
  },
};

/** Every type of event there is, in the order of their numbers. */
export const eventTypes = (Object.keys(eventFacts) as EventType[]).sort(
  (a, b) => eventFacts[a].code - eventFacts[b].code,
);

/** Returns the facts of the type of `event`. */
export function factsOf(event: EventBody): EventFacts<EventBody> {
  return eventFacts[event.type] as EventFacts<EventBody>;
}

/** Returns `images` with those of the platforms behind them. */
function withPlatforms(
  images: (ImageId | undefined)[],
  platforms: readonly PlatformImage[] = NONE,
  previousPlatforms: readonly PlatformImage[] = NONE,
): readonly (ImageId | undefined)[] {
  for (const { image } of platforms) images.push(image);
  for (const { image } of previousPlatforms) images.push(image);
  return images;
}

function packPlatforms(platforms: readonly PlatformImage[] | undefined): unknown[] | null {
  return platforms === undefined ? null : platforms.map(packPlatformImage);
}

function packPlatformImage({ image, os, architecture, variant }: PlatformImage): unknown[] {
  return [packDigest(image), os, architecture, variant ?? null];
}

function readPlatformImage(fields: FieldReader): PlatformImage {
  return {
    image: fields.digest<ImageId>('image'),
    os: fields.text('os'),
    architecture: fields.text('architecture'),
    variant: fields.optionalText('variant'),
  };
}

function packLayerFacts({ chainId, diffId, parent, size, diffSize, blob }: LayerFacts): unknown[] {
  return [packDigest(chainId), packDigest(diffId), packOptionalDigest(parent), size, diffSize, packDescriptor(blob)];
}

/** What an event is about: an image, a reference (canonical), a chain of layers, or the actor who did it. */
export type Subject =
  | { readonly image: ImageId }
  | { readonly reference: string }
  | { readonly chainId: ChainId }
  | { readonly actor: string };

/** The subjects of one event, by kind; none twice. */
interface EventSubjects {
  readonly images: readonly ImageId[];
  readonly references: readonly string[];
  readonly chains: readonly ChainId[];
  readonly actor: string;
}

/** Returns what `event` is about, as the facts of its type say. */
export function subjectsOf(event: StoredEvent): EventSubjects {
  const { images, chains } = factsOf(event);
  return {
    images: distinct(images(event)),
    references: 'reference' in event ? [event.reference] : [],
    chains: distinct(chains(event)),
    actor: event.actor,
  };
}

/** Whether `event` is about `subject`. */
export function isAbout(event: StoredEvent, subject: Subject): boolean {
  if ('actor' in subject) return event.actor === subject.actor;
  if ('reference' in subject) return 'reference' in event && event.reference === subject.reference;
  const { images, chains } = subjectsOf(event);
  return 'image' in subject ? images.includes(subject.image) : chains.includes(subject.chainId);
}

function distinct<Id>(ids: readonly (Id | undefined)[]): Id[] {
  const [first] = ids;
  if (ids.length < 2) return first === undefined ? [] : [first];
  return [...new Set(ids)].filter((id): id is Id & {} => id !== undefined);
}
