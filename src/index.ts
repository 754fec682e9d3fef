/**
 * imagelog: a container image store over an append-only event log.
 *
 * @packageDocumentation
 */

// Stores
export { newFSStoreBackend, newImageStore, openStore, rebuildStore, restoreStore } from './store/on-demand.js';
export type { OpenRebuildOptions, RebuildOptions, RebuildProgress, RebuildResult } from './store/rebuild/rebuild.js';
export type { ImageStoreOptions } from './store/backends/new-image-store.js';
export { createExporter, type Exporter } from './store/archives/exporter.js';
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
} from './store/store.js';
export type {
  ErasedContent,
  EraseOptions,
  Erasing,
  Erasure,
  PrunedContent,
  PruneOptions,
  PruneResult,
} from './store/erase/erasing.js';
export type { BackupOptions, BackupReport, RestoreOptions, RestoreReport } from './store/backup/backup.js';
export type { WrittenSnapshot } from './store/snapshots/snapshotter.js';
export type { Consumer, ConsumerOptions, Consumers, ConsumerState } from './store/consumers/consumer.js';
export type { EventFilter, Follower, FollowOptions, ReadOptions, StoreLog } from './store/read/log-reads.js';

export type {
  AuditReads,
  Change,
  HistoryOptions,
  ImageReads,
  PastStore,
  ReferenceInterval,
  StoreDiff,
  When,
} from './store/audit/audit.js';
export type { Subject } from './model/subjects.js';

// Verification
export { verifyStore } from './store/on-demand.js';
export type { VerifyOptions, VerifyProgress } from './store/verify/verify-options.js';
export { type Violation, type ViolationCode, violationCodes } from './store/verify/violation.js';

// Projections of your own
export { defineProjection } from './store/own-projections/define-projection.js';
export type {
  LiveProjection,
  OwnProjection,
  OwnProjections,
  ProjectionFailure,
  ProjectOptions,
} from './store/own-projections/own-projection.js';

// Evidence: checkpoints, keys and proofs
export type {
  ConsistencyProof,
  Evidence,
  InclusionProof,
  ProveOptions,
  TreeProofs,
} from './store/evidence/evidence.js';
export { createKeyFile, readSigner } from './store/on-demand.js';
export type { BeginsWith, CheckpointSigner } from './store/keys/checkpoint-signer.js';
export { type Checkpoint, type ParsedCheckpoint, parseCheckpoint, verifyCheckpoint } from './log/checkpoint.js';
export { type NoteVerifier, parseVerifierKey } from './log/note-key.js';
export type { NoteSignature, SignedNote } from './log/signed-note.js';
export { type CheckedProof, checkProof, type CheckProofOptions } from './log/check-log-proof.js';
export { formatProof, type LogProof, type ParsedProof, parseProof } from './log/tlog-proof.js';
export { checkConsistency, checkInclusion, type TreeHead } from './log/merkle/check-proof.js';
export { leafHash } from './log/leaf-hash.js';

// Errors
export { type ErrorCode, type ErrorData, errorKinds, type ErrorKind, isStoreError, StoreError } from './errors.js';

// The image model
export { checkOS } from './model/check-os.js';
export { type ChildConfig, type ChildImageOptions, EMPTY_LAYER_DIFF_ID, newChildImage } from './model/child-image.js';
export type { ContainerConfig, HealthConfig } from './model/container-config.js';
export type { Details } from './model/details.js';
export {
  type ChainId,
  type DiffId,
  type Digest,
  idFromDigest,
  type ImageId,
  parseDigest,
  type Sha256,
} from './model/digest.js';
export { type History, newHistory } from './model/history.js';
export { clone, type Image, newFromJSON, newImage } from './model/image.js';
export { formatPlatform, parsePlatform, type Platform } from './model/platform.js';
export { canonicalReference, familiarReference, parseReference, type Reference } from './model/reference.js';
export { createChainId, newRootFS, type RootFS, TypeLayers } from './model/rootfs.js';
export type { Int64 } from './model/json/scalar-codecs.js';
export type { Timestamp } from './model/timestamp.js';
export { createV1Id, type V1Image } from './model/v1-image.js';

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
