import { readFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { SnapshotDamage } from '../../../projections/snapshot-damage.js';
import { StoreError } from '../../errors.js';
import type { Log } from '../../log/log.js';
import { bytesToHex } from '../../model/digest.js';
import { ioFailure, makeDurableDirectory, systemCode, writeDurableFile } from '../files/durable-file.js';
import { formatSnapshot, parseSnapshot, type Snapshot, type SnapshotHeader } from './snapshot-file.js';

/** Name of the folder in a store's directory. All in it may be deleted: then more of the log is folded. */
const SNAPSHOT_FOLDER = 'snapshots';

export interface SnapshotFolderOptions {
  /** The store's directory. */
  readonly directory: string;
  readonly storeId: string;
  readonly log: Log;
  /** Told of each snapshot that was passed over, and why. */
  readonly onNotice: (notice: string) => void;
}

/** The view of a caller's projection, as it encoded it. */
export interface ProjectionState {
  readonly version: number;
  /** The last event that is folded in: one of this log. */
  readonly seq: number;
  /** The caller's own. */
  readonly bytes: Uint8Array;
}

/** Views that were written down, so that less has to be folded: each is checked, and tied to the log by an event. */
export class SnapshotFolder {
  readonly #path: string;
  readonly #storeId: string;
  readonly #log: Log;
  readonly #onNotice: (notice: string) => void;

  constructor({ directory, storeId, log, onNotice }: SnapshotFolderOptions) {
    this.#path = join(directory, SNAPSHOT_FOLDER);
    this.#storeId = storeId;
    this.#log = log;
    this.#onNotice = onNotice;
  }

  /**
   * Keeps the view of a caller's projection after event `seq`, in place of the one before; durable on return.
   * @throws {StoreError} DISK_FULL, STORE_NOT_WRITABLE, IO_FAILED; INTERNAL when there is no event `seq`
   */
  async writeProjectionState(name: string, version: number, seq: number, bytes: Uint8Array): Promise<void> {
    const header = this.#headerOf('projection', { [name]: version }, seq);
    await makeDurableDirectory(this.#path);
    await writeDurableFile(this.#projectionPath(name), formatSnapshot(header, [bytes]));
  }

  /** Returns the view that was kept of a caller's projection; undefined when there is none, or not a good one of this log. */
  async readProjectionState(name: string): Promise<ProjectionState | undefined> {
    const path = this.#projectionPath(name);
    const snapshot = await this.#read(path, 'projection');
    if (snapshot === undefined) return undefined;
    const { versions, seq } = snapshot.header;
    const version = Object.keys(versions).length === 1 ? versions[name] : undefined;
    if (version !== undefined) return { version, seq, bytes: new Uint8Array(snapshot.payload) };
    this.#passOver(path, 'it is of another projection');
    return undefined;
  }

  /** Returns a file's snapshot, if it is a good one of this log; says why when it is not. */
  async #read(path: string, kind: SnapshotHeader['kind']): Promise<Snapshot | undefined> {
    try {
      const snapshot = parseSnapshot(await readFile(path));
      this.#checkTie(snapshot.header, kind);
      return snapshot;
    } catch (error) {
      if (systemCode(error) === 'ENOENT') return undefined;
      const { message } = error instanceof SnapshotDamage ? error : ioFailure('read it', error);
      this.#passOver(path, message);
      return undefined;
    }
  }

  #checkTie({ store, kind, seq, leafHash }: SnapshotHeader, expectedKind: string): void {
    if (store !== this.#storeId) throw new SnapshotDamage('it is of another store');
    if (kind !== expectedKind) throw new SnapshotDamage(`it holds ${kind}, expected ${expectedKind}`);
    const found = this.#log.leafHash(seq);
    if (found === undefined) {
      throw new SnapshotDamage(`it is of event ${seq}, and the log ends at ${this.#log.head.seq}`);
    }
    if (bytesToHex(found) !== leafHash)
      throw new SnapshotDamage(`event ${seq} of the log is not the one it was made from`);
  }

  #headerOf(kind: SnapshotHeader['kind'], versions: SnapshotHeader['versions'], seq: number): SnapshotHeader {
    const leafHash = this.#log.leafHash(seq);
    if (leafHash === undefined) throw new StoreError('INTERNAL', `cannot write a snapshot: there is no event ${seq}`);
    return { store: this.#storeId, kind, versions, seq, leafHash: bytesToHex(leafHash) };
  }

  #projectionPath(name: string): string {
    return join(this.#path, `${name}.projection`);
  }

  #passOver(path: string, why: string): void {
    this.#onNotice(`the snapshot ${basename(path)} is passed over: ${why}`);
  }
}
