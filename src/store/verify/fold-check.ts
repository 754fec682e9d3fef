import { createHash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { createViews, storeProjections, type ViewName, viewNames, type Views } from '../../../projections/views.js';
import type { ViewEncoder } from '../../../projections/projection.js';
import { SnapshotDamage, SnapshotWriter } from '../../../projections/snapshot-format.js';
import type { LogEntry } from '../../log/log.js';
import { changesVersions } from '../../../projections/changes-codec.js';
import { type ChangesCheck, type ChangesClaim, changesClaim } from './changes-check.js';
import { contradictionOf } from './record-check.js';
import type { Reading, Report, StoredSnapshot, VerifySource, ViolationCode, ViewDigests } from './verify-source.js';
import { decodeViews, viewVersions } from '../../../projections/views-codec.js';
import { hexToBytes } from '../../model/digest.js';
import { parseSnapshot } from '../snapshots/snapshot-folder.js';
import type { TreeClaim } from './tree-check.js';

/** Returns a function that computes the digests of `views` as of now: mutable state is copied. */
export function viewDigestsOf(views: Views): () => Promise<ViewDigests> {
  const encoders = viewNames.map((name) => [name, encoderOf(views, name)] as const);
  return async () => {
    const digests: Partial<Record<ViewName, string>> = {};
    for (const [name, encode] of encoders) digests[name] = await digestOfView(encode);
    return digests as ViewDigests;
  };
}

/** Returns the names of the views whose digests differ. */
export function differingViews(one: ViewDigests, other: ViewDigests): ViewName[] {
  return viewNames.filter((name) => one[name] !== other[name]);
}

function encoderOf<Name extends ViewName>(views: Views, name: Name): ViewEncoder {
  return storeProjections[name].encode(views[name]);
}

async function digestOfView(encode: ViewEncoder): Promise<string> {
  const hash = createHash('sha256');
  const out = new SnapshotWriter();
  for (const _ of encode(out)) {
    hash.update(out.take());
    await setImmediate();
  }
  for (const _ of out.tables()) hash.update(out.take());
  return hash.update(out.take()).digest('hex');
}

/** Views folded elsewhere from the events up to `seq`. */
export interface ViewClaim {
  readonly seq: number;
  readonly place: string;
  readonly code: ViolationCode & ('SNAPSHOT_WRONG' | 'VIEW_WRONG');
  readonly digests: () => Promise<ViewDigests>;
}

/**
 * Folds the events afresh, checking each against the views before it, and compares the views with
 * those folded elsewhere. An invalid event stops both; what the other events need is still
 * collected.
 */
export class FoldCheck {
  readonly #report: Report;
  readonly #claims: readonly ViewClaim[];
  readonly #claimed: ReadonlySet<number>;
  readonly #changes: ChangesCheck;
  readonly #viewSet = createViews();
  #lostAt: number | undefined;

  constructor(claims: readonly ViewClaim[], changes: ChangesCheck, report: Report) {
    this.#claims = claims;
    this.#changes = changes;
    this.#claimed = new Set(claims.map(({ seq }) => seq));
    this.#report = report;
  }

  /** The views of all valid events. */
  get views(): Views {
    return this.#viewSet.views;
  }

  /** The first invalid event, if any: the views lack at least that. */
  get lostAt(): number | undefined {
    return this.#lostAt;
  }

  add(entry: LogEntry, place: string): void {
    const { event } = entry;
    if (this.#lostAt === undefined) this.#changes.add(entry);
    const fault = this.#lostAt === undefined ? contradictionOf(this.views, event) : undefined;
    if (fault !== undefined) {
      const { seq } = event;
      this.#report({ code: 'EVENT_CONTRADICTS', place, message: `event ${seq} ${fault}`, seq });
    }
    this.#viewSet.fold([event]);
  }

  /** Records that the event at `seq` cannot be folded. */
  lose(seq: number): void {
    this.#lostAt ??= seq;
  }

  /** Whether there are claimed views of the events up to `seq`. */
  isClaimed(seq: number): boolean {
    return this.#claimed.has(seq);
  }

  /** Compares the views after `seq`, the last event folded, with the claimed ones. */
  async compare(seq: number): Promise<void> {
    if (this.#lostAt !== undefined || !this.isClaimed(seq)) return;
    const fresh = await viewDigestsOf(this.views)();
    for (const { place, code, digests } of this.#claims.filter((claim) => claim.seq === seq)) {
      const names = differingViews(await digests(), fresh);
      if (names.length === 0) continue;
      const message = `${place}: what it says of ${names.join(', ')} is not what the events up to ${seq} give`;
      this.#report({ code, place, message, seq });
    }
  }

  /** Reports what could not be checked. */
  finish(): void {
    if (this.#lostAt === undefined) return;
    const views = this.#claims.filter(({ seq }) => seq >= (this.#lostAt ?? 0)).map(({ place }) => place);
    const claims = [...views, ...this.#changes.end()];
    const beside = claims.length === 0 ? '' : `, nor ${claims.join(', ')}`;
    const message =
      `event ${this.#lostAt} cannot be believed: whether later events follow from it, and whether content or blobs are ` +
      `superfluous, was not checked${beside}`;
    this.#report({ code: 'NOT_CHECKED', place: 'views', message, seq: this.#lostAt });
  }
}

const VIEWS_FILE = /^(\d{16})\.views$/;
const CHANGES_FILE = /^(\d{16})-(\d{16})\.changes$/;
const PROJECTION_FILE = /^(.+)\.projection$/;

/** What snapshots claim about their log. */
interface SnapshotClaims {
  readonly roots: TreeClaim[];
  readonly views: ViewClaim[];
  readonly changes: ChangesClaim[];
}

/** Thrown for a snapshot that is not of this log. */
class Unfit extends Error {
  readonly code: ViolationCode;

  constructor(code: ViolationCode, message: string) {
    super(message);
    this.code = code;
  }
}

/**
 * Resolves with what a source's snapshots claim about the tree and the views, reading one at a
 * time. Faults within a snapshot are reported. One of other projection versions is skipped, as at
 * an open.
 */
export async function snapshotClaims(
  source: VerifySource,
  reading: Reading,
  onLooked: (files: number) => void,
): Promise<SnapshotClaims> {
  const claims: SnapshotClaims = { roots: [], views: [], changes: [] };
  let looked = 0;
  for await (const stored of source.snapshots?.(reading) ?? []) {
    const place = `snapshots/${stored.name}`;
    try {
      await addClaims(claims, source, stored, place);
    } catch (error) {
      if (error instanceof Unfit) reading.report({ code: error.code, place, message: `${place}: ${error.message}` });
      else if (error instanceof SnapshotDamage) {
        reading.report({ code: 'SNAPSHOT_DAMAGED', place, message: `${place}: ${error.message}` });
      } else throw error;
    }
    onLooked(++looked);
  }
  return claims;
}

async function addClaims(
  { roots, views, changes }: SnapshotClaims,
  { identity, size }: VerifySource,
  { name, read }: StoredSnapshot,
  place: string,
): Promise<void> {
  const ofViews = VIEWS_FILE.exec(name)?.[1];
  const [, first, last] = CHANGES_FILE.exec(name) ?? [];
  const projection = PROJECTION_FILE.exec(name)?.[1];
  if ((ofViews ?? last ?? projection) === undefined) throw new Unfit('FILE_UNKNOWN', 'no snapshot has this name');
  const bytes = await read();
  if (bytes === undefined) return;
  const { header, payload } = parseSnapshot(bytes);
  const { store, kind, from, seq, root, versions } = header;
  if (identity !== undefined && store !== identity.storeId)
    throw new Unfit('SNAPSHOT_FOREIGN', 'it is of another store');
  if (seq > size) throw new Unfit('SNAPSHOT_FOREIGN', `it is of event ${seq}, and the log ends at ${size}`);
  const isNamed = {
    views: Number(ofViews) === seq,
    changes: Number(first) === from && Number(last) === seq,
    projection: versions[projection ?? ''] !== undefined,
  };
  if (!isNamed[kind]) throw new SnapshotDamage('it is of something else than its name says');
  roots.push({ size: seq, root: hexToBytes(root), place, code: 'SNAPSHOT_FOREIGN' });
  if (kind === 'changes' && from !== undefined && JSON.stringify(versions) === JSON.stringify(changesVersions))
    changes.push(changesClaim(payload, { from, to: seq }, place));
  if (kind !== 'views' || JSON.stringify(versions) !== JSON.stringify(viewVersions)) return;
  // Keep only the digests: the views of twenty snapshots are twenty times the store's.
  const digests = await viewDigestsOf(decodeViews(payload))();
  views.push({ seq, place, code: 'SNAPSHOT_WRONG', digests: async () => digests });
}
