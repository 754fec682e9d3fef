import type { Readable } from 'node:stream';
import type { ViewSet } from '../../projections/views.js';
import { StoreError } from '../errors.js';
import type { Log } from '../log/log.js';
import type { ImageId } from '../model/digest.js';
import type { Image } from '../model/image.js';
import type { Platform } from '../model/platform.js';
import { BlobCleaner } from './layers/blob-cleaner.js';
import type { BlobStore } from './layers/blob-store.js';
import type { ImagePolicy } from './decide/create.js';
import type { Decide } from './decide/decision.js';
import { decideClearMetadata, decideSetMetadata } from './decide/metadata.js';
import { originOf } from './write/envelope.js';
import type { HeadWitness } from './open/head-witness.js';
import type { HeldLayers } from './layers/held-layers.js';
import { imageDetails } from './image-details.js';
import { ImageStore } from './image-store.js';
import { LayerHolds } from './layers/layer-holds.js';
import { LocalLayers } from './layers/layer-store.js';
import { loadArchive } from './archives/load-archive.js';
import { LogBackend } from './backends/log-backend.js';
import { nodeSha256 } from './files/node-hash.js';
import { removeOwner } from './open/owner-file.js';
import { ReferenceStore } from './reference-store.js';
import { saveArchive } from './archives/save-archive.js';
import type { Sidecar } from './open/sidecar.js';
import { statsOf } from './stats.js';
import type {
  EventStore,
  LayerMetadata,
  LayerStore,
  LoadOptions,
  LoadResult,
  ReferenceEntry,
  SaveOptions,
  StoreBackend,
  StoreLog,
  StoreStats,
  WriteOptions,
} from './store.js';
import { EventReader } from './read/store-log.js';
import { Writer } from './write/writer.js';

/** Where an event store keeps layers: with itself, elsewhere, or not at all. */
export type LayerPlace = 'own' | 'elsewhere' | 'none';

export interface EventStoreParts {
  readonly directory: string;
  readonly sidecar: Sidecar;
  readonly log: Log;
  readonly witness: HeadWitness;
  /** Views that have folded the log to its head. */
  readonly viewSet: ViewSet;
  readonly blobs: BlobStore;
  readonly layerPlace: LayerPlace;
  readonly heldLayers: HeldLayers | undefined;
  readonly policy: ImagePolicy;
  readonly readOnly: boolean;
  readonly actor: string;
  readonly now: () => number;
  /** Called once, when nothing is open any more: lets this process open the directory again. */
  readonly onClosed: () => void;
}

/** The store over an event log: the parts wired together, each call handed to the one that answers it. */
export class LocalEventStore implements EventStore {
  readonly directory: string;
  readonly #parts: EventStoreParts;
  readonly #writer: Writer;
  readonly #cleaner: BlobCleaner;
  readonly #imageStore: ImageStore;
  readonly #referenceStore: ReferenceStore;
  readonly #localLayers: LocalLayers;
  readonly #reader: EventReader;
  readonly #logBackend: LogBackend;
  #closing: Promise<void> | undefined;

  constructor(parts: EventStoreParts) {
    const { log, witness, viewSet, blobs, heldLayers, policy, actor, now } = parts;
    const { views } = viewSet;
    const holds = new LayerHolds();
    const cleaner = new BlobCleaner(blobs, () => views.blobs);
    const fold = viewSet.fold.bind(viewSet);
    const writer = new Writer({
      log,
      views,
      holds,
      now,
      sealed: (page) => witness.note(page),
      fold: (page) => cleaner.cleanAfter(page, fold),
      lost: () => blobs.removeNothing(),
    });
    this.directory = parts.directory;
    this.#parts = parts;
    this.#cleaner = cleaner;
    this.#writer = writer;
    this.#reader = new EventReader(log, viewSet.folded$);
    this.#imageStore = new ImageStore({
      views,
      port: writer,
      readConfig: (id) => this.#readConfig(id),
      readMetadata: (id, key) => views.metadata.get(id)?.get(key),
      details: (id) => imageDetails(views, id),
      configsOutliveImages: true,
      policy,
      heldLayers,
      holds,
      actor,
      now,
      hash: nodeSha256,
    });
    this.#referenceStore = new ReferenceStore({
      view: () => views.references,
      platformOf: (id) => this.#imageStore.get(id).platform(),
      port: writer,
      actor,
    });
    const isBlobNeeded = cleaner.isNeeded.bind(cleaner);
    const checkOpen = (): void => this.#checkOpen();
    this.#localLayers = new LocalLayers({
      view: () => views.layers,
      port: writer,
      blobs,
      holds,
      isBlobNeeded,
      checkOpen,
      checkWritable: () => this.#checkWritable(),
      actor,
    });
    this.#logBackend = new LogBackend(views, {
      images: this.#imageStore,
      readConfig: (id) => this.#readConfig(id),
      submit: (decide) => this.#submit(decide, {}),
      checkOpen,
    });
    if (parts.readOnly) void writer.end(readOnlyError(parts.directory));
  }

  get log(): StoreLog {
    this.#checkOpen();
    return this.#reader;
  }

  get backend(): StoreBackend {
    this.#checkOpen();
    return this.#logBackend;
  }

  get layers(): LayerStore {
    this.#checkOpen();
    if (this.#parts.layerPlace === 'own') return this.#localLayers;
    throw layersUnavailable(this.directory, this.#parts.layerPlace);
  }

  async create(config: Uint8Array, options?: WriteOptions): Promise<ImageId> {
    return this.#images.create(config, options);
  }

  get(id: ImageId): Image {
    return this.#images.get(id);
  }

  async delete(id: ImageId, options?: WriteOptions): Promise<readonly LayerMetadata[]> {
    const removed = await this.#images.delete(id, options);
    await this.#cleaner.settled();
    return removed;
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
    await this.#submit(decideSetMetadata(id, key, value), options);
  }

  getMetadata(id: ImageId, key: string): Uint8Array {
    this.#checkOpen();
    return this.#logBackend.getMetadata(id, key);
  }

  async deleteMetadata(id: ImageId, key: string, options: WriteOptions = {}): Promise<void> {
    await this.#submit(decideClearMetadata(id, key), options);
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

  resolve(reference: string, options: { readonly platform?: Platform | string | undefined } = {}): ImageId {
    return this.#references.resolve(reference, options.platform);
  }

  references(id: ImageId): string[] {
    return this.#references.references(id);
  }

  referenceEntries(): ReferenceEntry[] {
    return this.#references.entries();
  }

  async load(source: AsyncIterable<Uint8Array> | string, options: LoadOptions = {}): Promise<LoadResult> {
    this.#checkOpen();
    const { blobs, heldLayers, layerPlace, policy, readOnly, actor, viewSet } = this.#parts;
    if (readOnly) throw readOnlyError(this.directory);
    return loadArchive(source, options, originOf(options, actor), {
      port: this.#writer,
      blobs,
      policy: { images: policy, keepsLayers: layerPlace === 'own', readImage: (id) => this.get(id) },
      heldLayers,
      hasImage: (id) => viewSet.views.images.byId.has(id),
      isBlobNeeded: (digest) => this.#cleaner.isNeeded(digest),
      headSeq: () => this.#reader.head.seq,
    });
  }

  save(names: string | readonly string[], options: SaveOptions = {}): Readable {
    this.#checkOpen();
    const { viewSet, blobs, log, layerPlace } = this.#parts;
    if (layerPlace !== 'own') throw layersUnavailable(this.directory, layerPlace);
    return saveArchive(typeof names === 'string' ? [names] : names, options, {
      store: this,
      views: viewSet.views,
      blobs,
      readContent: (digest) => log.content(digest),
      isBlobNeeded: (digest) => this.#cleaner.isNeeded(digest),
    });
  }

  stats(): StoreStats {
    this.#checkOpen();
    return statsOf(this.#parts.viewSet.views, this.#reader.head, this.#parts.sidecar);
  }

  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  get #images(): ImageStore {
    this.#checkOpen();
    return this.#imageStore;
  }

  get #references(): ReferenceStore {
    this.#checkOpen();
    return this.#referenceStore;
  }

  #checkWritable(): void {
    this.#checkOpen();
    if (this.#parts.readOnly) throw readOnlyError(this.directory);
  }

  #checkOpen(): void {
    if (this.#closing !== undefined) throw closedError(this.directory);
  }

  async #submit<Result>(decide: Decide<Result>, options: WriteOptions): Promise<Result> {
    this.#checkOpen();
    return this.#writer.submit({ decide, origin: originOf(options, this.#parts.actor) });
  }

  #readConfig(id: ImageId): Uint8Array {
    this.#checkOpen();
    const config = this.#parts.log.content(id);
    if (config !== undefined) return config;
    throw new StoreError('CONTENT_CORRUPT', `the config of the image ${id} is missing from the store`, {
      data: { image: id },
    });
  }

  async #close(): Promise<void> {
    const { blobs, witness, log, viewSet, readOnly, onClosed } = this.#parts;
    try {
      // Commands that wait are finished, new ones are refused; then nothing writes any more.
      await this.#writer.end(closedError(this.directory));
      await this.#cleaner.settled();
      await blobs.end();
      if (!readOnly && !this.#writer.hasFailed) await witness.write();
      // While the lock is still held: afterwards the file may be another owner's.
      if (!readOnly) await removeOwner(this.directory);
    } finally {
      await log.close();
      viewSet.end();
      onClosed();
    }
  }
}

function closedError(directory: string): StoreError {
  return new StoreError('STORE_CLOSED', `the store ${directory} is closed`, { data: { directory } });
}

function layersUnavailable(directory: string, place: LayerPlace): StoreError {
  const why = place === 'none' ? 'it was opened without layers' : 'its layers are kept elsewhere';
  return new StoreError('LAYERS_UNAVAILABLE', `the store ${directory} has no layers of its own: ${why}`, {
    data: { directory },
  });
}

function readOnlyError(directory: string): StoreError {
  return new StoreError('STORE_READ_ONLY', `the store ${directory} was opened for reading only`, {
    data: { directory },
  });
}
