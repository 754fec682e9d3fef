/**
 * imagelog: a container image store over an append-only event log.
 *
 * @packageDocumentation
 */

// Stores
export { newFSStoreBackend, newImageStore, openStore, rebuildStore, restoreStore } from './store/on-demand.js';
export type { OpenRebuildOptions, RebuildOptions, RebuildProgress, RebuildResult } from './store/rebuild/rebuild.js';
export type { ImageStoreOptions } from './store/docker-backend.js';
export { createExporter, type Exporter } from './store/archives/save-archive.js';
export type {
  EventStore,
  LoadedImage,
  LoadedReference,
  LoadOptions,
  LoadResult,
  OpenOptions,
  ResolveOptions,
  SaveOptions,
  StoreStats,
} from './store/event-store.js';
export type {
  DigestWalkFunc,
  Head,
  Layer,
  LayerGetReleaser,
  LayerMetadata,
  LayerStore,
  LogPoint,
  ReferenceEntry,
  Store,
  StoreBackend,
  WriteOptions,
} from './store/event-store.js';
export type {
  ErasedContent,
  EraseOptions,
  Erasing,
  Erasure,
  PrunedContent,
  PruneOptions,
  PruneResult,
} from './store/commands/erase.js';
export type { BackupOptions, BackupReport, RestoreOptions, RestoreReport } from './store/backup/backup-layout.js';
export type { WrittenSnapshot } from './store/snapshots/snapshotter.js';
export type { Consumer, ConsumerOptions, Consumers, ConsumerState } from './store/consumers/consumer.js';
export type { EventFilter, Follower, FollowOptions, ReadOptions, StoreLog } from './store/follow/event-filter.js';

export type {
  AuditReads,
  Change,
  HistoryOptions,
  ImageReads,
  PastStore,
  ReferenceInterval,
  StoreDiff,
  When,
} from './store/past/audit.js';
export type { Subject } from './model/events.js';

// Verification
export { verifyStore } from './store/on-demand.js';
export type { VerifyOptions, VerifyProgress } from './store/verify/verify-source.js';
export { type Violation, type ViolationCode, violationCodes } from './store/verify/verify-source.js';

// Projections of your own
export { defineProjection } from './store/own-projections.js';
export type {
  LiveProjection,
  OwnProjection,
  OwnProjections,
  ProjectionFailure,
  ProjectOptions,
} from './store/own-projections.js';

// Evidence: checkpoints, keys and proofs
export type {
  ConsistencyProof,
  Evidence,
  InclusionProof,
  ProveOptions,
  TreeProofs,
} from './store/evidence.js';
export { createKeyFile, readSigner } from './store/on-demand.js';
export type { BeginsWith, CheckpointSigner } from './store/keys.js';
export { type Checkpoint, type ParsedCheckpoint, parseCheckpoint, verifyCheckpoint } from './log/checkpoint.js';
export { type NoteVerifier, parseVerifierKey } from './log/note.js';
export type { NoteSignature, SignedNote } from './log/note.js';
export { type CheckedProof, checkProof, type CheckProofOptions } from './log/checkpoint.js';
export { formatProof, type LogProof, type ParsedProof, parseProof } from './log/checkpoint.js';
export { checkConsistency, checkInclusion, type TreeHead } from './log/merkle.js';
export { leafHash } from './log/merkle.js';

// Errors
export { type ErrorCode, type ErrorData, errorKinds, type ErrorKind, isStoreError, StoreError } from './errors.js';

// The image model
export { checkOS } from './model/image.js';
export { type ChildConfig, type ChildImageOptions, EMPTY_LAYER_DIFF_ID, newChildImage } from './model/image.js';
export type { ContainerConfig, HealthConfig } from './model/container-config.js';
export type { Details } from './model/image.js';
export {
  type ChainId,
  type DiffId,
  type Digest,
  idFromDigest,
  type ImageId,
  parseDigest,
} from './model/digest.js';
export { type History, newHistory } from './model/history.js';
export { clone, type Image, newFromJSON, newImage } from './model/image.js';
export { formatPlatform, parsePlatform, type Platform } from './model/platform.js';
export { canonicalReference, familiarReference, parseReference, type Reference } from './model/reference.js';
export { createChainId, newRootFS, type RootFS, TypeLayers } from './model/rootfs.js';
export type { Int64 } from './model/go-json/codecs.js';
export type { Timestamp } from './model/timestamp.js';
export { createV1Id, type V1Image } from './model/image.js';

// Events
export type {
  ContentErased,
  Descriptor,
  Envelope,
  EventBody,
  EventType,
  ImageCreated,
  ImageDeleted,
  LayerAdded,
  LayerFacts,
  LayerRemoved,
  ManifestAdded,
  MetadataCleared,
  MetadataSet,
  ParentCleared,
  ParentSet,
  PlatformImage,
  ReferenceRemoved,
  ReferenceSet,
  StoredEvent,
  Transaction,
} from './model/events.js';
