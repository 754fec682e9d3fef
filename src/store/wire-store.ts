import type { ViewSet } from '../../projections/views.js';
import type { Log } from '../log/log.js';
import type { ImagePolicy } from './commands/create.js';
import { BlobCleaner, type BlobStore } from './layers/blob-store.js';
import { type HeldLayers, LayerHolds, LocalLayers } from './layers/layer-store.js';
import type { CheckpointKeeper } from './open/checkpoint-keeper.js';
import type { Sidecar } from './open/sidecar.js';
import type { SnapshotFolder } from './snapshots/snapshot-folder.js';
import { pastViewsAt, type Snapshotter, viewsAt } from './snapshots/snapshotter.js';
import { StoreError } from '../errors.js';
import type { Digest, ImageId } from '../model/digest.js';
import { type StoredConfig, storedImage } from '../model/stored-image.js';
import { AuditReader, seqAt } from './past/audit.js';
import { LogBackend } from './log-backend.js';
import { StoreBackups } from './backup/store-backups.js';
import { NamedConsumers } from './consumers/named-consumers.js';
import { ConfigCache, imageDetails, ImageStore } from './images.js';
import type { Decide } from './commands/decision.js';
import { Eraser, refuseErased } from './commands/erase.js';
import { type Evidence, LogEvidence, StoreEvidence } from './evidence.js';
import { KeptStates, OwnProjectionSet } from './own-projections.js';
import { EventReader } from './follow/event-reader.js';
import { StoreRebuild } from './rebuild/rebuild.js';
import { ReferenceStore } from './references.js';
import type { StoreState } from './local-event-store.js';
import { originOf, Writer } from './writer.js';
import type { WriteOptions } from './event-store.js';

/** Where an event store keeps layers: with itself, elsewhere, or not at all. */
export type LayerPlace = 'own' | 'elsewhere' | 'none';

export interface EventStoreParts {
  readonly directory: string;
  readonly sidecar: Sidecar;
  readonly log: Log;
  readonly checkpoints: CheckpointKeeper;
  readonly snapshots: SnapshotFolder;
  readonly snapshotter: Snapshotter;
  /** Views that have folded the log to its head. */
  readonly viewSet: ViewSet;
  readonly blobs: BlobStore;
  readonly layerPlace: LayerPlace;
  readonly heldLayers: HeldLayers | undefined;
  readonly policy: ImagePolicy;
  readonly readOnly: boolean;
  readonly actor: string;
  /** The caller's clock: what it gives is checked each time. */
  readonly now: () => number;
  /** Told what went wrong and did no harm. */
  readonly onNotice: (notice: string) => void;
  /** Called once, when nothing is open any more: lets this process open the directory again. */
  readonly onClosed: () => void;
}

/** The members of an event store, each over the same log, views and writer. */
export interface WiredStore {
  readonly writer: Writer;
  readonly cleaner: BlobCleaner;
  readonly reader: EventReader;
  readonly images: ImageStore;
  readonly references: ReferenceStore;
  readonly layers: LocalLayers;
  readonly backend: LogBackend;
  readonly audit: AuditReader;
  readonly eraser: Eraser;
  readonly projections: OwnProjectionSet;
  readonly consumers: NamedConsumers;
  readonly evidence: Evidence;
  readonly backups: StoreBackups;
  readonly rebuilds: StoreRebuild;
  /** Decides one command and makes it durable. */
  readonly submit: <Result>(decide: Decide<Result>, options: WriteOptions) => Promise<Result>;
}

/** Returns the parts wired together. Each member asks `state` before it reads or writes. */
export function wireStore(parts: EventStoreParts, state: StoreState): WiredStore {
  const { log, checkpoints, viewSet, blobs, actor, now } = parts;
  const { views } = viewSet;
  const holds = new LayerHolds();
  const cleaner = new BlobCleaner(blobs, () => views.blobs);
  const isBlobNeeded = cleaner.isNeeded.bind(cleaner);
  const fold = viewSet.fold.bind(viewSet);
  const writer = new Writer({
    log,
    views,
    holds,
    now,
    sealed: (page) => checkpoints.note(page),
    fold: (page) => cleaner.cleanAfter(page, fold),
    lost: () => blobs.removeNothing(),
  });
  const readConfig = configReader(parts, state);
  const submit: WiredStore['submit'] = async (decide, options) => {
    state.checkOpen();
    return writer.submit({ decide, origin: originOf(options, actor) });
  };
  const images = wireImages(parts, { holds, port: writer, readConfig });
  const references = new ReferenceStore({
    view: () => views.references,
    platformOf: (id) => images.get(id).platform(),
    port: writer,
    actor,
  });
  const layers = wireLayers(parts, state, { port: writer, holds, isBlobNeeded });
  const backend = new LogBackend(views, {
    images,
    readConfig,
    submit: (decide) => submit(decide, {}),
    checkOpen: () => state.checkOpen(),
  });
  const reader = new EventReader(log, viewSet.folded$);
  const audit = wireAudit(parts, state, reader, readConfig);
  const eraser = wireEraser(parts, state, { writer, cleaner, reader, holds });
  const projections = wireProjections(parts, state, reader);
  const consumers = new NamedConsumers({ ...parts, folded$: viewSet.folded$, reader, port: writer, state });
  const evidence = wireEvidence(parts, state, reader);
  const backups = wireBackups(parts, state, { isBlobNeeded, submit });
  if (state.readOnly) void writer.end(state.readOnlyError());
  return {
    writer,
    cleaner,
    reader,
    images,
    references,
    layers,
    backend,
    audit,
    eraser,
    projections,
    consumers,
    evidence,
    backups,
    rebuilds: new StoreRebuild({ ...parts, writer, state }),
    submit,
  };
}

function wireImages(
  { viewSet, policy, heldLayers, actor, now }: EventStoreParts,
  over: { readonly holds: LayerHolds; readonly port: Writer; readonly readConfig: ConfigReader },
): ImageStore {
  const { views } = viewSet;
  return new ImageStore({
    ...over,
    views,
    readMetadata: (id, key) => views.metadata.get(id)?.get(key),
    details: (id) => imageDetails(views, id),
    configsOutliveImages: true,
    policy,
    heldLayers,
    actor,
    now,
  });
}

function wireEraser(
  parts: EventStoreParts,
  state: StoreState,
  own: Pick<WiredStore, 'writer' | 'cleaner' | 'reader'> & { readonly holds: LayerHolds },
): Eraser {
  const { directory, log, viewSet, blobs, actor, now } = parts;
  const { writer: port, cleaner, reader, holds } = own;
  return new Eraser({
    directory,
    log,
    views: viewSet.views,
    pastViewsAt: (seq, signal) => pastViewsAt(parts, seq, signal),
    seqAt: (when) => seqAt(when, { log, headSeq: reader.head.seq, now }),
    port,
    blobs,
    cleaner,
    holds,
    state,
    actor,
  });
}

function wireLayers(
  { viewSet, blobs, actor }: EventStoreParts,
  state: StoreState,
  shared: {
    readonly port: Writer;
    readonly holds: LayerHolds;
    readonly isBlobNeeded: (digest: Digest) => boolean;
  },
): LocalLayers {
  return new LocalLayers({
    ...shared,
    view: () => viewSet.views.layers,
    blobs,
    checkOpen: () => state.checkOpen(),
    checkWritable: () => state.checkWritable(),
    actor,
  });
}

function wireBackups(
  parts: EventStoreParts,
  state: StoreState,
  { isBlobNeeded, submit }: Pick<WiredStore, 'submit'> & { readonly isBlobNeeded: (digest: Digest) => boolean },
): StoreBackups {
  const { checkpoints } = parts;
  return new StoreBackups({
    ...parts,
    views: parts.viewSet.views,
    isBlobNeeded,
    checkpointAt: async (head) => (state.readOnly ? checkpoints.unwritten() : checkpoints.at(head)),
    // The writer decides when what it appended before is folded, and before it appends anything else.
    whenStill: async (look) => (state.readOnly ? look() : submit(() => ({ events: [], result: look() }), {})),
  });
}

function wireAudit(
  parts: EventStoreParts,
  state: StoreState,
  reader: EventReader,
  readConfig: ConfigReader,
): AuditReader {
  const { log, now } = parts;
  return new AuditReader({
    log,
    reader,
    now,
    viewsAt: (seq, signal) => viewsAt(parts, seq, signal),
    pastViewsAt: (seq, signal) => pastViewsAt(parts, seq, signal),
    readConfig,
    platformOf: (id) => storedImage(readConfig(id), { id, parent: undefined, details: undefined }).platform(),
    checkOpen: () => state.checkOpen(),
  });
}

function wireEvidence(
  { log, sidecar, checkpoints }: EventStoreParts,
  state: StoreState,
  reader: EventReader,
): Evidence {
  const checkOpen = (): void => state.checkOpen();
  return new StoreEvidence({
    log,
    origin: sidecar.origin,
    checkpoints,
    readOnly: state.readOnly,
    seen: new LogEvidence({ log, head: () => reader.head, checkOpen }),
    // A checkpoint may be of events that are durable and not folded yet.
    durable: new LogEvidence({ log, head: () => log.head, checkOpen }),
  });
}

function wireProjections(parts: EventStoreParts, state: StoreState, reader: EventReader): OwnProjectionSet {
  const { log, viewSet, snapshots, snapshotter, onNotice } = parts;
  const projections = new OwnProjectionSet({
    log,
    head: () => reader.head,
    folded$: viewSet.folded$,
    states: new KeptStates({ folder: snapshots, readOnly: state.readOnly, onNotice }),
    checkOpen: () => state.checkOpen(),
  });
  snapshotter.alsoWrite(() => projections.keepStates());
  return projections;
}

type ConfigReader = (id: ImageId) => StoredConfig;

function configReader({ log, viewSet }: EventStoreParts, state: StoreState): ConfigReader {
  const cache = new ConfigCache();
  viewSet.folded$.subscribe((page) => cache.forgetRemoved(page));
  return (id) => {
    state.checkOpen();
    // Also for a look into the past: what was erased since is gone.
    refuseErased(viewSet.views.erasures, id);
    return cache.get(id, () => readContent(log, id));
  };
}

function readContent(log: Log, id: ImageId): Uint8Array {
  const config = log.content(id);
  if (config !== undefined) return config;
  throw new StoreError('CONTENT_CORRUPT', `the config of the image ${id} is missing from the store`, {
    data: { image: id },
  });
}
