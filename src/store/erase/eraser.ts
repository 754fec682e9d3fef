import { join } from 'node:path';
import type { Erasure } from '../../../projections/erasures.js';
import type { Views } from '../../../projections/views.js';
import { throwIfAborted } from '../../abort.js';
import { StoreError } from '../../errors.js';
import type { Log } from '../../log/log.js';
import { type Digest, parseDigest } from '../../model/digest.js';
import type { StoredEvent } from '../../model/events.js';
import { mustBeBoolean, mustBeObject, mustBeSignal, mustBeString } from '../argument-types.js';
import type { When } from '../audit/audit.js';
import type { Decide } from '../decide/decision.js';
import { decideErase } from '../decide/erase.js';
import { NotedState } from '../decide/noted-state.js';
import { decidePrune, type PruneOutcome } from '../decide/prune.js';
import { removeDurably } from '../files/durable-file.js';
import type { BlobCleaner } from '../layers/blob-cleaner.js';
import type { BlobStore } from '../layers/blob-store.js';
import type { LayerHolds } from '../layers/layer-holds.js';
import { damagedLogs, removeLogCopies } from '../rebuild/log-folders.js';
import type { LayerMetadata } from '../store.js';
import type { StoreState } from '../store-state.js';
import type { CommandPort } from '../write/command.js';
import { type Origin, originOf } from '../write/envelope.js';
import type { ErasedContent, EraseOptions, Erasing, PruneOptions, PruneResult } from './erasing.js';
import { PruneScan } from './prune-scan.js';

export interface EraserParts {
  /** The store's. */
  readonly directory: string;
  readonly log: Log;
  readonly views: Views;
  /** Returns views as of an event, for reading. */
  readonly pastViewsAt: (seq: number, signal?: AbortSignal) => Promise<Views>;
  /** Returns the last event at or before a point in time. */
  readonly seqAt: (when: When) => number;
  readonly port: CommandPort;
  readonly blobs: BlobStore;
  readonly cleaner: BlobCleaner;
  readonly holds: LayerHolds;
  readonly state: StoreState;
  readonly actor: string;
}

/** Erases content and blobs: first the event, then the bytes. */
export class Eraser implements Erasing {
  readonly #parts: EraserParts;

  constructor(parts: EraserParts) {
    this.#parts = parts;
  }

  erasures(): ReadonlyMap<Digest, Erasure> {
    this.#parts.state.checkOpen();
    return new Map(this.#parts.views.erasures);
  }

  async erase(digest: string, reason: string, options: EraseOptions = {}): Promise<ErasedContent> {
    const { directory, log, blobs, state, actor } = this.#parts;
    const { removeDamagedLogs = false } = options;
    state.checkWritable();
    mustBeString('digest', digest);
    mustBeString('reason', reason);
    mustBeBoolean('removeDamagedLogs', removeDamagedLogs);
    if (reason.trim() === '') throw new StoreError('ENVELOPE_INVALID', 'the reason of an erasure is empty');
    const parsed = parseDigest(digest);
    const origin = originOf({ ...options, reason }, actor);
    const kept = {
      contentSize: () => log.contentSize(parsed),
      blobSize: () => blobs.size(parsed),
      isBlobHeld: () => blobs.isPinned(parsed),
      damagedLogs: removeDamagedLogs ? [] : damagedLogs(directory),
    };
    const { outcome, seq } = await this.#submit(decideErase(parsed, kept), origin);
    // A crash from here on leaves bytes that no event needs, which the next open removes; and
    // damaged logs, which `verify` reports.
    const removed = removeDamagedLogs ? await this.#removeDamagedLogs() : [];
    await this.#removeBytes([parsed]);
    return { digest: parsed, ...outcome, damagedLogs: removed, seq: seq ?? log.head.seq };
  }

  async prune(options: PruneOptions): Promise<PruneResult> {
    mustBeObject('options', options);
    const { before, dryRun = false, removeDamagedLogs = false, signal } = options;
    mustBeBoolean('dryRun', dryRun);
    mustBeBoolean('removeDamagedLogs', removeDamagedLogs);
    mustBeSignal('signal', signal);
    const { log, state, views, holds, actor } = this.#parts;
    if (dryRun) state.checkOpen();
    else state.checkWritable();
    throwIfAborted(signal);
    const seq = this.#parts.seqAt(before);
    const point = { seq, time: log.event(seq)?.time ?? 0 };
    const reason = options.reason ?? `prune of what nothing needed since ${new Date(point.time).toISOString()}`;
    const origin = originOf({ ...options, reason }, actor);
    const decide = await this.#decidePrune(seq, options);
    if (dryRun) {
      const { result } = decide(new NotedState(views, holds));
      const concerned = removeDamagedLogs || result.contents.some(({ kind }) => kind !== 'blob');
      const found = concerned ? damagedLogs(this.#parts.directory) : [];
      return pruneResult(result, { dryRun, before: point, damagedLogs: found });
    }
    const written = await this.#submit(decide, origin);
    const removed = removeDamagedLogs ? await this.#removeDamagedLogs() : [];
    const { contents } = written.outcome;
    const blobs = contents.filter(({ kind }) => kind === 'blob').map(({ digest }) => digest);
    if (contents.length > 0) await this.#removeBytes(blobs);
    return { ...pruneResult(written.outcome, { dryRun, before: point, damagedLogs: removed }), seq: written.seq };
  }

  async #decidePrune(
    seq: number,
    { dryRun = false, removeDamagedLogs = false, signal, onProgress }: PruneOptions,
  ): Promise<Decide<PruneOutcome>> {
    const { directory, log, pastViewsAt } = this.#parts;
    const scan = new PruneScan();
    let seen = 0;
    const read = async (to: number, add: (event: StoredEvent) => void): Promise<void> => {
      for await (const page of log.pages({ from: seen + 1, to, signal })) {
        for (const event of page) add(event);
        seen = page.at(-1)?.seq ?? seen;
        onProgress?.(seen, log.head.seq);
      }
    };
    await read(seq, (event) => scan.addBefore(event));
    scan.addViews(await pastViewsAt(seq, signal));
    while (seen < log.head.seq) await read(log.head.seq, (event) => scan.addAfter(event));
    const candidates = (): PruneScan => {
      // What became durable while the command waited.
      for (; seen < log.head.seq; seen++) scan.addAfter(log.event(seen + 1) as StoredEvent);
      return scan;
    };
    return decidePrune({
      candidates,
      contentSize: (digest) => log.contentSize(digest),
      damagedLogs: dryRun || removeDamagedLogs ? [] : damagedLogs(directory),
    });
  }

  async #submit<Outcome extends { readonly layers: readonly LayerMetadata[] }>(
    decide: Decide<Outcome>,
    origin: Origin,
  ): Promise<{ readonly outcome: Outcome; readonly seq: number | undefined }> {
    const removal = this.#parts.holds.removal();
    let seq: number | undefined;
    const outcome = await this.#parts.port.submit({
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

  async #removeDamagedLogs(): Promise<readonly string[]> {
    const { directory } = this.#parts;
    const names = damagedLogs(directory);
    for (const name of names) await removeDurably(join(directory, name));
    return names;
  }

  /**
   * Removes the files of `digests`, what the log still has of removed content, and copies of the
   * log that nobody needs.
   */
  async #removeBytes(digests: readonly Digest[]): Promise<void> {
    const { directory, blobs, cleaner, log } = this.#parts;
    const isNeeded = cleaner.isNeeded.bind(cleaner);
    await cleaner.settled();
    await blobs.removeUnneeded(digests, isNeeded);
    await log.purge();
    for (const digest of digests) {
      // One that came again meanwhile is needed, or held by whoever brings it.
      if (isNeeded(digest) || blobs.isPinned(digest) || blobs.size(digest) === undefined) continue;
      throw new StoreError(
        'IO_FAILED',
        `${digest} is erased, but its file could not be removed: the next open tries again`,
        {
          data: { digest },
        },
      );
    }
    await removeLogCopies(directory);
  }
}

function pruneResult(
  { contents, layers }: PruneOutcome,
  facts: Pick<PruneResult, 'dryRun' | 'before' | 'damagedLogs'>,
): PruneResult {
  return { ...facts, contents, layers, bytes: contents.reduce((sum, { size }) => sum + size, 0) };
}
