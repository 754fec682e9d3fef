import { checkOriginOf, parseCheckpoint, type ParsedCheckpoint, verifyCheckpoint } from '../../log/checkpoint.js';
import { type NoteVerifier, parseVerifierKey } from '../../log/note.js';
import { type ErrorCode, isStoreError, throwIfAborted } from '../../errors.js';
import {
  leafTiles,
  type LeafVerdict,
  type RecordTile,
  recordTiles,
  SeqRanges,
  TreeCheck,
  type TreeClaim,
} from './tree-check.js';
import type {
  Reading,
  Report,
  StoredCheckpoint,
  VerifyOptions,
  VerifyProgress,
  VerifySource,
  Violation,
  ViolationCode,
} from './verify-source.js';
import type { StoredEvent } from '../../model/events.js';
import { type Belief, checkBlobs, checkContent, checkSetAside, NamedContent } from './content-check.js';
import { ChangesCheck, FoldCheck, snapshotClaims, type ViewClaim } from './fold-check.js';
import { checkPositions, IndexCheck } from './index-check.js';
import { RecordCheck } from './record-check.js';
import { TILE_WIDTH } from '../../log/merkle.js';

/**
 * Resolves with what the checkpoint beside the log and the caller's checkpoints claim about the
 * tree. Faults of the first are reported; the caller's must be valid, not being under verification.
 * @throws {StoreError} KEY_INVALID; CHECKPOINT_INVALID, CHECKPOINT_FOREIGN, SIGNATURE_INVALID for
 *   one that the caller gave
 */
export async function checkpointClaims(
  source: VerifySource,
  { against = [], key }: VerifyOptions,
  report: Report,
): Promise<TreeClaim[]> {
  const verifier = key === undefined ? undefined : await parseVerifierKey(key);
  const claims: (TreeClaim | undefined)[] = [];
  for (const [at, text] of (typeof against === 'string' ? [against] : against).entries()) {
    const checkpoint = await trusted(text, source, verifier);
    claims.push(claimOf(checkpoint, `checkpoint given ${at + 1}`, source.size, report));
  }
  if (source.checkpoint !== undefined) claims.push(await ownClaim(source, source.checkpoint, verifier, report));
  return claims.filter((claim) => claim !== undefined);
}

async function trusted(
  text: Uint8Array | string,
  { identity }: VerifySource,
  verifier: NoteVerifier | undefined,
): Promise<ParsedCheckpoint> {
  const checkpoint = parseCheckpoint(text);
  if (identity !== undefined) checkOriginOf(checkpoint, identity.origin);
  if (verifier !== undefined) await verifyCheckpoint(checkpoint, verifier);
  return checkpoint;
}

/** What errors are, of the checkpoint beside the log. */
const OWN_FAULTS: Partial<Record<ErrorCode, ViolationCode>> = {
  CHECKPOINT_INVALID: 'CHECKPOINT_DAMAGED',
  CHECKPOINT_FOREIGN: 'CHECKPOINT_FOREIGN',
  SIGNATURE_INVALID: 'SIGNATURE_WRONG',
};

async function ownClaim(
  source: VerifySource,
  { text, place }: StoredCheckpoint,
  verifier: NoteVerifier | undefined,
  report: Report,
): Promise<TreeClaim | undefined> {
  try {
    return claimOf(await trusted(text, source, verifier), place, source.size, report);
  } catch (error) {
    if (!isStoreError(error)) throw error;
    const code = OWN_FAULTS[error.code];
    if (code === undefined) throw error;
    report({ code, place, message: error.message });
    return undefined;
  }
}

function claimOf(
  { size, root }: ParsedCheckpoint,
  place: string,
  found: number,
  report: Report,
): TreeClaim | undefined {
  if (size <= found) return { size, root, place, code: 'CHECKPOINT_FORKED' };
  const lost = size - found;
  const message = `${place} is of ${size} events, and the log has ${found}: the last ${lost} were lost`;
  report({ code: 'CHECKPOINT_AHEAD', place, message, seq: found, expected: size, found });
  return undefined;
}

/**
 * Resolves with all faults of a source in the order found; empty when it is sound. Memory: 256
 * records, one content or snapshot, the views of the events, and 32 bytes per content.
 *
 * Throws the source's error when nothing more can be read; KEY_INVALID; CHECKPOINT_INVALID,
 * CHECKPOINT_FOREIGN and SIGNATURE_INVALID for a checkpoint that the caller gave; ABORTED.
 */
export async function verifySource(source: VerifySource, options: VerifyOptions = {}): Promise<Violation[]> {
  const violations: Violation[] = [];
  const reading: Reading = { report: (violation) => violations.push(violation), signal: options.signal };
  throwIfAborted(options.signal);
  const claims = await checkpointClaims(source, options, reading.report);
  let erasedCount = 0;
  if (options.fast === true) await verifyTree(source, claims, reading, options);
  else erasedCount = await new Verification(source, reading, options).run(claims);
  checkSetAside(source, erasedCount, { ...reading, onNotice: options.onNotice });
  return violations;
}

/** Checks the tree alone, over the leaf hashes, stored or made of rows of several events. */
async function verifyTree(
  source: VerifySource,
  claims: readonly TreeClaim[],
  reading: Reading,
  { onProgress }: VerifyOptions,
): Promise<void> {
  const tree = new TreeCheck(source, claims, reading);
  for await (const tile of leafTiles(source.hashes(0, reading), source.size)) {
    throwIfAborted(reading.signal);
    const verdicts = await tree.addTile(tile);
    for (const [at, verdict] of verdicts.entries()) {
      if (verdict !== 'missing') continue;
      const seq = tile.index * TILE_WIDTH + at + 1;
      const message = `event ${seq} has no leaf hash: it, or the row that it shares, is missing or damaged`;
      reading.report({ code: 'LEAF_MISSING', place: `event ${seq}`, message, seq });
    }
    onProgress?.({ what: 'events', done: tile.index * TILE_WIDTH + verdicts.length, total: source.size });
  }
  await tree.finish();
}

/**
 * Full verification: one pass over the records, which collects what to expect of the rest, then one
 * over each of the rest.
 */
class Verification {
  readonly #source: VerifySource;
  readonly #reading: Reading;
  readonly #onProgress: VerifyOptions['onProgress'];
  readonly #records: RecordCheck;
  readonly #index: IndexCheck | undefined;
  readonly #content = new NamedContent();
  /** Invalid events. */
  readonly #lost = new SeqRanges();

  constructor(source: VerifySource, reading: Reading, { onProgress }: VerifyOptions) {
    this.#source = source;
    this.#reading = reading;
    this.#onProgress = onProgress;
    this.#records = new RecordCheck(reading.report);
    this.#index = source.indexRows === undefined ? undefined : new IndexCheck(source, reading);
  }

  /** Resolves with how much content was erased and did not come back, as far as events tell. */
  async run(checkpoints: readonly TreeClaim[]): Promise<number> {
    const source = this.#source;
    const snapshots = await snapshotClaims(source, this.#reading, this.#counter('snapshots'));
    const live = source.liveViews;
    const views: ViewClaim[] = live === undefined ? [] : [{ ...live, place: 'open store', code: 'VIEW_WRONG' }];
    const { report } = this.#reading;
    const fold = new FoldCheck(snapshots.views.concat(views), new ChangesCheck(snapshots.changes, report), report);
    await this.#checkEvents(new TreeCheck(source, checkpoints.concat(snapshots.roots), this.#reading), fold);
    await this.#index?.finish(this.#lost, this.#counter('index'));
    await checkPositions(source, this.#reading);
    await source.reportStrays?.(this.#reading);
    const isWhole = fold.lostAt === undefined;
    const contents: Belief = { isWhole, onLooked: this.#counter('content', this.#content.leftCount) };
    await checkContent(source, { named: this.#content, erasures: fold.views.erasures }, this.#reading, contents);
    const { blobs } = fold.views;
    let blobBytes = 0;
    for (const { size } of blobs.byDigest.values()) blobBytes += size;
    await checkBlobs(source, blobs, this.#reading, { isWhole, onLooked: this.#counter('blobs', blobBytes) });
    return this.#content.erasedCount;
  }

  async #checkEvents(tree: TreeCheck, fold: FoldCheck): Promise<void> {
    const { size } = this.#source;
    const progress = this.#counter('events', size);
    await fold.compare(0);
    for await (const tile of recordTiles(this.#source.records(this.#reading), size)) {
      throwIfAborted(this.#reading.signal);
      await this.#checkTile(tile, await tree.addTile(tile), fold);
      progress(tile.index * TILE_WIDTH + tile.records.length);
    }
    this.#records.finish(size);
    await fold.finish();
    await tree.finish();
  }

  async #checkTile(tile: RecordTile, verdicts: readonly LeafVerdict[], fold: FoldCheck): Promise<void> {
    const events: StoredEvent[] = [];
    for (const [at, record] of tile.records.entries()) {
      const seq = tile.index * TILE_WIDTH + at + 1;
      const event = this.#records.check(seq, record, verdicts[at] ?? 'missing');
      if (event === undefined) {
        this.#lost.add(seq);
        fold.lose(seq);
        continue;
      }
      events.push(event);
      this.#content.add(event);
      fold.add({ event, record: record?.record ?? new Uint8Array(0) }, record?.place);
      if (fold.isClaimed(seq)) await fold.compare(seq);
    }
    this.#index?.add(events);
  }

  #counter(what: VerifyProgress['what'], total?: number): (done: number) => void {
    return (done) => {
      throwIfAborted(this.#reading.signal);
      this.#onProgress?.({ what, done, total });
    };
  }
}
