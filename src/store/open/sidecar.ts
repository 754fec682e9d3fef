import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { StoreError } from '../../errors.js';
import { MAX_SIDECAR_BYTES } from '../../limits.js';
import { NotAFile, readRegularFile, writeDurableFile } from '../files/files.js';

/** Name of the sidecar in a store's directory. */
export const SIDECAR_FILE = 'imagelog.json';
/** Folder of tiles and bundles of entries, which a backup has and a store has not. */
export const TILE_FOLDER = 'tile';
/**
 * Version of a store's layout that this code writes: a row may have several events. A store of version
 * 1, with one event a row, becomes one of version 3 when it is opened for writing.
 */
export const FORMAT_VERSION = 3;
/**
 * Version of a backup's layout that this code writes; of version 1, which has no packs, it reads and
 * continues backups. A store whose lost sidecar came from a backup has it until it is opened for
 * writing.
 */
const BACKUP_FORMAT_VERSION = 2;
/**
 * The last version that this code reads: of stores and backups whose events may have a route, and
 * with it records of format 2. Others keep the version above, so that earlier versions read them.
 * The next version of either is 5.
 */
export const NEWEST_VERSION = 4;

/** Returns the version of a store that this code writes to, from that of its sidecar. */
export function writtenVersion(found: number): number {
  // Of a log whose sidecar came from a backup, nobody knows whether its events have routes.
  if (found === BACKUP_FORMAT_VERSION) return NEWEST_VERSION;
  return Math.max(found, FORMAT_VERSION);
}

/** Returns the version of a store that is restored from a backup. */
export function restoredVersion(ofBackup: number): number {
  return ofBackup === NEWEST_VERSION ? NEWEST_VERSION : FORMAT_VERSION;
}

/** Returns the version of a backup of a store. */
export function backupVersion(ofStore: number): number {
  return ofStore === NEWEST_VERSION ? NEWEST_VERSION : BACKUP_FORMAT_VERSION;
}

/**
 * Identity of a store, kept outside the database: distinguishes a new store from a damaged one
 * whose database is empty or lacks CURRENT. Written once, and again when its version rises.
 */
export interface Sidecar {
  readonly format: 'imagelog';
  readonly version: number;
  readonly storeId: string;
  /** The log's name in checkpoints. */
  readonly origin: string;
  /** RFC 3339. */
  readonly created: string;
}

/** Returns the sidecar of a new store. */
export function newSidecar(origin: string | undefined, now: number): Sidecar {
  const storeId = randomUUID();
  const created = new Date(now).toISOString();
  return { format: 'imagelog', version: FORMAT_VERSION, storeId, origin: origin ?? `imagelog/${storeId}`, created };
}

/** Returns the text of a sidecar's file. */
export function formatSidecar({ format, version, storeId, origin, created }: Sidecar): string {
  return `${JSON.stringify({ format, version, storeId, origin, created }, null, 2)}\n`;
}

/** Writes a store's sidecar, durably. */
export function writeSidecar(directory: string, sidecar: Sidecar): Promise<void> {
  return writeDurableFile(join(directory, SIDECAR_FILE), new TextEncoder().encode(formatSidecar(sidecar)));
}

/**
 * Writes the sidecar of a store whose version rises, before the first row that an earlier version
 * cannot read: that version then says why it does not open.
 */
export async function upgradeSidecar(
  directory: string,
  sidecar: Sidecar,
  onNotice: (notice: string) => void,
): Promise<void> {
  await writeSidecar(directory, sidecar);
  onNotice(`the store ${directory} has format ${sidecar.version} from now on: earlier versions no longer open it`);
}

/** Reads a store's sidecar; undefined when missing. @throws as `readSidecarBytes`, `parseSidecar` */
export async function readSidecar(directory: string): Promise<Sidecar | undefined> {
  const bytes = await readSidecarBytes(directory);
  return bytes === undefined ? undefined : parseSidecar(directory, bytes);
}

/**
 * Reads the bytes of a sidecar; undefined when missing.
 * @throws {StoreError} SIDECAR_INVALID when it is not a file or has more than MAX_SIDECAR_BYTES
 */
export async function readSidecarBytes(directory: string): Promise<Uint8Array | undefined> {
  const path = join(directory, SIDECAR_FILE);
  const limit = MAX_SIDECAR_BYTES;
  const bytes = await readRegularFile(path, { limitBytes: limit }).catch((cause: unknown) => {
    if (!(cause instanceof NotAFile)) throw cause;
    throw new StoreError('SIDECAR_INVALID', `${path} is not a file`, { cause, data: { path } });
  });
  if (bytes === undefined || bytes.length <= limit) return bytes;
  const message = `${path} has more than ${limit} bytes, expected those of a sidecar`;
  throw new StoreError('SIDECAR_INVALID', message, { data: { path, limit } });
}

/**
 * Parses a sidecar.
 * @throws {StoreError} SIDECAR_INVALID, STORE_FORMAT_UNSUPPORTED when a newer version wrote it
 */
export function parseSidecar(directory: string, bytes: Uint8Array): Sidecar {
  const path = join(directory, SIDECAR_FILE);
  const text = new TextDecoder().decode(bytes);
  const invalid = (why: string, cause?: unknown): StoreError =>
    new StoreError('SIDECAR_INVALID', `${path} ${why}`, { cause, data: { path } });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw invalid('is not JSON', cause);
  }
  const { format, version, storeId, origin, created } = Object(value) as Record<string, unknown>;
  if (format !== 'imagelog' || typeof version !== 'number') throw invalid('does not describe an imagelog store');
  if (version > NEWEST_VERSION) {
    const message = `the store has format ${version}; this version of imagelog reads up to ${NEWEST_VERSION}`;
    throw new StoreError('STORE_FORMAT_UNSUPPORTED', message, { data: { path, version, supported: NEWEST_VERSION } });
  }
  if (typeof storeId !== 'string' || typeof origin !== 'string' || Number.isNaN(Date.parse(String(created)))) {
    throw invalid('lacks storeId, origin or created');
  }
  // It is a line of every checkpoint.
  if (origin === '' || /\p{Cc}/u.test(origin)) throw invalid('has an origin that is not a line of text');
  return { format, version, storeId, origin, created: String(created) };
}
