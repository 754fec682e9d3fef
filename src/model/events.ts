import type { ChainId, DiffId, Digest, ImageId } from './digest.js';

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

/**
 * Returns what `event` is about. Images are also those that a reference pointed at before, and parents; chains are also those
 * that a layer stands on.
 */
export function subjectsOf(event: StoredEvent): EventSubjects {
  const images: (ImageId | undefined)[] = [];
  const references: string[] = [];
  const chains: (ChainId | undefined)[] = [];
  switch (event.type) {
    case 'ImageCreated':
      images.push(event.image);
      chains.push(event.chainId);
      break;
    case 'ImageDeleted':
      images.push(event.image, event.parent);
      chains.push(event.chainId);
      break;
    case 'ParentSet':
      images.push(event.image, event.parent, event.previous);
      break;
    case 'ParentCleared':
      images.push(event.image, event.parent);
      break;
    case 'MetadataSet':
    case 'MetadataCleared':
    case 'ManifestAdded':
      images.push(event.image);
      break;
    case 'ReferenceSet':
      images.push(event.image, event.previous);
      for (const { image } of event.platforms ?? []) images.push(image);
      for (const { image } of event.previousPlatforms ?? []) images.push(image);
      references.push(event.reference);
      break;
    case 'ReferenceRemoved':
      images.push(event.image);
      for (const { image } of event.platforms ?? []) images.push(image);
      references.push(event.reference);
      break;
    case 'LayerAdded':
    case 'LayerRemoved':
      chains.push(event.chainId, event.parent);
      break;
    case 'ContentErased':
      // Of whatever kind the content was: a digest is looked up among images first.
      images.push(event.digest as ImageId);
      break;
  }
  return { images: distinct(images), references, chains: distinct(chains), actor: event.actor };
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
