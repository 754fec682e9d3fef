import { createHash } from 'node:crypto';
import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { sha256 } from '#sha256';
import { SnapshotDamage } from '../../../projections/snapshot-format.js';
import { MAX_SNAPSHOT_HEADER_BYTES, MAX_SNAPSHOTS } from '../../limits.js';
import { bytesToHex, HASH_BYTES } from '../../model/digest.js';
import { changesVersions, viewVersions } from '../../../projections/views-codec.js';
import { type ChangesStep, openSteps, type Stretch } from './changes-file.js';
import { StoreError } from '../../errors.js';
import type { Log } from '../../log/log.js';
import { treeRoot } from '../../log/merkle.js';
import {
  inSystem,
  ioFailure,
  isOwnDirectory,
  makeDurableDirectory,
  NotAFile,
  readRegularFile,
  removeTemporaryFiles,
  syncDirectory,
  systemCode,
  writeDurableFile,
} from '../files/files.js';
import { equalBytes } from '../../model/bytes.js';

/*
 * Snapshot file: a magic line, a line of JSON (the header), the encoded views, and the SHA-256 of
 * all that. Specified byte by byte in the README.md of this folder.
 */

/** Describes a snapshot and ties it to its log by a root. */
export interface SnapshotHeader {
  readonly store: string;
  /**
   * `views`: all of the store's own; `changes`: what events do to them; `projection`: one
   * projection of a caller's.
   */
  readonly kind: 'views' | 'changes' | 'projection';
  /** Of changes: the event before the first of them. */
  readonly from?: number;
  /** The version of each projection in it, by name. */
  readonly versions: Readonly<Record<string, number>>;
  /** The last event folded in. */
  readonly seq: number;
  /** Root of the log's tree up to that event, in hex. */
  readonly root: string;
}

interface Snapshot {
  readonly header: SnapshotHeader;
  /** The encoded views; a view into the parsed bytes. */
  readonly payload: Uint8Array;
}

/** The first line; its last word is the format version. */
const MAGIC = 'imagelog snapshot 2\n';
const LINE_END = 0x0a;

const utf8 = new TextEncoder();
const latin1 = new TextDecoder('latin1');

/** Yields the bytes of a snapshot file, in pieces. */
export function* formatSnapshot(header: SnapshotHeader, payload: Iterable<Uint8Array>): Generator<Uint8Array> {
  const hash = createHash('sha256');
  const start = utf8.encode(MAGIC + formatHeader(header));
  hash.update(start);
  yield start;
  for (const piece of payload) {
    hash.update(piece);
    yield piece;
  }
  yield hash.digest();
}

/**
 * Parses a snapshot file after verifying its checksum.
 * @throws {SnapshotDamage} when it is damaged or of another version
 */
export function parseSnapshot(bytes: Uint8Array): Snapshot {
  const end = bytes.length - HASH_BYTES;
  if (end < MAGIC.length || latin1.decode(bytes.subarray(0, MAGIC.length)) !== MAGIC) {
    throw new SnapshotDamage('it is not a snapshot, or of another version of the format');
  }
  if (!equalBytes(sha256(bytes.subarray(0, end)), bytes.subarray(end))) {
    throw new SnapshotDamage('its bytes are not those that were written: the checksum differs');
  }
  const headerEnd = bytes.indexOf(LINE_END, MAGIC.length) + 1;
  if (headerEnd === 0 || headerEnd > end || headerEnd - MAGIC.length > MAX_SNAPSHOT_HEADER_BYTES) {
    throw new SnapshotDamage('its header has no end');
  }
  const header = parseHeader(new TextDecoder().decode(bytes.subarray(MAGIC.length, headerEnd)));
  return { header, payload: bytes.subarray(headerEnd, end) };
}

function formatHeader({ store, kind, from, versions, seq, root }: SnapshotHeader): string {
  // JSON has no undefined fields: only changes have `from`.
  return `${JSON.stringify({ store, kind, from, versions, seq, root })}\n`;
}

// Canonical: exactly these fields in this order, serialized to the same line.
function parseHeader(line: string): SnapshotHeader {
  try {
    const header = JSON.parse(line) as SnapshotHeader;
    if (isHeader(header) && formatHeader(header) === line) return header;
  } catch {
    // Not JSON: falls through, as for any invalid header.
  }
  throw new SnapshotDamage('its header is malformed');
}

function isHeader(value: unknown): value is SnapshotHeader {
  const { store, kind, from, versions, seq, root } = Object(value) as Record<string, unknown>;
  return (
    typeof store === 'string' &&
    (kind === 'changes' ? Number.isSafeInteger(from) : from === undefined) &&
    (kind === 'views' || kind === 'changes' || kind === 'projection') &&
    typeof versions === 'object' &&
    versions !== null &&
    Object.values(versions).every((version) => Number.isSafeInteger(version)) &&
    Number.isSafeInteger(seq) &&
    (seq as number) >= 1 &&
    typeof root === 'string' &&
    /^[0-9a-f]{64}$/.test(root)
  );
}

/**
 * Returns which of the ascending `seqs` to remove so that `most` remain, spread over the log:
 * removes the one that leaves the smallest gap, never the last.
 */
export function thinned(seqs: readonly number[], most: number): number[] {
  const kept = [...seqs];
  const gone: number[] = [];
  while (kept.length > Math.max(1, most)) {
    const [seq] = kept.splice(smallestGap(kept), 1);
    if (seq !== undefined) gone.push(seq);
  }
  return gone;
}

/** Returns the index of the seq with the closest neighbours; the first one's lower is 0. */
function smallestGap(seqs: readonly number[]): number {
  const gaps = seqs.slice(0, -1).map((_, index) => (seqs[index + 1] ?? 0) - (seqs[index - 1] ?? 0));
  return gaps.indexOf(gaps.reduce((least, gap) => Math.min(least, gap), Number.POSITIVE_INFINITY));
}

/** Folder in a store's directory. Safe to delete: the next open replays more events. */
export const SNAPSHOT_FOLDER = 'snapshots';
/** Digits of the seq in a file's name. */
const SEQ_DIGITS = 16;
const VIEWS_FILE = /^(\d{16})\.views$/;
const CHANGES_FILE = /^(\d{16})-(\d{16})\.changes$/;
const PROJECTION_FILE = /\.projection$/;
const OWN_FILES: readonly RegExp[] = [VIEWS_FILE, CHANGES_FILE, PROJECTION_FILE];

interface SnapshotFolderOptions {
  /** The store's directory. */
  readonly directory: string;
  readonly storeId: string;
  readonly log: Log;
  /** Whether another process may write snapshots of later events. */
  readonly readOnly?: boolean;
  /** Receives each skipped snapshot, with the reason. */
  readonly onNotice: (notice: string) => void;
}

/** The view of a caller's projection, as encoded by it. */
export interface ProjectionState {
  readonly version: number;
  /** The last event folded in; in this log. */
  readonly seq: number;
  /** Owned by the caller. */
  readonly bytes: Uint8Array;
}

/** Saved views, which shorten replay. Each is checked, and tied to the log by a tree root. */
export class SnapshotFolder {
  readonly #options: SnapshotFolderOptions;
  readonly #path: string;
  /** Skipped files of the store's own; removed when the next snapshot is written. */
  readonly #bad = new Set<string>();
  #newest = 0;

  constructor(options: SnapshotFolderOptions) {
    this.#options = options;
    this.#path = join(options.directory, SNAPSHOT_FOLDER);
  }

  /** Seq of the newest snapshot of the store's views read or written; 0 without one. */
  get newest(): number {
    return this.#newest;
  }

  /**
   * Returns the newest good snapshot of the store's views at or before `seq`, if any, decoded with
   * the count of events from it to `seq`. Each skipped one, also because `decode` throws
   * SnapshotDamage, becomes a notice once.
   */
  async nearest<Decoded>(
    seq: number,
    decode: (bytes: Uint8Array, more: number) => Decoded,
  ): Promise<{ readonly seq: number; readonly views: Decoded } | undefined> {
    const listed = await this.#listed();
    // After listing: a snapshot written meanwhile may be of a newer event.
    const head = this.#options.log.head.seq;
    for (const found of listed.reverse()) {
      const name = viewsName(found);
      if (found > head && this.#options.readOnly !== true)
        this.#passOver(name, `it is of event ${found}, and the log ends at ${head}`);
      if (found > seq || this.#bad.has(name)) continue;
      const snapshot = await this.#readGood(name, 'views', ({ header, payload }) => {
        if (header.seq !== found) throw new SnapshotDamage(`it is of event ${header.seq}`);
        return { seq: found, views: decode(payload, seq - found) };
      });
      if (snapshot === undefined) continue;
      this.#newest = Math.max(this.#newest, found);
      return snapshot;
    }
    return undefined;
  }

  /**
   * Saves the views after event `seq`, and removes surplus and bad snapshots. Returns the file's
   * bytes; durable on return.
   * @throws {StoreError} INTERNAL without an event `seq`
   */
  async writeViews(seq: number, pieces: Iterable<Uint8Array>): Promise<number> {
    const name = viewsName(seq);
    const bytes = await this.#write(name, await this.#headerOf('views', viewVersions, seq), pieces);
    this.#bad.delete(name);
    this.#newest = Math.max(this.#newest, seq);
    await this.#thin();
    return bytes;
  }

  /** Returns the stretches of files of changes, by their start, without those known to be bad. */
  async stretches(): Promise<Stretch[]> {
    const names = await this.#names();
    // After listing, as in `nearest`.
    const head = this.#options.log.head.seq;
    return names.flatMap((name) => {
      const [from = 0, to = 0] = (CHANGES_FILE.exec(name) ?? []).slice(1).map(Number);
      if (to > head && this.#options.readOnly !== true)
        this.#passOver(name, `it is of event ${to}, and the log ends at ${head}`);
      return from < to && to <= head && !this.#bad.has(name) ? [{ from, to }] : [];
    });
  }

  /** Returns the steps of a file of changes; none if it is bad, which becomes a notice once. */
  async readChanges(stretch: Stretch): Promise<ChangesStep[]> {
    const steps = await this.#readGood(changesName(stretch), 'changes', ({ header: { from, seq }, payload }) => {
      if (from !== stretch.from || seq !== stretch.to)
        throw new SnapshotDamage(`it is of events after ${from} to ${seq}`);
      return openSteps(payload, stretch);
    });
    return steps ?? [];
  }

  /** Skips a file of changes from now on, with a notice. */
  passOverChanges(stretch: Stretch, why: string): void {
    this.#passOver(changesName(stretch), why);
  }

  /**
   * Saves the changes of a stretch; durable on return.
   * @throws {StoreError} INTERNAL without event `to`
   */
  async writeChanges({ from, to }: Stretch, pieces: Iterable<Uint8Array>): Promise<void> {
    const name = changesName({ from, to });
    await this.#write(name, { ...(await this.#headerOf('changes', changesVersions, to)), from }, pieces);
    this.#bad.delete(name);
    await this.#thin();
  }

  /**
   * Saves the view of a caller's projection after event `seq`, replacing the last; durable on
   * return.
   * @throws {StoreError} INTERNAL without an event `seq`
   */
  async writeProjectionState(name: string, version: number, seq: number, bytes: Uint8Array): Promise<void> {
    const header = await this.#headerOf('projection', { [name]: version }, seq);
    await this.#write(projectionName(name), header, [bytes]);
  }

  /** Returns the saved view of a caller's projection; undefined without a good one of this log. */
  async readProjectionState(name: string): Promise<ProjectionState | undefined> {
    return this.#readGood(projectionName(name), 'projection', ({ header: { versions, seq }, payload }) => {
      const version = Object.keys(versions).length === 1 ? versions[name] : undefined;
      if (version === undefined) throw new SnapshotDamage('it is of another projection');
      return { version, seq, bytes: new Uint8Array(payload) };
    });
  }

  /** Removes all snapshots, of the store's views and of projections, durably. */
  async removeAll(): Promise<void> {
    await inSystem(`remove the snapshots in ${this.#path}`, async () => {
      if (!(await isOwnDirectory(this.#path))) return;
      const names = (await readdir(this.#path)).filter((name) => OWN_FILES.some((own) => own.test(name)));
      for (const name of names) await rm(join(this.#path, name), { recursive: true, force: true });
      await syncDirectory(this.#path);
    });
    this.#bad.clear();
    this.#newest = 0;
  }

  /** Removes partly written snapshots left by a crash. Failures become notices. */
  async tidy(): Promise<void> {
    try {
      if (await isOwnDirectory(this.#path)) await removeTemporaryFiles(this.#path);
    } catch (error) {
      this.#options.onNotice(ioFailure(`tidy ${this.#path}`, error).message);
    }
  }

  /** Returns the seqs of the store's view snapshots, ascending; good or bad. */
  async #listed(): Promise<number[]> {
    const names = await this.#names();
    return names.flatMap((name) => VIEWS_FILE.exec(name)?.slice(1).map(Number) ?? []).filter(Number.isSafeInteger);
  }

  async #names(): Promise<string[]> {
    try {
      return (await readdir(this.#path)).sort();
    } catch (error) {
      if (systemCode(error) !== 'ENOENT') this.#options.onNotice(ioFailure(`read ${this.#path}`, error).message);
      return [];
    }
  }

  /** Returns `use` of a good snapshot of this log; else undefined, with a notice if it is bad. */
  async #readGood<Use>(
    name: string,
    kind: SnapshotHeader['kind'],
    use: (snapshot: Snapshot) => Use,
  ): Promise<Use | undefined> {
    try {
      const bytes = await readRegularFile(join(this.#path, name));
      if (bytes === undefined) return undefined;
      const snapshot = parseSnapshot(bytes);
      const isPast = await this.#checkHeader(snapshot.header, kind);
      return isPast ? use(snapshot) : undefined;
    } catch (error) {
      if (error instanceof SnapshotDamage) this.#passOver(name, error.message);
      else if (error instanceof NotAFile) this.#passOver(name, 'it is not a file');
      else this.#options.onNotice(ioFailure(`read the snapshot ${name}`, error).message);
      return undefined;
    }
  }

  /** Resolves with false for a projection's state written since this log was opened for reading. */
  async #checkHeader({ store, kind, versions, seq, root }: SnapshotHeader, expectedKind: string): Promise<boolean> {
    if (store !== this.#options.storeId) throw new SnapshotDamage('it is of another store');
    if (kind !== expectedKind) throw new SnapshotDamage(`it holds ${kind}, expected ${expectedKind}`);
    const own = kind === 'views' ? viewVersions : kind === 'changes' ? changesVersions : versions;
    if (JSON.stringify(versions) !== JSON.stringify(own)) {
      throw new SnapshotDamage('its views are of other versions of the projections');
    }
    const found = await this.#rootAt(seq);
    if (found === undefined) {
      // The names of views have their seq, and later ones were skipped by it.
      if (this.#options.readOnly && kind === 'projection') return false;
      throw new SnapshotDamage(`it is of event ${seq}, and the log ends at ${this.#options.log.head.seq}`);
    }
    if (found !== root) throw new SnapshotDamage(`the log up to event ${seq} is not the one it was made from`);
    return true;
  }

  async #headerOf(
    kind: SnapshotHeader['kind'],
    versions: SnapshotHeader['versions'],
    seq: number,
  ): Promise<SnapshotHeader> {
    const root = await this.#rootAt(seq);
    if (root === undefined) throw new StoreError('INTERNAL', `cannot write a snapshot: there is no event ${seq}`);
    return { store: this.#options.storeId, kind, versions, seq, root };
  }

  /** Returns the root of the log's tree at `seq`, in hex; undefined if the log is shorter. */
  async #rootAt(seq: number): Promise<string | undefined> {
    const { head } = this.#options.log;
    if (seq > head.seq) return undefined;
    return bytesToHex(seq === head.seq ? head.root : await treeRoot(this.#options.log, seq));
  }

  async #write(name: string, header: SnapshotHeader, pieces: Iterable<Uint8Array>): Promise<number> {
    const path = join(this.#path, name);
    await makeDurableDirectory(this.#options.directory, SNAPSHOT_FOLDER);
    await writeDurableFile(path, formatSnapshot(header, pieces));
    return (await stat(path)).size;
  }

  /** Removes bad and surplus snapshots. A failure only wastes space, so it becomes a notice. */
  async #thin(): Promise<void> {
    const good = (await this.#listed()).filter((seq) => !this.#bad.has(viewsName(seq)));
    const useless = [...this.#bad, ...thinned(good, MAX_SNAPSHOTS).map(viewsName)];
    for (const name of useless) {
      try {
        await rm(join(this.#path, name), { force: true });
        this.#bad.delete(name);
      } catch (error) {
        this.#options.onNotice(ioFailure(`remove the snapshot ${name}`, error).message);
      }
    }
  }

  #passOver(name: string, why: string): void {
    if (this.#bad.has(name)) return;
    if (!PROJECTION_FILE.test(name)) this.#bad.add(name);
    this.#options.onNotice(`the snapshot ${name} is skipped: ${why}`);
  }
}

function viewsName(seq: number): string {
  return `${String(seq).padStart(SEQ_DIGITS, '0')}.views`;
}

function changesName({ from, to }: Stretch): string {
  const [first, last] = [from, to].map((seq) => String(seq).padStart(SEQ_DIGITS, '0'));
  return `${first}-${last}.changes`;
}

function projectionName(name: string): string {
  return `${name}.projection`;
}
