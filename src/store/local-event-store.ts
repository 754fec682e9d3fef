import type { FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { loadCode, StoreError } from '../errors.js';
import { MAX_LOG_BYTES_AT_CLOSE } from '../limits.js';
import type { Digest, ImageId } from '../model/digest.js';
import type { Image } from '../model/image.js';
import type { StoredEvent, Subject } from '../model/events.js';
import { readClock } from '../model/timestamp.js';
import type { AuditReader, HistoryOptions, PastStore, ReferenceInterval, StoreDiff, When } from './past/audit.js';
import type { ConsistencyProof, Evidence, InclusionProof, ProveOptions } from './evidence.js';
import { saveArchive, saveArchiveTo, type SaveParts } from './archives/save-archive.js';
import { mustBeObject } from './argument-types.js';
import type { BackupOptions, BackupReport } from './backup/backup-layout.js';
import { decideClearMetadata, decideSetMetadata } from './commands/metadata.js';
import { type EventStoreParts, type LayerPlace, type WiredStore, wireStore } from './wire-store.js';
import type { ImageStore } from './images.js';
import type { Consumer, ConsumerOptions, ConsumerState } from './consumers/consumer.js';
import type { ErasedContent, EraseOptions, Erasure, PruneOptions, PruneResult } from './commands/erase.js';
import { refuseWriter, removeOwner } from './open/lock.js';
import type { LiveProjection, OwnProjection, ProjectOptions } from './own-projections.js';
import type { ReferenceStore } from './references.js';
import {
  type EventStore,
  type LayerMetadata,
  type LayerStore,
  type LoadOptions,
  type LoadResult,
  type ReferenceEntry,
  type ResolveOptions,
  type SaveOptions,
  statsOf,
  type StoreBackend,
  type StoreStats,
  type WriteOptions,
} from './event-store.js';
import type { StoreLog } from './follow/event-filter.js';
import type { WrittenSnapshot } from './snapshots/snapshotter.js';
import type { OpenRebuildOptions, RebuildResult } from './rebuild/rebuild.js';
import { Reserve, unwrittenBytes } from './files/reserve.js';
import type { VerifyOptions, Violation } from './verify/verify-source.js';
import { originOf } from './writer.js';

/** Whether a store may be read and written: asked before every call. */
export class StoreState {
  readonly directory: string;
  readonly readOnly: boolean;
  #isClosed = false;

  constructor(directory: string, readOnly: boolean) {
    this.directory = directory;
    this.readOnly = readOnly;
  }

  /** From now on nothing may be read or written. */
  close(): void {
    this.#isClosed = true;
  }

  /** @throws {StoreError} STORE_CLOSED */
  checkOpen(): void {
    if (this.#isClosed) throw this.closedError();
  }

  /** @throws {StoreError} STORE_CLOSED, STORE_READ_ONLY */
  checkWritable(): void {
    this.checkOpen();
    if (this.readOnly) throw this.readOnlyError();
  }

  closedError(): StoreError {
    return new StoreError('STORE_CLOSED', `the store ${this.directory} is closed`, {
      data: { directory: this.directory },
    });
  }

  readOnlyError(): StoreError {
    return new StoreError('STORE_READ_ONLY', `the store ${this.directory} was opened for reading only`, {
      data: { directory: this.directory },
    });
  }
}

/** The store over an event log: each call is handed to the member that answers it, if the store is open. */
export class LocalEventStore implements EventStore {
  readonly directory: string;
  readonly #parts: EventStoreParts;
  readonly #state: StoreState;
  readonly #wired: WiredStore;
  readonly #reserve: Reserve;
  #closing: Promise<void> | undefined;

  constructor(parts: EventStoreParts) {
    this.directory = parts.directory;
    this.#parts = { ...parts, now: () => readClock(parts.now) };
    this.#state = new StoreState(parts.directory, parts.readOnly);
    this.#wired = wireStore(this.#parts, this.#state);
    this.#reserve = new Reserve(parts.directory);
  }

  get log(): StoreLog {
    this.#state.checkOpen();
    return this.#wired.reader;
  }

  get backend(): StoreBackend {
    this.#state.checkOpen();
    return this.#wired.backend;
  }

  get layers(): LayerStore {
    this.#state.checkOpen();
    if (this.#parts.layerPlace === 'own') return this.#wired.layers;
    throw layersUnavailable(this.directory, this.#parts.layerPlace);
  }

  async create(config: Uint8Array, options?: WriteOptions): Promise<ImageId> {
    return this.#images.create(config, options);
  }

  get(id: ImageId): Image {
    return this.#images.get(id);
  }

  async delete(id: ImageId, options?: WriteOptions): Promise<readonly LayerMetadata[]> {
    const images = this.#images;
    return this.#makeRoom(async () => {
      const removed = await images.delete(id, options);
      await this.#wired.cleaner.settled();
      return removed;
    });
  }

  search(partial: string): ImageId {
    return this.#images.search(partial);
  }

  async setParent(id: ImageId, parent: ImageId, options?: WriteOptions): Promise<void> {
    await this.#images.setParent(id, parent, options);
  }

  getParent(id: ImageId): ImageId {
    return this.#images.getParent(id);
  }

  async setLastUpdated(id: ImageId, options?: WriteOptions): Promise<void> {
    await this.#images.setLastUpdated(id, options);
  }

  getLastUpdated(id: ImageId): Date | undefined {
    return this.#images.getLastUpdated(id);
  }

  async setBuiltLocally(id: ImageId, options?: WriteOptions): Promise<void> {
    await this.#images.setBuiltLocally(id, options);
  }

  isBuiltLocally(id: ImageId): boolean {
    return this.#images.isBuiltLocally(id);
  }

  children(id: ImageId): ImageId[] {
    return this.#images.children(id);
  }

  map(): ReadonlyMap<ImageId, Image> {
    return this.#images.map();
  }

  heads(): ReadonlyMap<ImageId, Image> {
    return this.#images.heads();
  }

  len(): number {
    return this.#images.len();
  }

  async setMetadata(id: ImageId, key: string, value: Uint8Array, options: WriteOptions = {}): Promise<void> {
    await this.#wired.submit(decideSetMetadata(id, key, value), options);
  }

  getMetadata(id: ImageId, key: string): Uint8Array {
    this.#state.checkOpen();
    return this.#wired.backend.getMetadata(id, key);
  }

  async deleteMetadata(id: ImageId, key: string, options: WriteOptions = {}): Promise<void> {
    await this.#wired.submit(decideClearMetadata(id, key), options);
  }

  async tag(
    reference: string,
    idOrReference: string,
    options?: WriteOptions & { readonly overwrite?: boolean | undefined },
  ): Promise<void> {
    await this.#references.tag(reference, idOrReference, options);
  }

  async untag(reference: string, options?: WriteOptions): Promise<void> {
    await this.#references.untag(reference, options);
  }

  resolve(reference: string, options?: ResolveOptions): ImageId;
  resolve(reference: string, options: ResolveOptions & { readonly at: When }): Promise<ImageId>;
  resolve(
    reference: string,
    { platform, at }: ResolveOptions & { readonly at?: When | undefined } = {},
  ): ImageId | Promise<ImageId> {
    if (at === undefined) return this.#references.resolve(reference, platform);
    return this.#audit.resolveAt(reference, at, platform);
  }

  history(subject: Subject | string, options?: HistoryOptions): AsyncIterable<StoredEvent> {
    return this.#audit.history(subject, options);
  }

  async referenceHistory(reference: string): Promise<ReferenceInterval[]> {
    return this.#audit.referenceHistory(reference);
  }

  async at(when: When, options?: { readonly signal?: AbortSignal | undefined }): Promise<PastStore> {
    return this.#audit.at(when, options);
  }

  async diff(from: When, to: When, options?: { readonly signal?: AbortSignal | undefined }): Promise<StoreDiff> {
    return this.#audit.diff(from, to, options);
  }

  references(id: ImageId): string[] {
    return this.#references.references(id);
  }

  referenceEntries(): ReferenceEntry[] {
    return this.#references.entries();
  }

  async load(source: AsyncIterable<Uint8Array> | string, options: LoadOptions = {}): Promise<LoadResult> {
    this.#state.checkWritable();
    const { blobs, heldLayers, layerPlace, policy, actor, viewSet } = this.#parts;
    const origin = originOf(options, actor);
    // Code that only some commands need, a third of all there is, is loaded by those.
    const { loadArchive } = await loadCode('that loads archives', import('./archives/load-archive.js'));
    return loadArchive(source, options, origin, {
      port: this.#wired.writer,
      blobs,
      policy: { images: policy, keepsLayers: layerPlace === 'own', readImage: (id) => this.get(id) },
      heldLayers,
      hasImage: (id) => viewSet.views.images.has(id),
      isBlobNeeded: (digest) => this.#wired.cleaner.isNeeded(digest),
      headSeq: () => this.#wired.reader.head.seq,
    });
  }

  save(names: string | readonly string[], options: SaveOptions = {}): Readable {
    return saveArchive(typeof names === 'string' ? [names] : names, options, this.#saveParts());
  }

  async saveTo(file: FileHandle, names: string | readonly string[], options: SaveOptions = {}): Promise<number> {
    mustBeObject('file', file);
    return saveArchiveTo(file, typeof names === 'string' ? [names] : names, options, this.#saveParts());
  }

  async erase(digest: string, reason: string, options?: EraseOptions): Promise<ErasedContent> {
    return this.#makeRoom(() => this.#wired.eraser.erase(digest, reason, options));
  }

  async prune(options: PruneOptions): Promise<PruneResult> {
    return this.#makeRoom(() => this.#wired.eraser.prune(options));
  }

  erasures(): ReadonlyMap<Digest, Erasure> {
    return this.#wired.eraser.erasures();
  }

  project<View>(projection: OwnProjection<View>, options?: ProjectOptions): Promise<LiveProjection<View>> {
    return this.#wired.projections.project(projection, options);
  }

  consumer(name: string, options?: ConsumerOptions): Consumer {
    return this.#wired.consumers.consumer(name, options);
  }

  async consumers(): Promise<ConsumerState[]> {
    return this.#wired.consumers.consumers();
  }

  async resetConsumer(name: string, position: number): Promise<void> {
    await this.#wired.consumers.resetConsumer(name, position);
  }

  async removeConsumer(name: string): Promise<void> {
    await this.#wired.consumers.removeConsumer(name);
  }

  async checkpoint(): Promise<string> {
    return this.#evidence.checkpoint();
  }

  async prove(seq: number, options?: ProveOptions): Promise<string> {
    return this.#evidence.prove(seq, options);
  }

  async proveInclusion(seq: number, size?: number): Promise<InclusionProof> {
    return this.#evidence.proveInclusion(seq, size);
  }

  async proveConsistency(from: number, to?: number): Promise<ConsistencyProof> {
    return this.#evidence.proveConsistency(from, to);
  }

  async snapshot(): Promise<WrittenSnapshot> {
    this.#state.checkWritable();
    return this.#parts.snapshotter.write();
  }

  async verify(options: VerifyOptions = {}): Promise<readonly Violation[]> {
    this.#state.checkOpen();
    const { reader, rebuilds } = this.#wired;
    const { verifyOpenStore } = await loadCode('that verifies', import('./verify-store.js'));
    const verified = (): Promise<readonly Violation[]> =>
      verifyOpenStore({ ...this.#parts, foldedSeq: () => reader.head.seq, rebuilt: () => rebuilds.settled() }, options);
    if (!this.#state.readOnly) return verified();
    // What a writer adds or removes meanwhile, a reader would take for damage.
    await refuseWriter(this.directory);
    const violations = await verified();
    await refuseWriter(this.directory);
    return violations;
  }

  async rebuild(options?: OpenRebuildOptions): Promise<RebuildResult> {
    return this.#wired.rebuilds.rebuild(options);
  }

  async backup(target: string, options: BackupOptions = {}): Promise<BackupReport> {
    this.#state.checkOpen();
    return this.#wired.backups.write(target, options);
  }

  stats(): StoreStats {
    this.#state.checkOpen();
    return statsOf(this.#parts, this.#wired.reader.head);
  }

  close(): Promise<void> {
    this.#state.close();
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  /** Runs what frees room, on a full disk in the reserve of the store. */
  #makeRoom<Result>(run: () => Promise<Result>): Promise<Result> {
    if (!this.#state.readOnly) this.#reserve.giveUpWhenLow();
    return run();
  }

  #saveParts(): SaveParts {
    this.#state.checkOpen();
    const { viewSet, blobs, log, layerPlace } = this.#parts;
    if (layerPlace !== 'own') throw layersUnavailable(this.directory, layerPlace);
    return {
      store: this,
      views: viewSet.views,
      blobs,
      readContent: (digest) => log.content(digest),
      isBlobNeeded: (digest) => this.#wired.cleaner.isNeeded(digest),
    };
  }

  get #images(): ImageStore {
    this.#state.checkOpen();
    return this.#wired.images;
  }

  get #audit(): AuditReader {
    this.#state.checkOpen();
    return this.#wired.audit;
  }

  get #evidence(): Evidence {
    this.#state.checkOpen();
    return this.#wired.evidence;
  }

  get #references(): ReferenceStore {
    this.#state.checkOpen();
    return this.#wired.references;
  }

  async #close(): Promise<void> {
    const { blobs, checkpoints, log, viewSet, snapshotter, readOnly, onClosed } = this.#parts;
    try {
      const consumersEnded = this.#wired.consumers.end();
      // Backups look at the log through its writer.
      await this.#wired.backups.settled();
      // Commands that wait are finished, new ones are refused; then nothing writes any more.
      await this.#wired.writer.end(this.#state.closedError());
      await consumersEnded;
      await this.#wired.cleaner.settled();
      await blobs.end();
      await this.#wired.projections.end();
      await snapshotter.settled();
      if (!readOnly && !this.#wired.writer.hasFailed) {
        await checkpoints.write();
        await snapshotter.writeLast();
        if (unwrittenBytes(join(this.directory, 'log')) > MAX_LOG_BYTES_AT_CLOSE) await log.flush();
        await this.#reserve.keep();
      }
      // While the lock is still held: afterwards the file may be another owner's.
      if (!readOnly) await removeOwner(this.directory);
    } finally {
      try {
        await log.close();
      } finally {
        // Followers end, whatever became of the database.
        viewSet.end();
        onClosed();
      }
    }
  }
}

function layersUnavailable(directory: string, place: LayerPlace): StoreError {
  const why = place === 'none' ? 'it was opened without layers' : 'its layers are kept elsewhere';
  return new StoreError('LAYERS_UNAVAILABLE', `the store ${directory} has no layers of its own: ${why}`, {
    data: { directory },
  });
}
