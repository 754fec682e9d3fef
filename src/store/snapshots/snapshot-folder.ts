import { readdir, rm, stat } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { SnapshotDamage } from '../../../projections/snapshot-damage.js';
import { viewVersions } from '../../../projections/views-codec.js';
import { StoreError } from '../../errors.js';
import { MAX_SNAPSHOTS } from '../../limits.js';
import type { Log } from '../../log/log.js';
import { treeRoot } from '../../log/merkle/proof.js';
import { bytesToHex } from '../../model/digest.js';
import {
  ioFailure,
  isOwnDirectory,
  makeDurableDirectory,
  removeTemporaryFiles,
  syncDirectory,
  systemCode,
  writeDurableFile,
} from '../files/durable-file.js';
import { nodeSha256 } from '../files/node-hash.js';
import { NotAFile, readRegularFile } from '../files/regular-file.js';
import { formatSnapshot, parseSnapshot, type Snapshot, type SnapshotHeader } from './snapshot-file.js';
import { thinned } from './thinning.js';

/** Name of the folder in a store's directory. All in it may be deleted: then more of the log is folded. */
export const SNAPSHOT_FOLDER = 'snapshots';
/** Digits of the seq in a file's name. */
const SEQ_DIGITS = 16;
const VIEWS_FILE = /^(\d{16})\.views$/;
const PROJECTION_FILE = /\.projection$/;

export interface SnapshotFolderOptions {
  /** The store's directory. */
  readonly directory: string;
  readonly storeId: string;
  readonly log: Log;
  /** Told of each snapshot that was passed over, and why. */
  readonly onNotice: (notice: string) => void;
}

/** The store's views as they were after an event, as `Decoded` has them; the caller's own. */
export interface ViewsSnapshot<Decoded> {
  readonly seq: number;
  readonly views: Decoded;
}

/** The view of a caller's projection, as it encoded it. */
export interface ProjectionState {
  readonly version: number;
  /** The last event that is folded in: one of this log. */
  readonly seq: number;
  /** The caller's own. */
  readonly bytes: Uint8Array;
}

/** Views that were written down, so that less has to be folded: each is checked, and tied to the log by a root of its tree. */
export class SnapshotFolder {
  readonly #path: string;
  readonly #storeId: string;
  readonly #log: Log;
  readonly #onNotice: (notice: string) => void;
  /** Names of snapshots of the store's views that are of no use: they were passed over, and go when another is written. */
  readonly #bad = new Set<string>();
  #newest = 0;

  constructor({ directory, storeId, log, onNotice }: SnapshotFolderOptions) {
    this.#path = join(directory, SNAPSHOT_FOLDER);
    this.#storeId = storeId;
    this.#log = log;
    this.#onNotice = onNotice;
  }

  /** Seq of the newest snapshot of the store's views that was read or written; 0 when there was none. */
  get newest(): number {
    return this.#newest;
  }

  /**
   * Returns the newest good snapshot of the store's views at or before `seq`, if there is one, with its views as `decode`
   * makes them of the bytes. Each that is passed over, also because `decode` throws SnapshotDamage, is said once.
   */
  async nearest<Decoded>(
    seq: number,
    decode: (bytes: Uint8Array) => Decoded,
  ): Promise<ViewsSnapshot<Decoded> | undefined> {
    const listed = await this.#listed();
    // Not before they are listed: one that was written meanwhile is of an event that came meanwhile.
    const head = this.#log.head.seq;
    for (const found of listed.reverse()) {
      const name = viewsName(found);
      if (found > head) this.#passOver(name, `it is of event ${found}, and the log ends at ${head}`);
      if (found > seq || this.#bad.has(name)) continue;
      const snapshot = await this.#readGood(name, 'views', ({ header, payload }) => {
        if (header.seq !== found) throw new SnapshotDamage(`it is of event ${header.seq}`);
        return { seq: found, views: decode(payload) };
      });
      if (snapshot === undefined) continue;
      this.#newest = Math.max(this.#newest, found);
      return snapshot;
    }
    return undefined;
  }

  /**
   * Keeps views as they are after event `seq`, and removes snapshots that are too many or of no use; returns the size of the
   * file in bytes. Durable on return.
   * @throws {StoreError} DISK_FULL, STORE_NOT_WRITABLE, IO_FAILED; INTERNAL when there is no event `seq`
   */
  async writeViews(seq: number, pieces: Iterable<Uint8Array>): Promise<number> {
    const name = viewsName(seq);
    const bytes = await this.#write(name, await this.#headerOf('views', viewVersions, seq), pieces);
    this.#bad.delete(name);
    this.#newest = Math.max(this.#newest, seq);
    await this.#thin();
    return bytes;
  }

  /**
   * Keeps the view of a caller's projection after event `seq`, in place of the one before; durable on return.
   * @throws {StoreError} DISK_FULL, STORE_NOT_WRITABLE, IO_FAILED; INTERNAL when there is no event `seq`
   */
  async writeProjectionState(name: string, version: number, seq: number, bytes: Uint8Array): Promise<void> {
    const header = await this.#headerOf('projection', { [name]: version }, seq);
    await this.#write(projectionName(name), header, [bytes]);
  }

  /** Returns the view that was kept of a caller's projection; undefined when there is none, or not a good one of this log. */
  async readProjectionState(name: string): Promise<ProjectionState | undefined> {
    return this.#readGood(projectionName(name), 'projection', ({ header: { versions, seq }, payload }) => {
      const version = Object.keys(versions).length === 1 ? versions[name] : undefined;
      if (version === undefined) throw new SnapshotDamage('it is of another projection');
      return { version, seq, bytes: new Uint8Array(payload) };
    });
  }

  /**
   * Removes every snapshot, of the store's views and of projections, durably.
   * @throws {StoreError} STORE_NOT_WRITABLE, IO_FAILED
   */
  async removeAll(): Promise<void> {
    try {
      if (!(await isOwnDirectory(this.#path))) return;
      const names = (await readdir(this.#path)).filter((name) => VIEWS_FILE.test(name) || PROJECTION_FILE.test(name));
      for (const name of names) await rm(join(this.#path, name), { recursive: true, force: true });
      await syncDirectory(this.#path);
    } catch (error) {
      throw ioFailure(`remove the snapshots in ${this.#path}`, error);
    }
    this.#bad.clear();
    this.#newest = 0;
  }

  /** Removes what a crash left of a snapshot that was being written. A failure is said. */
  async tidy(): Promise<void> {
    try {
      if (await isOwnDirectory(this.#path)) await removeTemporaryFiles(this.#path);
    } catch (error) {
      this.#onNotice(ioFailure(`tidy ${this.#path}`, error).message);
    }
  }

  /** Seqs of the snapshots of the store's views, ascending; good or not. */
  async #listed(): Promise<number[]> {
    try {
      const names = (await readdir(this.#path)).sort();
      return names.flatMap((name) => VIEWS_FILE.exec(name)?.slice(1).map(Number) ?? []).filter(Number.isSafeInteger);
    } catch (error) {
      if (systemCode(error) !== 'ENOENT') this.#onNotice(ioFailure(`read ${this.#path}`, error).message);
      return [];
    }
  }

  /** Returns what `use` makes of a file's snapshot, if it is a good one of this log; says why when it is not. */
  async #readGood<Use>(
    name: string,
    kind: SnapshotHeader['kind'],
    use: (snapshot: Snapshot) => Use,
  ): Promise<Use | undefined> {
    try {
      const bytes = await readRegularFile(join(this.#path, name));
      if (bytes === undefined) return undefined;
      const snapshot = parseSnapshot(bytes);
      await this.#checkHeader(snapshot.header, kind);
      return use(snapshot);
    } catch (error) {
      if (error instanceof SnapshotDamage) this.#passOver(name, error.message);
      else if (error instanceof NotAFile) this.#passOver(name, 'it is no file');
      else this.#onNotice(ioFailure(`read the snapshot ${name}`, error).message);
      return undefined;
    }
  }

  async #checkHeader({ store, kind, versions, seq, root }: SnapshotHeader, expectedKind: string): Promise<void> {
    if (store !== this.#storeId) throw new SnapshotDamage('it is of another store');
    if (kind !== expectedKind) throw new SnapshotDamage(`it holds ${kind}, expected ${expectedKind}`);
    if (kind === 'views' && JSON.stringify(versions) !== JSON.stringify(viewVersions)) {
      throw new SnapshotDamage('its views are of other versions of the projections');
    }
    const found = await this.#rootAt(seq);
    if (found === undefined) {
      throw new SnapshotDamage(`it is of event ${seq}, and the log ends at ${this.#log.head.seq}`);
    }
    if (found !== root) throw new SnapshotDamage(`the log up to event ${seq} is not the one it was made from`);
  }

  async #headerOf(
    kind: SnapshotHeader['kind'],
    versions: SnapshotHeader['versions'],
    seq: number,
  ): Promise<SnapshotHeader> {
    const root = await this.#rootAt(seq);
    if (root === undefined) throw new StoreError('INTERNAL', `cannot write a snapshot: there is no event ${seq}`);
    return { store: this.#storeId, kind, versions, seq, root };
  }

  /** The root of the log's tree up to event `seq`, in hex; undefined when the log is shorter. */
  async #rootAt(seq: number): Promise<string | undefined> {
    const { head } = this.#log;
    if (seq > head.seq) return undefined;
    return bytesToHex(seq === head.seq ? head.root : await treeRoot(this.#log, seq, nodeSha256));
  }

  async #write(name: string, header: SnapshotHeader, pieces: Iterable<Uint8Array>): Promise<number> {
    const path = join(this.#path, name);
    await makeDurableDirectory(dirname(this.#path), SNAPSHOT_FOLDER);
    await writeDurableFile(path, formatSnapshot(header, pieces));
    return (await stat(path)).size;
  }

  /** Removes snapshots that were passed over, and those that are too many. One that stays is only some bytes: it is said. */
  async #thin(): Promise<void> {
    const good = (await this.#listed()).filter((seq) => !this.#bad.has(viewsName(seq)));
    const useless = [...this.#bad, ...thinned(good, MAX_SNAPSHOTS).map(viewsName)];
    for (const name of useless) {
      try {
        await rm(join(this.#path, name), { force: true });
        this.#bad.delete(name);
      } catch (error) {
        this.#onNotice(ioFailure(`remove the snapshot ${name}`, error).message);
      }
    }
  }

  #passOver(name: string, why: string): void {
    if (this.#bad.has(name)) return;
    if (VIEWS_FILE.test(name)) this.#bad.add(name);
    this.#onNotice(`the snapshot ${name} is passed over: ${why}`);
  }
}

function viewsName(seq: number): string {
  return `${String(seq).padStart(SEQ_DIGITS, '0')}.views`;
}

function projectionName(name: string): string {
  return `${name}.projection`;
}
