import type { Erasure } from '../../../projections/erasures.js';
import type { ImageEntry } from '../../../projections/images-view.js';
import type { ManifestEntry } from '../../../projections/manifests.js';
import type { ReferenceEntry } from '../../../projections/references.js';
import type { ConsumerPosition } from '../../log/log.js';
import type { ChainId, Digest, ImageId } from '../../model/digest.js';
import type { EventBody, LayerFacts } from '../../model/events.js';
import type { ContentUsers } from './content-users.js';

/**
 * What a command may look at while it is decided. Each look is noted, so that the writer knows which
 * commands of one group would have seen another answer after an earlier one.
 */
export interface DecisionState {
  image(id: ImageId): ImageEntry | undefined;
  parent(id: ImageId): ImageId | undefined;
  children(id: ImageId): ImageId[];
  hasChildren(id: ImageId): boolean;
  metadata(id: ImageId, key: string): Uint8Array | undefined;
  reference(name: string): ReferenceEntry | undefined;
  /** References that resolve to the image, sorted. */
  referencesOf(id: ImageId): string[];
  manifests(id: ImageId): readonly ManifestEntry[];
  layer(chainId: ChainId): LayerFacts | undefined;
  /** Whether a layer or a manifest needs the blob, so that its file is there. */
  hasBlob(digest: Digest): boolean;
  /** How many layers and manifests need the blob. */
  usesOfBlob(digest: Digest): number;
  /** How many images, layers and callers need the chain. */
  usesOf(chainId: ChainId): number;
  /** The erasure of content or a blob that did not come again since. */
  erasure(digest: Digest): Erasure | undefined;
  /** What needs content or a blob. Costs a walk over the views. */
  usersOf(digest: Digest): ContentUsers;
  /** Those of `digests` that are a config, manifest or index which something needs. Costs one walk over the views. */
  needed(digests: ReadonlySet<Digest>): ReadonlySet<Digest>;
}

/** What a command comes to: events to append, the content they name, and what its caller gets. */
export interface Decision<Result> {
  readonly events: readonly EventBody[];
  /** Undefined removes content, for good. */
  readonly content?: ReadonlyMap<Digest, Uint8Array | undefined> | undefined;
  /** Positions of consumers to keep with the events, or without any; undefined forgets one. */
  readonly positions?: ReadonlyMap<string, ConsumerPosition | undefined> | undefined;
  readonly result: Result;
}

/** A pure function of the state: the same state gives the same decision. A refusal is thrown, and then nothing is written. */
export type Decide<Result> = (state: DecisionState) => Decision<Result>;

/** Returns the decision that changes nothing and answers `result`. */
export function unchanged<Result>(result: Result): Decision<Result> {
  return { events: [], result };
}
