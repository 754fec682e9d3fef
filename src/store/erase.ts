import type { OptionNames } from '../model/option-names.js';
import { join } from 'node:path';
import type { Erasure } from '../../projections/content.js';
import { addTo, imagesOf } from '../../projections/references.js';
import type { Views } from '../../projections/views.js';
import { isStoreError, StoreError, throwIfAborted } from '../errors.js';
import type { LogPoint } from '../log/log.js';
import { type ChainId, type Digest, type ImageId, isDigest, parseDigest } from '../model/digest.js';
import type { NamedContent } from '../model/event-facts.js';
import type { ContentErased, EventBody, LayerRemoved, StoredEvent } from '../model/events.js';
import { factsOf } from '../model/event-table.js';
import type { Image } from '../model/image.js';
import { mustBeBoolean, mustBeFunction, mustBeOptions, mustBeSignal, mustBeString } from './argument-types.js';
import { contentErased, type Decide, type DecisionState, neededContent, NotedState } from './commands/decision.js';
import { removeLayers } from './commands/layers.js';
import type { StoreContext } from './context.js';
import { removeDurably } from './files/files.js';
import { damagedLogs, removeLogCopies } from './files/log-folders.js';
import { seqAt, type When, type WhenOptions } from './past/audit.js';
import { pastViewsAt } from './snapshots/views-at.js';
import { type LayerMetadata, type WriteOptions, writeOptionNames } from './store.js';
import { type Origin, originOf } from './writer.js';

export type { Erasure };

/** What to do with damaged logs that rebuilds moved aside. */
interface DamagedLogOptions {
  /**
   * Remove every damaged log: it may hold the erased content, which cannot be cut out of it.
   * Without this, content cannot be erased while one exists. Default false.
   */
  readonly removeDamagedLogs?: boolean | undefined;
}

/** Options of `erase`. */
export interface EraseOptions extends Omit<WriteOptions, 'reason'>, DamagedLogOptions {}

const { reason: _, ...originNames } = writeOptionNames;
const eraseOptionNames: OptionNames<EraseOptions> = { ...originNames, removeDamagedLogs: true };

/** The outcome of an erasure. */
export interface ErasedContent {
  readonly digest: Digest;
  /** Bytes removed. */
  readonly size: number;
  /** Unused layers removed with their blob, top first. */
  readonly layers: readonly LayerMetadata[];
  /** Names of the damaged logs removed. */
  readonly damagedLogs: readonly string[];
  /** Seq of its event. */
  readonly seq: number;
}

/** Options of `prune`. */
export interface PruneOptions extends WriteOptions, DamagedLogOptions, WhenOptions {
  /** Prune only what nothing has needed at or since this point in time. */
  readonly before: When;
  /**
   * Prune only what belonged to images that this accepts: their configs and manifests. Layers,
   * indexes and artifacts are of no one image, and stay. Called once for each candidate, before
   * anything is removed; what it throws ends the prune, as a TypeError does when it returns no
   * boolean. Default: prune all.
   */
  readonly filter?: ((image: PrunableImage) => boolean) | undefined;
  /** Remove nothing, only report what would be removed; default false. */
  readonly dryRun?: boolean | undefined;
  /** Called with the number of events scanned so far and in total. */
  readonly onProgress?: ((events: number, total: number) => void) | undefined;
  readonly signal?: AbortSignal | undefined;
}

const pruneOptionNames: OptionNames<PruneOptions> = {
  ...writeOptionNames,
  before: true,
  timeZone: true,
  filter: true,
  removeDamagedLogs: true,
  dryRun: true,
  onProgress: true,
  signal: true,
};

/** An image whose config or manifests a prune may remove. */
export interface PrunableImage {
  readonly id: ImageId;
  /** Every canonical reference that it ever had. */
  readonly references: readonly string[];
  /** Absent when it was erased or is damaged. */
  readonly config?: Image | undefined;
}

/** An item removed by a prune. */
export interface PrunedContent {
  readonly digest: Digest;
  readonly kind: 'config' | 'manifest' | 'index' | 'artifact' | 'blob';
  /** Bytes. */
  readonly size: number;
  /** The image whose config or manifest it was. */
  readonly image?: ImageId | undefined;
}

/** What a prune removed, or would remove in a dry run. */
export interface PruneResult {
  readonly dryRun: boolean;
  /** The last event at which a removed item may still have been needed. */
  readonly before: LogPoint;
  /** Configs, manifests and indexes in the order they were added, then the blobs of `layers`. */
  readonly contents: readonly PrunedContent[];
  /** Unused layers. */
  readonly layers: readonly LayerMetadata[];
  /** Names of the damaged logs removed; in a dry run, those to be removed or in the way. */
  readonly damagedLogs: readonly string[];
  /** Sum of the sizes of `contents`. */
  readonly bytes: number;
  /** Seq of its last event; undefined when it wrote none. */
  readonly seq?: number | undefined;
}

/** Removes the bytes of content no longer needed. The events and their proofs stay. */
export interface Erasing {
  /**
   * Erases the config, manifest, index or layer blob with this digest, for reads of the past too.
   * Once resolved, no file of the store holds its bytes: waits for backups and verifications.
   * Writes an event with `reason`, which must not be empty. The same bytes may be added again
   * later.
   * @throws {StoreError} DIGEST_INVALID; CONTENT_NOT_FOUND; CONTENT_ERASED when already erased;
   *   CONTENT_IN_USE with what needs it in `data`; DAMAGED_LOG_KEPT when a damaged log may hold it
   *   and may not be removed; ENVELOPE_INVALID. After the event is durable: DISK_FULL, LOG_FAILED,
   *   IO_FAILED or STORE_CLOSED when the bytes could not be removed; the next open retries
   */
  erase(digest: string, reason: string, options?: EraseOptions): Promise<ErasedContent>;
  /**
   * Erases, in one transaction, the configs, manifests and indexes nothing has needed since
   * `before`, and removes the layers that have existed unused ever since. Reads the whole log once.
   * @throws {StoreError} TIME_INVALID, TIME_OUT_OF_RANGE, ABORTED, DAMAGED_LOG_KEPT,
   *   ENVELOPE_INVALID; afterwards as `erase`
   */
  prune(options: PruneOptions): Promise<PruneResult>;
  /** Returns what was erased and not added again, in order of erasure: when, by whom and why. */
  erasures(): ReadonlyMap<Digest, Erasure>;
}

/** What is stored under a digest at the time of the decision. Sizes are bytes. */
interface KeptBytes {
  readonly contentSize: () => number | undefined;
  readonly blobSize: () => number | undefined;
  /** Whether a load or save is using the blob. */
  readonly isBlobHeld: () => boolean;
  /** Names of damaged logs that may not be removed. */
  readonly damagedLogs: readonly string[];
}

interface ErasureOutcome {
  readonly size: number;
  readonly layers: readonly LayerMetadata[];
}

/**
 * Decides `erase`: removes the blob's unused layers, then the content. Throws CONTENT_NOT_FOUND,
 * CONTENT_ERASED, CONTENT_IN_USE, DAMAGED_LOG_KEPT.
 */
function decideErase(digest: Digest, kept: KeptBytes): Decide<ErasureOutcome> {
  return (state) => {
    const users = state.usersOf(digest);
    refuseUsed(digest, { ...users, layers: users.layers.filter(({ chainId }) => state.usesOf(chainId) > 0) });
    const erasure = state.erasure(digest);
    if (erasure !== undefined) throw contentErased(erasure);
    const contentSize = kept.contentSize();
    const size = contentSize ?? kept.blobSize();
    if (size === undefined) {
      const message = `nothing of the digest ${digest} is in the store`;
      throw new StoreError('CONTENT_NOT_FOUND', message, { data: { digest } });
    }
    if (contentSize === undefined && kept.isBlobHeld()) {
      const message = `cannot erase ${digest}: a load or a save in progress has its file`;
      throw new StoreError('CONTENT_IN_USE', message, {
        data: { digest, images: [], references: [], layers: [], artifacts: [] },
      });
    }
    if (contentSize !== undefined) refuseDamagedLogs([digest], kept.damagedLogs);
    const removed = removeLayers(
      state,
      users.layers.map(({ chainId }) => chainId),
    );
    return {
      events: [...removed.events, { type: 'ContentErased', digest, size }],
      content: contentSize === undefined ? undefined : new Map([[digest, undefined]]),
      result: { size, layers: removed.layers },
    };
  };
}

/**
 * Refuses to erase content that damaged logs may hold; layers are never in a log.
 * @throws {StoreError} DAMAGED_LOG_KEPT
 */
function refuseDamagedLogs(digests: readonly Digest[], damagedLogs: readonly string[]): void {
  const [digest] = digests;
  if (digest === undefined || damagedLogs.length === 0) return;
  const what = digests.length === 1 ? digest : `${digest} and ${digests.length - 1} more`;
  const logs = damagedLogs.join(', ');
  throw new StoreError(
    'DAMAGED_LOG_KEPT',
    `cannot erase ${what}: ${logs}, which a rebuild set aside, may contain the same bytes; move it away or have it removed`,
    { data: { digests, damagedLogs } },
  );
}

function refuseUsed(
  digest: Digest,
  { images, references, layers, artifacts }: ReturnType<DecisionState['usersOf']>,
): void {
  const chains = layers.map(({ chainId }) => chainId);
  const users = [
    ...images.map((image) => `the image ${image}`),
    ...references.map((reference) => `the reference ${reference}`),
    ...chains.map((chainId) => `the layer ${chainId}`),
    ...artifacts.map((artifact) => `the artifact ${artifact}`),
  ];
  const [first] = users;
  if (first === undefined) return;
  const more = users.length === 1 ? '' : ` and ${users.length - 1} more`;
  const verb = users.length === 1 ? 'needs' : 'need';
  throw new StoreError('CONTENT_IN_USE', `cannot erase ${digest}: ${first}${more} ${verb} it`, {
    data: { digest, images, references, layers: chains, artifacts },
  });
}

interface PruneOutcome {
  readonly contents: readonly PrunedContent[];
  readonly layers: readonly LayerMetadata[];
}

/**
 * Decides `prune`: removes the candidates that exist and are unneeded now. Throws DAMAGED_LOG_KEPT
 * when it would erase content while there are `damagedLogs` that may not be removed.
 */
function decidePrune(
  candidates: () => PruneScan,
  contentSize: (digest: Digest) => number | undefined,
  damagedLogs: readonly string[],
): Decide<PruneOutcome> {
  return (state) => {
    const { contents, chains } = candidates();
    const removed = removeLayers(state, chains);
    const pruned = [...unneeded(state, contents, contentSize), ...freedBlobs(state, removed.events)];
    const erased = pruned.map(({ digest, size }): ContentErased => ({ type: 'ContentErased', digest, size }));
    const events: EventBody[] = [...removed.events, ...erased];
    const ofLog = pruned.filter(({ kind }) => kind !== 'blob').map(({ digest }) => digest);
    refuseDamagedLogs(ofLog, damagedLogs);
    const rows = ofLog.map((digest) => [digest, undefined] as const);
    return { events, content: new Map(rows), result: { contents: pruned, layers: removed.layers } };
  };
}

function* unneeded(
  state: DecisionState,
  contents: PruneScan['contents'],
  contentSize: (digest: Digest) => number | undefined,
): Generator<PrunedContent> {
  const needed = state.needed(new Set(contents.keys()));
  for (const [digest, facts] of contents) {
    const size = contentSize(digest);
    // Missing content is for `verify` to report; an event must not claim it was erased. The config
    // of an image may be a blob of an artifact too.
    if (size === undefined || needed.has(digest) || state.usesOfBlob(digest) > 0) continue;
    yield { digest, ...facts, size };
  }
}

function* freedBlobs(state: DecisionState, removed: readonly LayerRemoved[]): Generator<PrunedContent> {
  const freed = new Map<Digest, number>();
  for (const { blob } of removed) {
    const uses = (freed.get(blob.digest) ?? 0) + 1;
    freed.set(blob.digest, uses);
    if (uses === state.usesOfBlob(blob.digest)) yield { digest: blob.digest, kind: 'blob', size: blob.size };
  }
}

/**
 * Finds what nothing has needed since some event: named by earlier events, not needed by the store
 * then, not named since. Feed it the events up to that one, the views there, the events after.
 */
class PruneScan {
  /** In the order added. */
  readonly contents = new Map<Digest, Omit<PrunedContent, 'digest'>>();
  readonly chains = new Set<ChainId>();
  /** Every name of each image; undefined if nobody asks. */
  readonly #names: Map<ImageId, Set<string>> | undefined;

  constructor(keepsNames: boolean) {
    this.#names = keepsNames ? new Map() : undefined;
  }

  addBefore(event: StoredEvent): void {
    const { content, erases } = factsOf(event);
    const named = content(event);
    // What is of no image is the target of a reference; if it has one image, it is its manifest.
    if (named !== undefined && (named.image !== undefined || !this.contents.has(named.digest))) this.#name(named);
    const erased = erases(event);
    if (erased !== undefined) this.contents.delete(erased);
    this.#note(event);
  }

  /** Returns every name that an image ever had, sorted. */
  namesOf(id: ImageId): string[] {
    return [...(this.#names?.get(id) ?? [])].sort();
  }

  addViews({ images, layers, manifests, references, artifacts }: Views): void {
    for (const digest of neededContent({ images, manifests, references, artifacts })) this.contents.delete(digest);
    for (const chainId of layers.byChain.keys()) {
      if (images.usesOfChain(chainId) === 0 && !layers.childrenOf.has(chainId)) this.chains.add(chainId);
    }
  }

  /** Takes a later event: what it names or changes was needed since. */
  addAfter(event: StoredEvent): void {
    this.#note(event);
    for (const [kind, key] of factsOf(event).changes(event)) {
      if (kind === 'content') this.contents.delete(key);
      else if (kind === 'uses') this.chains.delete(key);
    }
  }

  #note(event: StoredEvent): void {
    if (this.#names === undefined || event.type !== 'ReferenceSet') return;
    for (const image of imagesOf(event)) addTo(this.#names, image, event.reference);
  }

  /** Keeps only contents of images that `accepts`, and no layers. */
  keepOnly(accepts: (image: ImageId) => boolean): void {
    this.chains.clear();
    const answers = new Map<ImageId, boolean>();
    for (const [digest, { image }] of this.contents) {
      if (image === undefined) {
        this.contents.delete(digest);
        continue;
      }
      const answer = answers.get(image) ?? accepts(image);
      answers.set(image, answer);
      if (!answer) this.contents.delete(digest);
    }
  }

  // Moves a digest added again to the end.
  #name({ digest, ...facts }: NamedContent): void {
    this.contents.delete(digest);
    this.contents.set(digest, facts);
  }
}

/** Implements `Erasing.erase`: first the event, then the bytes. */
export async function erase(
  context: StoreContext,
  digest: string,
  reason: string,
  options: EraseOptions = {},
): Promise<ErasedContent> {
  const { directory, log, blobs, actor } = context;
  const { removeDamagedLogs = false } = options;
  context.checkWritable();
  mustBeString('digest', digest);
  mustBeString('reason', reason);
  mustBeOptions(options, eraseOptionNames);
  mustBeBoolean('removeDamagedLogs', removeDamagedLogs);
  if (reason.trim() === '') throw new StoreError('ENVELOPE_INVALID', 'the reason of an erasure is empty');
  refuseReversed(digest, reason);
  const parsed = parseDigest(digest);
  const origin = originOf({ ...options, reason }, actor);
  const kept = {
    contentSize: () => log.contentSize(parsed),
    blobSize: () => blobs.size(parsed),
    isBlobHeld: () => blobs.isPinned(parsed),
    damagedLogs: removeDamagedLogs ? [] : damagedLogs(directory),
  };
  const { outcome, seq } = await submit(context, decideErase(parsed, kept), origin);
  // A crash from here on leaves unneeded bytes, which the next open removes, and damaged logs,
  // which `verify` reports.
  const removed = await removedLogs(context, [parsed], removeDamagedLogs);
  return { digest: parsed, ...outcome, damagedLogs: removed, seq: seq ?? log.head.seq };
}

function refuseReversed(digest: string, reason: string): void {
  if (isDigest(digest) || !isDigest(reason)) return;
  const message = `the reason ${reason} is a digest, and the digest is not: the digest comes first, then the reason`;
  throw new StoreError('DIGEST_INVALID', message, { data: { digest: digest.slice(0, 100), reason } });
}

/** Implements `Erasing.prune`: first the events, then the bytes. */
export async function prune(context: StoreContext, options: PruneOptions): Promise<PruneResult> {
  mustBeOptions(options, pruneOptionNames);
  const { before, dryRun = false, removeDamagedLogs = false, signal } = options;
  mustBeBoolean('dryRun', dryRun);
  mustBeBoolean('removeDamagedLogs', removeDamagedLogs);
  mustBeSignal('signal', signal);
  if (options.filter !== undefined) mustBeFunction('filter', options.filter);
  const { directory, log, views, holds, actor } = context;
  if (dryRun) context.checkOpen();
  else context.checkWritable();
  throwIfAborted(signal);
  const seq = seqAt(before, context, options);
  const point = { seq, time: log.event(seq)?.time ?? 0 };
  const reason = options.reason ?? `prune of what nothing needed since ${new Date(point.time).toISOString()}`;
  const origin = originOf({ ...options, reason }, actor);
  const decide = await pruneDecision(context, seq, options);
  if (dryRun) {
    const { result } = decide(new NotedState(views, holds));
    const concerned = removeDamagedLogs || result.contents.some(({ kind }) => kind !== 'blob');
    const found = concerned ? damagedLogs(directory) : [];
    return pruneResult(result, { dryRun, before: point, damagedLogs: found });
  }
  const written = await submit(context, decide, origin);
  const { contents } = written.outcome;
  const blobs = contents.filter(({ kind }) => kind === 'blob').map(({ digest }) => digest);
  const removed = await removedLogs(context, contents.length > 0 ? blobs : undefined, removeDamagedLogs);
  return { ...pruneResult(written.outcome, { dryRun, before: point, damagedLogs: removed }), seq: written.seq };
}

async function pruneDecision(
  context: StoreContext,
  seq: number,
  { dryRun = false, removeDamagedLogs = false, filter, signal, onProgress }: PruneOptions,
): Promise<Decide<PruneOutcome>> {
  const { directory, log, snapshots } = context;
  const scan = new PruneScan(filter !== undefined);
  let seen = 0;
  const read = async (to: number, add: (event: StoredEvent) => void): Promise<void> => {
    for await (const page of log.pages({ from: seen + 1, to, signal })) {
      for (const event of page) add(event);
      seen = page.at(-1)?.seq ?? seen;
      onProgress?.(seen, log.head.seq);
    }
  };
  await read(seq, (event) => scan.addBefore(event));
  scan.addViews(await pastViewsAt({ log, snapshots }, seq, signal));
  while (seen < log.head.seq) await read(log.head.seq, (event) => scan.addAfter(event));
  if (filter !== undefined) scan.keepOnly((id) => answerOf(filter, prunable(context, scan, id)));
  const candidates = (): PruneScan => {
    // Events that became durable while the command was queued.
    for (; seen < log.head.seq; seen++) scan.addAfter(log.event(seen + 1) as StoredEvent);
    return scan;
  };
  const contentSize = (digest: Digest): number | undefined => log.contentSize(digest);
  return decidePrune(candidates, contentSize, dryRun || removeDamagedLogs ? [] : damagedLogs(directory));
}

/** @throws {TypeError} unless `filter` answers with a boolean: a promise would count as an answer */
function answerOf(filter: NonNullable<PruneOptions['filter']>, image: PrunableImage): boolean {
  const answer: unknown = filter(image);
  if (typeof answer === 'boolean') return answer;
  throw new TypeError('filter must return true or false, and at once');
}

function prunable(context: StoreContext, scan: PruneScan, id: ImageId): PrunableImage {
  const references = scan.namesOf(id);
  try {
    return { id, references, config: context.readConfig(id).image(id, undefined) };
  } catch (error) {
    if (isStoreError(error, 'CONTENT_ERASED') || isStoreError(error, 'CONTENT_CORRUPT')) return { id, references };
    throw error;
  }
}

async function submit<Outcome extends PruneOutcome | ErasureOutcome>(
  { holds, writer }: StoreContext,
  decide: Decide<Outcome>,
  origin: Origin,
): Promise<{ readonly outcome: Outcome; readonly seq: number | undefined }> {
  const removal = holds.removal();
  let seq: number | undefined;
  const outcome = await writer.submit({
    decide,
    origin,
    accepted: ({ layers }) => removal.accepted?.(layers),
    committed: (lastSeq) => {
      seq = lastSeq;
      removal.committed?.(lastSeq);
    },
    withdrawn: ({ layers }) => removal.withdrawn?.(layers),
  });
  return { outcome, seq };
}

/** Removes damaged logs, then the erased bytes even if that failed. Returns the logs' names. */
async function removedLogs(
  context: StoreContext,
  digests: readonly Digest[] | undefined,
  removeDamagedLogs: boolean,
): Promise<readonly string[]> {
  const { directory } = context;
  const names = removeDamagedLogs ? damagedLogs(directory) : [];
  try {
    for (const name of names) await removeDurably(join(directory, name));
  } finally {
    if (digests !== undefined) await removeBytes(context, digests);
  }
  return names;
}

/** Removes the files of `digests`, removed content from the log, and unneeded log copies. */
async function removeBytes(
  { directory, blobs, cleaner, log, isBlobNeeded, forgetUploads }: StoreContext,
  digests: readonly Digest[],
): Promise<void> {
  await cleaner.settled();
  await forgetUploads(digests);
  await blobs.removeUnneeded(digests, isBlobNeeded);
  await log.purge();
  for (const digest of digests) {
    // One added again meanwhile is needed, or pinned by the call that adds it.
    if (isBlobNeeded(digest) || blobs.isPinned(digest) || blobs.size(digest) === undefined) continue;
    const message = `${digest} is erased, but its file could not be removed: the next open tries again`;
    throw new StoreError('IO_FAILED', message, { data: { digest } });
  }
  await removeLogCopies(directory);
}

function pruneResult(
  { contents, layers }: PruneOutcome,
  facts: Pick<PruneResult, 'dryRun' | 'before' | 'damagedLogs'>,
): PruneResult {
  return { ...facts, contents, layers, bytes: contents.reduce((sum, { size }) => sum + size, 0) };
}
