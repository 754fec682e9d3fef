import { createHash } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import { sha256 } from '#sha256';
import { changesVersions, decodeViews, encodeViews, viewVersions } from '../../../projections/views-codec.js';
import { SnapshotDamage, SnapshotWriter, type ViewEncoder } from '../../../projections/snapshot-format.js';
import { storeProjections, type ViewName, viewNames, type Views } from '../../../projections/views.js';
import type { LogEntry } from '../../log/log.js';
import { equalBytes } from '../../model/bytes.js';
import { hexToBytes } from '../../model/digest.js';
import type { StoredEvent } from '../../model/events.js';
import { ChangesBuilder, openSteps, type Stretch } from '../snapshots/changes-file.js';
import { parseSnapshot } from '../snapshots/snapshot-folder.js';
import { contradictionOf } from './record-check.js';
import type { TreeClaim } from './tree-check.js';
import type { Reading, Report, StoredSnapshot, VerifySource, ViewDigests, ViolationCode } from './verify-source.js';

type OwnViews = { -readonly [Name in ViewName]: Views[Name] };

function emptyViews(): OwnViews {
  return Object.fromEntries(viewNames.map((name) => [name, storeProjections[name].initial()])) as OwnViews;
}

/** Folds one event into one view, without the pipeline of an open store, which takes pages. */
function evolve<Name extends ViewName>(views: OwnViews, name: Name, event: StoredEvent): void {
  views[name] = storeProjections[name].evolve(views[name], event);
}

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
  /** Hash of the encoded views: where it is that of the folded ones, nothing is decoded. */
  readonly encoded?: Uint8Array | undefined;
  /** Rejects with SnapshotDamage for a snapshot that cannot be decoded; undefined when it was removed. */
  readonly digests: () => Promise<ViewDigests | undefined>;
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
  /** The views of all valid events. */
  readonly views = emptyViews();
  #lostAt: number | undefined;

  constructor(claims: readonly ViewClaim[], changes: ChangesCheck, report: Report) {
    this.#claims = claims;
    this.#changes = changes;
    this.#claimed = new Set(claims.map(({ seq }) => seq));
    this.#report = report;
  }

  /** The first invalid event, if any: the views lack at least that. */
  get lostAt(): number | undefined {
    return this.#lostAt;
  }

  /** `place` is that of its record; by default `event 12`. */
  add(entry: LogEntry, place?: string): void {
    const { event } = entry;
    const { seq } = event;
    if (this.#lostAt === undefined) this.#changes.add(entry);
    const fault = this.#lostAt === undefined ? contradictionOf(this.views, event) : undefined;
    if (fault !== undefined) {
      this.#report({
        code: 'EVENT_CONTRADICTS',
        place: place ?? `event ${seq}`,
        message: `event ${seq} ${fault}`,
        seq,
      });
    }
    for (const name of viewNames) evolve(this.views, name, event);
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
    const claims = this.#claims.filter((claim) => claim.seq === seq);
    const encoded = claims.some((claim) => claim.encoded !== undefined) ? await hashOfViews(this.views) : undefined;
    const unsettled = claims.filter((claim) => !isSame(claim.encoded, encoded));
    if (unsettled.length === 0) return;
    const fresh = await viewDigestsOf(this.views)();
    for (const claim of unsettled) {
      const { place, code } = claim;
      const digests = await digestsOf(claim, this.#report);
      const names = digests === undefined ? [] : differingViews(digests, fresh);
      if (names.length === 0) continue;
      const message = `${place}: what it says of ${names.join(', ')} is not what the events up to ${seq} give`;
      this.#report({ code, place, message, seq });
    }
  }

  /** Reports what could not be checked. */
  async finish(): Promise<void> {
    if (this.#lostAt === undefined) return;
    const unchecked = this.#claims.filter(({ seq }) => seq >= (this.#lostAt ?? 0));
    for (const claim of unchecked) await digestsOf(claim, this.#report);
    const claims = [...unchecked.map(({ place }) => place), ...this.#changes.end()];
    const beside = claims.length === 0 ? '' : `, nor ${claims.join(', ')}`;
    const message =
      `event ${this.#lostAt} cannot be believed: whether later events follow from it, and whether content or blobs are ` +
      `superfluous, was not checked${beside}`;
    this.#report({ code: 'NOT_CHECKED', place: 'views', message, seq: this.#lostAt });
  }
}

async function hashOfViews(views: Views): Promise<Uint8Array> {
  const hash = createHash('sha256');
  for (const piece of encodeViews(views)) {
    hash.update(piece);
    await setImmediate();
  }
  return hash.digest();
}

function isSame(one: Uint8Array | undefined, other: Uint8Array | undefined): boolean {
  return one !== undefined && other !== undefined && equalBytes(one, other);
}

/** Resolves with the digests of claimed views; reports a snapshot that cannot be decoded. */
export async function digestsOf({ place, digests }: ViewClaim, report: Report): Promise<ViewDigests | undefined> {
  try {
    return await digests();
  } catch (error) {
    if (!(error instanceof SnapshotDamage)) throw error;
    report({ code: 'SNAPSHOT_DAMAGED', place, message: `${place}: ${error.message}` });
    return undefined;
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
 * time. Faults of a snapshot are reported, but those of its views only when these are decoded. One
 * of other projection versions is skipped, as at an open.
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
  // Keep only the hash: the views of twenty snapshots are twenty times the store's.
  const digests = async (): Promise<ViewDigests | undefined> => {
    const again = await read();
    return again === undefined ? undefined : viewDigestsOf(decodeViews(parseSnapshot(again).payload))();
  };
  views.push({ seq, place, code: 'SNAPSHOT_WRONG', encoded: sha256(payload), digests });
}

/** What a file of changes says that the events of a stretch do. */
interface ChangesClaim extends Stretch {
  readonly place: string;
  /** Events of each step. */
  readonly steps: readonly number[];
  /** Digest of the payload. */
  readonly digest: string;
}

/** Returns what a payload claims. @throws {SnapshotDamage} when it is malformed */
function changesClaim(payload: Uint8Array, stretch: Stretch, place: string): ChangesClaim {
  const steps = openSteps(payload, stretch).map(({ from, to }) => to - from);
  return { ...stretch, place, steps, digest: digestOf([payload]) };
}

/** Makes the changes again from the events, and compares them with those in files. */
export class ChangesCheck {
  readonly #report: Report;
  /** Files whose events have not begun, the first last. */
  readonly #waiting: ChangesClaim[];
  readonly #begun = new Map<ChangesClaim, ChangesBuilder>();
  #isOver = false;

  constructor(claims: readonly ChangesClaim[], report: Report) {
    this.#waiting = [...claims].sort((a, b) => b.from - a.from);
    this.#report = report;
  }

  /** Adds the next event. */
  add(entry: LogEntry): void {
    if (this.#isOver) return;
    const { seq } = entry.event;
    for (let next = this.#waiting.at(-1); next !== undefined && next.from < seq; next = this.#waiting.at(-1)) {
      this.#waiting.pop();
      const { steps } = next;
      this.#begun.set(next, new ChangesBuilder((step) => steps[step] ?? Number.POSITIVE_INFINITY));
    }
    for (const [claim, builder] of this.#begun) {
      builder.add(entry);
      if (claim.to === seq) this.#compare(claim, builder);
    }
  }

  /** Ends the check: an event is missing. Returns the places of the files that were not compared. */
  end(): string[] {
    this.#isOver = true;
    return [...this.#begun.keys(), ...this.#waiting].map(({ place }) => place).sort();
  }

  #compare(claim: ChangesClaim, builder: ChangesBuilder): void {
    this.#begun.delete(claim);
    if (digestOf(builder.finish()) === claim.digest) return;
    const { place, from, to } = claim;
    const message = `${place}: its changes are not those that the events after ${from} to ${to} make`;
    this.#report({ code: 'SNAPSHOT_WRONG', place, message, seq: to });
  }
}

function digestOf(pieces: readonly Uint8Array[]): string {
  const hash = createHash('sha256');
  for (const piece of pieces) hash.update(piece);
  return hash.digest('hex');
}
