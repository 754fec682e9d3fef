import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { headsOf } from '../../projections/images.js';
import { loadCode, StoreError } from '../errors.js';
import { MAX_LOG_BYTES_AT_CLOSE } from '../limits.js';
import { type Digest, type ImageId, isDigest, parseDigest } from '../model/digest.js';
import type { StoredEvent } from '../model/events.js';
import type { Image } from '../model/image.js';
import type { Subject } from '../model/subjects.js';
import { canonicalReference } from '../model/reference.js';
import { saveArchive, saveArchiveTo, savedContents } from './archives/save-archive.js';
import {
  type ArtifactEntry,
  ArtifactReader,
  type FoundDigest,
  type Referrer,
  type ReferrersOptions,
} from './artifacts.js';
import {
  checkedTag,
  mustBeBoolean,
  mustBeFunction,
  mustBeObject,
  mustBeOptions,
  mustBeSignal,
  mustBeString,
  mustBeText,
  type TagRequest,
} from './argument-types.js';
import { type BackupOptions, backupOptionNames, type BackupReport } from './backup/backup-layout.js';
import { imageNotFound, refuseErased } from './commands/decision.js';
import {
  checkMetadataKey,
  decideClearMetadata,
  decideClearParent,
  decideSetMetadata,
  PARENT_KEY,
} from './commands/metadata.js';
import { decideDeleteArtifact } from './commands/artifacts.js';
import { decideTag, decideUntag } from './commands/tag.js';
import type { Consumer, ConsumerOptions, ConsumerState } from './consumers/consumer.js';
import { NamedConsumers } from './consumers/named-consumers.js';
import type { StoreContext } from './context.js';
import { type ErasedContent, erase, type EraseOptions, prune, type PruneOptions, type PruneResult } from './erase.js';
import type { EventStore, StoreStats } from './event-store.js';
import { type ConsistencyProof, type InclusionProof, type ProveOptions, StoreEvidence } from './evidence.js';
import { Mutex } from './files/files.js';
import { Reserve, unwrittenBytes } from './files/reserve.js';
import type { StoreLog } from './follow/event-filter.js';
import { findMetadata, ImageStore } from './images.js';
import { LocalLayers } from './layers/layer-store.js';
import { removeOwner, writerAtWork, writtenState } from './open/lock.js';
import { damagedLogs } from './files/log-folders.js';
import { type LiveProjection, type OwnProjection, OwnProjectionSet, type ProjectOptions } from './own-projections.js';
import {
  AuditReader,
  type HistoryOptions,
  type PastOptions,
  type PastStore,
  type ReferenceInterval,
  type When,
  viewsOf,
  type WhenOptions,
} from './past/audit.js';
import type { LogPoint } from '../log/log.js';
import type { StoreDiff } from './past/diff.js';
import {
  type Removal,
  type RemovalOptions,
  RemovalReader,
  type SearchMatch,
  type SearchOptions,
  searchOptionNames,
} from './past/removals.js';
import { LocalRegistry } from './registry/registry.js';
import type { RegistryStore } from './registry-store.js';
import { type OpenRebuildOptions, type RebuildResult, StoreRebuild } from './rebuild/rebuild.js';
import type { Uploads } from './registry/local-uploads.js';
import type { WrittenSnapshot } from './snapshots/snapshotter.js';
import {
  type DigestWalkFunc,
  type LayerMetadata,
  type LayerStore,
  type LoadOptions,
  loadOptionNames,
  type LoadResult,
  type ResolveOptions,
  resolveOptionNames,
  type SavedContents,
  type SavedContentsOptions,
  savedContentsOptionNames,
  type SaveOptions,
  saveOptionNames,
  type StoreBackend,
  type WriteOptions,
  writeOptionNames,
} from './store.js';
import type { VerifyOptions, Violation } from './verify/verify-source.js';

const resolveAtOptionNames = { ...resolveOptionNames, at: true, timeZone: true } as const;

/** The event store: an image store plus one member object per concern, sharing one context. */
export class LocalEventStore extends ImageStore implements EventStore {
  readonly directory: string;
  readonly #context: StoreContext;
  readonly #backend: LogBackend;
  readonly #layers: LocalLayers;
  readonly #registry: LocalRegistry;
  readonly #artifacts: ArtifactReader;
  readonly #audit: AuditReader;
  readonly #projections: OwnProjectionSet;
  readonly #consumers: NamedConsumers;
  /** Two backups to one directory would race. */
  readonly #backingUp = new Mutex();
  readonly #reserve: Reserve;
  readonly #uploads: Uploads;
  #rebuilds: StoreRebuild | undefined;
  #closing: Promise<void> | undefined;

  constructor(context: StoreContext, uploads: Uploads) {
    super(context);
    this.#uploads = uploads;
    this.directory = context.directory;
    this.#context = context;
    this.#backend = new LogBackend(context);
    this.#layers = new LocalLayers(context);
    this.#registry = new LocalRegistry(context, uploads);
    this.#artifacts = new ArtifactReader(context, context.views);
    this.#audit = new AuditReader(context);
    this.#projections = new OwnProjectionSet(context);
    this.#consumers = new NamedConsumers(context);
    this.#reserve = new Reserve(context.directory);
  }

  get log(): StoreLog {
    this.#context.checkOpen();
    return this.#context.reader;
  }

  get backend(): StoreBackend {
    this.#context.checkOpen();
    return this.#backend;
  }

  get layers(): LayerStore {
    this.#needLayers();
    return this.#layers;
  }

  get registry(): RegistryStore {
    this.#context.checkOpen();
    return this.#registry;
  }

  override async delete(id: ImageId, options?: Parameters<EventStore['delete']>[1]): Promise<readonly LayerMetadata[]> {
    this.#context.checkOpen();
    return this.#makeRoom(async () => {
      const removed = await super.delete(id, options);
      await this.#context.cleaner.settled();
      return removed;
    });
  }

  async setMetadata(id: ImageId, key: string, value: Uint8Array, options: WriteOptions = {}): Promise<void> {
    mustBeOptions(options, writeOptionNames);
    await this.#context.submit(decideSetMetadata(id, key, value), options);
  }

  async deleteMetadata(id: ImageId, key: string, options: WriteOptions = {}): Promise<void> {
    mustBeOptions(options, writeOptionNames);
    await this.#context.submit(decideClearMetadata(id, key), options);
  }

  async tag(
    request: TagRequest,
    options: WriteOptions & { readonly overwrite?: boolean | undefined } = {},
  ): Promise<void> {
    this.#context.checkOpen();
    const { source, target } = checkedTag(request, options);
    mustBeOptions(options, { ...writeOptionNames, overwrite: true });
    const { overwrite = true } = options;
    mustBeBoolean('overwrite', overwrite);
    const decide = decideTag(target, source, {
      overwrite,
      platformOf: (id) => this.get(id).platform(),
    });
    await this.#context.submit(decide, options);
  }

  async untag(
    reference: string,
    options: WriteOptions & { readonly removeArtifacts?: boolean | undefined } = {},
  ): Promise<void> {
    this.#context.checkOpen();
    mustBeString('reference', reference);
    mustBeOptions(options, { ...writeOptionNames, removeArtifacts: true });
    const { removeArtifacts = false } = options;
    mustBeBoolean('removeArtifacts', removeArtifacts);
    const decide = decideUntag(canonicalReference(reference), removeArtifacts);
    if (!removeArtifacts) return this.#context.submit(decide, options);
    await this.#makeRoom(async () => {
      await this.#context.submit(decide, options);
      await this.#context.cleaner.settled();
    });
  }

  async deleteArtifact(
    digest: string,
    options: WriteOptions & { readonly force?: boolean | undefined } = {},
  ): Promise<readonly Digest[]> {
    this.#context.checkOpen();
    mustBeString('digest', digest);
    mustBeOptions(options, { ...writeOptionNames, force: true });
    const { force = false } = options;
    mustBeBoolean('force', force);
    return this.#makeRoom(async () => {
      const removed = await this.#context.submit(decideDeleteArtifact(parseDigest(digest), force), options);
      await this.#context.cleaner.settled();
      return removed;
    });
  }

  artifacts(): ArtifactEntry[] {
    return this.#artifacts.artifacts();
  }

  artifact(digest: string): ArtifactEntry {
    return this.#artifacts.artifact(digest);
  }

  artifactManifest(digest: string): Uint8Array {
    return this.#artifacts.artifactManifest(digest);
  }

  find(partial: string): FoundDigest {
    return this.#artifacts.find(partial);
  }

  referrers(digest: string, options?: ReferrersOptions): Referrer[] {
    return this.#artifacts.referrers(digest, options);
  }

  override resolve(reference: string, options?: ResolveOptions): ImageId;
  override resolve(reference: string, options: ResolveOptions & WhenOptions & { readonly at: When }): Promise<ImageId>;
  override resolve(
    reference: string,
    options: ResolveOptions & WhenOptions & { readonly at?: When | undefined } = {},
  ): ImageId | Promise<ImageId> {
    this.#context.checkOpen();
    mustBeOptions(options, resolveAtOptionNames);
    const { platform, at, timeZone } = options;
    if (at === undefined) return super.resolve(reference, { platform });
    return this.#audit.resolveAt(reference, at, { platform, timeZone });
  }

  override search(partial: string): ImageId;
  override search(partial: string, options: RemovalOptions & { readonly past: true }): Promise<Digest>;
  override search(
    partial: string,
    options: RemovalOptions & { readonly past?: boolean } = {},
  ): ImageId | Promise<Digest> {
    this.#context.checkOpen();
    mustBeOptions(options, searchOptionNames);
    const { past, ...range } = options;
    mustBeBoolean('past', past);
    if (past !== true) {
      const unused = Object.keys(range).find((name) => range[name as keyof typeof range] !== undefined);
      if (unused !== undefined) throw new TypeError(`${unused} needs past: true`);
      return super.search(partial);
    }
    return new RemovalReader(this.#context).searchEver(partial, range);
  }

  async searchAll(term: string, options?: SearchOptions): Promise<SearchMatch[]> {
    this.#context.checkOpen();
    return new RemovalReader(this.#context).searchAll(term, options);
  }

  async removal(name: string, options?: RemovalOptions): Promise<Removal | undefined> {
    this.#context.checkOpen();
    return new RemovalReader(this.#context).removal(name, options);
  }

  history(subject: Subject | string, options?: HistoryOptions): AsyncIterable<StoredEvent> {
    this.#context.checkOpen();
    return this.#audit.history(subject, options);
  }

  async imageEver(id: ImageId): Promise<Image> {
    this.#context.checkOpen();
    mustBeString('id', id);
    return this.#audit.imageEver(id);
  }

  async referenceHistory(reference: string): Promise<ReferenceInterval[]> {
    this.#context.checkOpen();
    return this.#audit.referenceHistory(reference);
  }

  async pointAt(when: When, options?: WhenOptions): Promise<LogPoint> {
    this.#context.checkOpen();
    return this.#audit.pointAt(when, options);
  }

  async at(when: When, options?: PastOptions): Promise<PastStore> {
    this.#context.checkOpen();
    return this.#audit.at(when, options);
  }

  async diff(from: When, to: When, options?: PastOptions): Promise<StoreDiff> {
    this.#context.checkOpen();
    return this.#audit.diff(from, to, options);
  }

  async load(source: AsyncIterable<Uint8Array> | string, options: LoadOptions = {}): Promise<LoadResult> {
    this.#context.checkWritable();
    mustBeOptions(options, loadOptionNames);
    // A third of the code serves only some commands, so they load it on demand.
    const { loadArchive } = await loadCode('that loads archives', import('./archives/load-archive.js'));
    return loadArchive(source, options, this.#context);
  }

  save(
    names: string | readonly string[],
    options: SaveOptions & { readonly past?: PastStore | undefined } = {},
  ): Readable {
    this.#needLayers();
    mustBeOptions(options, { ...saveOptionNames, past: true });
    const views = options.past === undefined ? this.#context.views : viewsOf(options.past);
    return saveArchive(typeof names === 'string' ? [names] : names, options, { context: this.#context, views });
  }

  async saveTo(file: FileHandle, names: string | readonly string[], options: SaveOptions = {}): Promise<number> {
    mustBeObject('file', file);
    this.#needLayers();
    mustBeOptions(options, saveOptionNames);
    return saveArchiveTo(file, typeof names === 'string' ? [names] : names, options, this.#context);
  }

  savedContents(names: string | readonly string[], options: SavedContentsOptions = {}): SavedContents {
    this.#needLayers();
    mustBeOptions(options, savedContentsOptionNames);
    return savedContents(typeof names === 'string' ? [names] : names, options, this.#context);
  }

  async erase(digest: string, reason: string, options?: EraseOptions): Promise<ErasedContent> {
    return this.#makeRoom(() => erase(this.#context, digest, reason, options));
  }

  async prune(options: PruneOptions): Promise<PruneResult> {
    const run = (): Promise<PruneResult> => prune(this.#context, options);
    return Object(options).dryRun === true ? run() : this.#makeRoom(run);
  }

  project<View>(projection: OwnProjection<View>, options?: ProjectOptions): Promise<LiveProjection<View>> {
    return this.#projections.project(projection, options);
  }

  consumer(name: string, options?: ConsumerOptions): Consumer {
    return this.#consumers.consumer(name, options);
  }

  async consumers(): Promise<ConsumerState[]> {
    return this.#consumers.consumers();
  }

  async resetConsumer(name: string, position: number): Promise<void> {
    await this.#consumers.resetConsumer(name, position);
  }

  async removeConsumer(name: string): Promise<void> {
    await this.#consumers.removeConsumer(name);
  }

  async checkpoint(size?: number): Promise<string> {
    return new StoreEvidence(this.#context).checkpoint(size);
  }

  async readTile(path: string): Promise<Uint8Array> {
    return new StoreEvidence(this.#context).readTile(path);
  }

  readContent(digest: string): Uint8Array | undefined {
    return new StoreEvidence(this.#context).readContent(digest);
  }

  get verifierKey(): string | undefined {
    this.#context.checkOpen();
    return new StoreEvidence(this.#context).verifierKey;
  }

  async prove(seq: number, options?: ProveOptions): Promise<string> {
    return new StoreEvidence(this.#context).prove(seq, options);
  }

  async proveInclusion(seq: number, size?: number): Promise<InclusionProof> {
    return new StoreEvidence(this.#context).proveInclusion(seq, size);
  }

  async proveConsistency(from: number, to?: number): Promise<ConsistencyProof> {
    return new StoreEvidence(this.#context).proveConsistency(from, to);
  }

  async snapshot(): Promise<WrittenSnapshot> {
    this.#context.checkWritable();
    return this.#context.snapshotter.write();
  }

  async verify(options: VerifyOptions = {}): Promise<readonly Violation[]> {
    this.#context.checkOpen();
    const { verifyOpenStore } = await loadCode('that verifies', import('./verify-store.js'));
    const verified = (): Promise<readonly Violation[]> =>
      verifyOpenStore(this.#context, async () => this.#rebuilds?.settled(), options);
    const violations = await verified();
    const { openedState } = this.#context;
    if (violations.length === 0 || openedState === undefined) return violations;
    // A read-only store takes what a writer changed since it was opened for damage.
    if ((await writtenState(this.directory)) !== openedState) throw writerAtWork(this.directory);
    return violations;
  }

  async rebuild(options?: OpenRebuildOptions): Promise<RebuildResult> {
    this.#rebuilds ??= new StoreRebuild(this.#context);
    return this.#rebuilds.rebuild(options);
  }

  async backup(target: string, options: BackupOptions = {}): Promise<BackupReport> {
    this.#context.checkOpen();
    mustBeString('target', target);
    mustBeText('target', target);
    mustBeOptions(options, backupOptionNames);
    if (options.onProgress !== undefined) mustBeFunction('onProgress', options.onProgress);
    mustBeSignal('signal', options.signal);
    return this.#backingUp.run(async () => {
      const { writeBackup } = await loadCode('that backs up', import('./backup/write-backup.js'));
      return writeBackup(target, options, this.#context);
    });
  }

  checkWritable(): void {
    this.#context.checkWritable();
    this.#context.writer.check();
  }

  async settled(): Promise<void> {
    this.#context.checkOpen();
    await this.#context.writer.settled();
  }

  stats(): StoreStats {
    this.#context.checkOpen();
    const { directory, views, sidecar, reader } = this.#context;
    const { images, references, artifacts, layers, blobs } = views;
    let blobBytes = 0;
    for (const { size } of blobs.byDigest.values()) blobBytes += size;
    return {
      events: reader.head.seq,
      images: images.size,
      heads: headsOf(images).size,
      references: references.byName.size,
      artifacts: artifacts.byDigest.size,
      layers: layers.byChain.size,
      blobs: blobs.byDigest.size,
      blobBytes,
      storeId: sidecar.storeId,
      formatVersion: sidecar.version,
      createdAt: Date.parse(sidecar.created),
      pulls: this.#registry.pulls().reduce((sum, { pulls }) => sum + pulls, 0),
      damagedLogs: damagedLogs(directory),
      lastEventAt: reader.head.seq === 0 ? undefined : reader.head.time,
    };
  }

  close(): Promise<void> {
    this.#context.close();
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Runs something that frees space; on a full disk it may use the store's reserve. */
  #makeRoom<Result>(run: () => Promise<Result>): Promise<Result> {
    if (!this.#context.readOnly) this.#reserve.giveUpWhenLow();
    return run();
  }

  #needLayers(): void {
    this.#context.checkOpen();
    if (this.#context.layerPlace !== 'own') throw layersUnavailable(this.#context);
  }

  async #close(): Promise<void> {
    const { blobs, checkpoints, cleaner, log, viewSet, snapshotter, writer, readOnly, onClosed } = this.#context;
    try {
      const [consumersEnded, uploadsEnded] = [this.#consumers.end(), this.#uploads.end()];
      // Backups read the log through the writer.
      await this.#backingUp.settled();
      // Finishes queued commands and refuses new ones; nothing writes after this.
      await writer.end(this.#context.closedError());
      await consumersEnded;
      await uploadsEnded;
      await this.#registry.end();
      await cleaner.settled();
      await blobs.end();
      await this.#projections.end();
      await snapshotter.settled();
      if (!readOnly && !writer.hasFailed) {
        await checkpoints.write();
        await snapshotter.writeLast();
        if (unwrittenBytes(join(this.directory, 'log')) > MAX_LOG_BYTES_AT_CLOSE) await log.flush();
        await this.#reserve.keep();
      }
      // While the lock is held: afterwards the file may belong to another process.
      if (!readOnly) await removeOwner(this.directory);
    } finally {
      try {
        await log.close();
      } finally {
        // Ends followers even if the database failed to close.
        viewSet.end();
        onClosed();
      }
    }
  }
}

/**
 * Configs and metadata of an event store as Docker's StoreBackend. Unlike a filesystem it refuses
 * anything but image configs, and the metadata key `parent` is the image's parent.
 */
class LogBackend implements StoreBackend {
  readonly #context: StoreContext;
  readonly #images: ImageStore;

  constructor(context: StoreContext) {
    this.#context = context;
    this.#images = new ImageStore(context);
  }

  walk(visit: DigestWalkFunc): void {
    this.#context.checkOpen();
    for (const id of [...this.#context.views.images.ids()].sort()) visit(id);
  }

  get(digest: Digest): Uint8Array {
    const { views } = this.#context;
    this.#context.checkOpen();
    if (views.images.has(digest as ImageId)) return this.#context.readConfig(digest as ImageId).bytes();
    refuseErased(views.erasures, digest);
    throw imageNotFound(digest);
  }

  set(data: Uint8Array): Promise<Digest> {
    return this.#images.create(data);
  }

  async delete(digest: Digest): Promise<void> {
    await this.#images.delete(digest as ImageId);
  }

  async setMetadata(digest: Digest, key: string, value: Uint8Array): Promise<void> {
    const id = digest as ImageId;
    if (key === PARENT_KEY) await this.#images.setParent(id, parentIn(value, id));
    else await this.#context.submit(decideSetMetadata(id, key, value));
  }

  getMetadata(digest: Digest, key: string): Uint8Array {
    return this.#images.getMetadata(digest as ImageId, key);
  }

  // As in a filesystem backend, no-op for a missing value.
  async deleteMetadata(digest: Digest, key: string): Promise<void> {
    this.#context.checkOpen();
    const id = digest as ImageId;
    checkMetadataKey(key);
    if (findMetadata(this.#context.views, id, key) === undefined) return;
    await this.#context.submit(key === PARENT_KEY ? decideClearParent(id) : decideClearMetadata(id, key));
  }
}

function parentIn(value: Uint8Array, id: ImageId): ImageId {
  const parent = new TextDecoder().decode(value);
  if (isDigest(parent)) return parent as ImageId;
  throw new StoreError('METADATA_INVALID', `the metadata parent of ${id} must be an image id`, {
    data: { image: id, parent: parent.slice(0, 100) },
  });
}

function layersUnavailable({ directory, layerPlace }: StoreContext): StoreError {
  const why = layerPlace === 'none' ? 'it was opened without layers' : 'its layers are kept elsewhere';
  return new StoreError('LAYERS_UNAVAILABLE', `the store ${directory} has no own layers: ${why}`, {
    data: { directory },
  });
}
