import type { ChainId, Descriptor, DiffId, Digest, ImageId } from './digest.js';

/* The events: what each tells. What depends on their type alone is in event-table.ts. */

/** Image of one platform of a multi-platform reference. */
export interface PlatformImage {
  readonly image: ImageId;
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string | undefined;
}

/** One atomic command: `count` events from seq `first`. */
interface Transaction {
  readonly first: number;
  readonly count: number;
}

/** Fields that every event has. */
export interface Envelope {
  /** Position in the log: 1, 2, 3 … without gaps. */
  readonly seq: number;
  /** Milliseconds since the epoch, never decreasing. */
  readonly time: number;
  /**
   * What the clock gave, milliseconds since the epoch; only when it was behind `time`, that of an
   * earlier event, by more than MAX_CLOCK_BEHIND_MS.
   */
  readonly clock?: number | undefined;
  readonly transaction: Transaction;
  readonly actor: string;
  readonly reason?: string | undefined;
  readonly requestId?: string | undefined;
  /** What the write came through: `registry`, `mirror`, `http`. */
  readonly via?: string | undefined;
  /** Address of the client. */
  readonly address?: string | undefined;
  /** Its `User-Agent`. */
  readonly agent?: string | undefined;
  /** Its `traceparent` (W3C Trace Context), as it came. */
  readonly traceparent?: string | undefined;
}

/** An image config was added. */
export interface ImageCreated {
  readonly type: 'ImageCreated';
  readonly image: ImageId;
  /** Bytes of the config. */
  readonly size: number;
  /** Absent for an image without layers. */
  readonly chainId?: ChainId | undefined;
  /** As in the config; empty if absent. */
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string | undefined;
  /** RFC 3339, as in the config. */
  readonly created?: string | undefined;
}

/** An image was deleted. Its config stays readable in the past until it is erased. */
interface ImageDeleted {
  readonly type: 'ImageDeleted';
  readonly image: ImageId;
  readonly parent?: ImageId | undefined;
  readonly chainId?: ChainId | undefined;
}

/** The parent of an image was set. */
interface ParentSet {
  readonly type: 'ParentSet';
  readonly image: ImageId;
  readonly parent: ImageId;
  readonly previous?: ImageId | undefined;
}

/** The parent of an image was removed. */
interface ParentCleared {
  readonly type: 'ParentCleared';
  readonly image: ImageId;
  /** The former parent. */
  readonly parent: ImageId;
}

/** A metadata value of an image was set. */
export interface MetadataSet {
  readonly type: 'MetadataSet';
  readonly image: ImageId;
  readonly key: string;
  readonly value: Uint8Array;
}

/** A metadata value of an image was removed. */
interface MetadataCleared {
  readonly type: 'MetadataCleared';
  readonly image: ImageId;
  readonly key: string;
}

/** Texts by key, as descriptors, manifests and indexes have them (OCI image spec, annotations.md). */
export type Annotations = Readonly<Record<string, string>>;

/** A reference was pointed at an image, or at an artifact or an index without images. */
export interface ReferenceSet {
  readonly type: 'ReferenceSet';
  /** Canonical: domain, path, and a tag or digest. */
  readonly reference: string;
  /** Absent if `target` is an artifact or an index without images. */
  readonly image?: ImageId | undefined;
  /** The image it pointed at before. */
  readonly previous?: ImageId | undefined;
  /** The manifest, index or artifact of the name, if it came with one. */
  readonly target?: Descriptor | undefined;
  /** Image of each platform, in the index's order, if `target` is an index. */
  readonly platforms?: readonly PlatformImage[] | undefined;
  /** Former image of each platform, if there were several. */
  readonly previousPlatforms?: readonly PlatformImage[] | undefined;
  /** Annotations of the name's descriptor in index.json. */
  readonly annotations?: Annotations | undefined;
  /** Annotations of the index.json that the name came with. */
  readonly layoutAnnotations?: Annotations | undefined;
  /** The artifact or index without images that it pointed at before. */
  readonly previousTarget?: Digest | undefined;
}

/** A reference was removed. */
export interface ReferenceRemoved {
  readonly type: 'ReferenceRemoved';
  readonly reference: string;
  /** The image it pointed at. */
  readonly image?: ImageId | undefined;
  /** Image of each platform, if there were several. */
  readonly platforms?: readonly PlatformImage[] | undefined;
  /** The artifact or index it pointed at, if there was no image. */
  readonly target?: Digest | undefined;
}

/** An OCI manifest of an image was added; its bytes are content, its layers are blobs. */
interface ManifestAdded {
  readonly type: 'ManifestAdded';
  readonly image: ImageId;
  readonly manifest: Descriptor;
  /** Layer blobs of the manifest, bottom first. */
  readonly layers: readonly Descriptor[];
}

/** What stays of an artifact when it is removed: enough to undo what its addition did. */
export interface ArtifactFacts {
  /** The manifest or index; its bytes are content. */
  readonly artifact: Descriptor;
  /** What it is about (OCI image spec, manifest.md, `subject`). */
  readonly subject?: Descriptor | undefined;
  /** Config and layers of a manifest, in order; empty for an index. They are blobs. */
  readonly blobs: readonly Descriptor[];
}

/** A manifest or index was added that is kept as it came, because it is no image. */
export interface ArtifactAdded extends ArtifactFacts {
  readonly type: 'ArtifactAdded';
  /** `artifactType`, else the media type of its config; empty if neither says. */
  readonly artifactType: string;
  /** Manifests of an index, in order; empty for a manifest. */
  readonly contains: readonly Descriptor[];
}

/** An artifact was removed. Its manifest stays readable in the past until it is erased. */
export interface ArtifactRemoved extends ArtifactFacts {
  readonly type: 'ArtifactRemoved';
}

/** A layer on top of a chain, as in its event and as returned to callers. */
export interface LayerFacts {
  readonly chainId: ChainId;
  readonly diffId: DiffId;
  /** The chain below; absent for a bottom layer. */
  readonly parent?: ChainId | undefined;
  /** Bytes of regular files in the chain, including this layer. */
  readonly size: number;
  /** Bytes of regular files in this layer. */
  readonly diffSize: number;
  /** The layer file as received, compressed or not. */
  readonly blob: Descriptor;
}

interface LayerAdded extends LayerFacts {
  readonly type: 'LayerAdded';
}

/** A layer was removed. Its facts are those with which it was added. */
export interface LayerRemoved extends LayerFacts {
  readonly type: 'LayerRemoved';
}

/**
 * The bytes of an unused config, manifest, index or layer blob were permanently removed. The same
 * bytes may return with a later event that names them.
 */
export interface ContentErased {
  readonly type: 'ContentErased';
  readonly digest: Digest;
  /** Bytes removed. */
  readonly size: number;
}

/** An event without its envelope. */
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
  | ContentErased
  | ArtifactAdded
  | ArtifactRemoved;

/** Name of a type of event. */
export type EventType = EventBody['type'];

/** An immutable fact at one position of the log. */
export type StoredEvent = Envelope & EventBody;

/** From where and how a write came: the part of an envelope that few events have. */
export type Route = Pick<Envelope, 'via' | 'address' | 'agent' | 'traceparent'>;

/**
 * Returns the route alone; undefined for none. It has all four fields, so that all events with a
 * route have one shape, written or read.
 */
export function routeOf({ via, address, agent, traceparent }: Route): Route | undefined {
  const isAbsent = via === undefined && address === undefined && agent === undefined && traceparent === undefined;
  return isAbsent ? undefined : { via, address, agent, traceparent };
}
