/**
 * imagelog: a container image store over an append-only event log.
 *
 * @packageDocumentation
 */

// Nested types are not exported by name: use `StoredEvent & { type: 'ImageCreated' }`,
// `LoadResult['images'][number]`, `ReturnType<typeof eventToJSON>`, `Parameters<typeof toEventStream>[1]`.

// Stores
export { newFSStoreBackend, newImageStore, openStore, rebuildStore, restoreStore } from './store/on-demand.js';
export type { RebuildOptions, RebuildResult } from './store/rebuild/rebuild.js';
export type { ImageStoreOptions } from './store/docker-backend.js';
export { createExporter, type Exporter } from './store/archives/save-archive.js';
export type { EventStore, StoreStats } from './store/event-store.js';
export type { LoadOptions, LoadResult, OpenOptions, SaveOptions } from './store/store.js';
export type {
  DigestWalkFunc,
  Head,
  Layer,
  LayerGetReleaser,
  LayerMetadata,
  LayerStore,
  ReferenceEntry,
  Store,
  StoreBackend,
  WriteOptions,
} from './store/store.js';
export type {
  EraseOptions,
  Erasure,
  PruneOptions,
  PruneResult,
} from './store/erase.js';
export type { BackupOptions, BackupReport, RestoreOptions, RestoreReport } from './store/backup/backup-layout.js';
export type { Consumer, ConsumerOptions, ConsumerState } from './store/consumers/consumer.js';
export type { EventFilter, Follower, FollowOptions, ReadOptions, StoreLog } from './store/follow/event-filter.js';

export { eventStreamResponse, seqAfter, toEventStream } from './store/event-stream.js';

export type { HistoryOptions, PastStore, ReferenceInterval, When } from './store/past/audit.js';
export type { ArtifactEntry } from './store/artifacts.js';
export type { StoreDiff } from './store/past/diff.js';
export type { Subject } from './model/subjects.js';

// Verification
export { verifyStore } from './store/on-demand.js';
export {
  type VerifyOptions,
  type Violation,
  type ViolationCode,
  violationCodes,
} from './store/verify/verify-source.js';

// Caller-defined projections
export {
  defineProjection,
  type LiveProjection,
  type OwnProjection,
} from './store/own-projections.js';

// Evidence: checkpoints, keys and proofs
export type { ProveOptions } from './store/evidence.js';
export { createKeyFile, readSigner } from './store/on-demand.js';
export type { CheckpointSigner } from './store/keys.js';
export { type NoteVerifier, parseVerifierKey } from './log/note.js';
export { type Checkpoint, parseCheckpoint, verifyCheckpoint } from './log/checkpoint.js';
export { checkProof, type CheckProofOptions, formatProof, type LogProof, parseProof } from './log/checkpoint.js';
export { checkConsistency, checkInclusion, leafHash } from './log/merkle.js';

// Errors
export { type ErrorCode, errorKinds, type ErrorKind, isStoreError, StoreError } from './errors.js';

// The image model
export {
  checkOS,
  clone,
  createV1Id,
  EMPTY_LAYER_DIFF_ID,
  newChildImage,
  newFromJSON,
  newImage,
} from './model/image.js';
export type { ChildConfig, Details, Image, V1Image } from './model/image.js';
export type { ContainerConfig } from './model/container-config.js';
export { type ChainId, type DiffId, type Digest, idFromDigest, type ImageId, parseDigest } from './model/digest.js';
export { type History, newHistory } from './model/history.js';
export { formatPlatform, parsePlatform, type Platform } from './model/platform.js';
export { canonicalReference, familiarReference, parseReference, type Reference } from './model/reference.js';
export { createChainId, newRootFS, type RootFS, TypeLayers } from './model/rootfs.js';
export type { Timestamp } from './model/timestamp.js';

// Events
export { eventToCloudEvent, eventToJSON } from './log/event-json.js';
export type { EventBody, EventType, StoredEvent } from './model/events.js';
export type { Descriptor } from './model/digest.js';
