import { loadCode } from '../errors.js';
import type { RestoreOptions, RestoreReport } from './backup/backup-layout.js';
import type { ImageStoreOptions } from './docker-backend.js';
import type { EventStore } from './event-store.js';
import type { LayerGetReleaser, OpenOptions, Store, StoreBackend } from './store.js';
import type { CheckpointSigner } from './keys.js';
import type { RebuildOptions, RebuildResult } from './rebuild/rebuild.js';
import type { VerifyOptions, Violation } from './verify/verify-source.js';

/*
 * Entry points that need a database or files. Each loads its code on first call: importing all of
 * it took 0.6 s more than node alone; parsing references or checking a proof needs a tenth of that.
 */

/**
 * Opens the store in `directory`, creating it if missing, and folds its log into views. Only one
 * process may have a store open for writing.
 *
 * `directory` may be reached through links, and its `log` may be a link to another disk. No other
 * link inside it is followed: it is replaced by a file of the store's own, or refused.
 *
 * Throws STORE_NOT_FOUND when missing and `create` is false; STORE_NOT_EMPTY when a new one would
 * lie among other files than `lost+found`, `.gitkeep` and the like, and FILE_EXISTS inside a store
 * or a backup; STORE_NOT_A_DIRECTORY;
 * STORE_NOT_WRITABLE; STORE_LOCKED after `lockTimeoutMs`, with the pid if known;
 * STORE_FORMAT_UNSUPPORTED for one written by a newer version; SIDECAR_INVALID and LOG_CORRUPT for
 * a damaged one, which is left unchanged;
 * CHECKPOINT_INVALID, CHECKPOINT_FOREIGN and SIGNATURE_INVALID for an untrustworthy checkpoint
 * file; KEY_FOREIGN and CHECKPOINT_FORKED for a signer of another log or history; ORIGIN_INVALID;
 * IO_FAILED, also for a link in place of a folder; DISK_FULL; ABORTED.
 */
export async function openStore(directory: string, options: OpenOptions = {}): Promise<EventStore> {
  const [code] = await loadCode('of an open store', Promise.all([import('./open/open-store.js'), ...laterCode()]));
  return code.openStore(directory, options);
}

/**
 * Rebuilds everything derived from events, content and blobs (subject index, tree, snapshots,
 * checkpoint), even if the store no longer opens. If LevelDB lost its own files, runs its repair on
 * a copy, checks every event, and moves the damaged log to `log.damaged-N`. Needs space for two
 * more logs. After a crash, call it again to finish. Does not touch blobs. Lost events are refused,
 * unless `acceptLoss` names the event after which they are lost.
 *
 * @throws {StoreError} LOG_CORRUPT naming the lost events, or when the log does not match its
 *   checkpoint; LOSS_MISMATCH for another `acceptLoss`; STORE_NOT_FOUND, STORE_LOCKED, SIDECAR_INVALID, STORE_FORMAT_UNSUPPORTED,
 *   STORE_NOT_WRITABLE, DISK_FULL, IO_FAILED, ABORTED; key and checkpoint errors as `openStore`
 */
export async function rebuildStore(directory: string, options: RebuildOptions = {}): Promise<RebuildResult> {
  const code = await loadCode('that rebuilds', import('./rebuild/rebuild-store.js'));
  return code.rebuildStore(directory, options);
}

/**
 * Restores the backup in `source` as a store in `directory`: same id, events, content, layer files
 * and checkpoint with its signatures. Verifies the whole backup first. Atomic, durable on return;
 * does not open the store. Backups hold no consumer positions.
 *
 * @throws {StoreError} BACKUP_NOT_FOUND; BACKUP_INVALID when it does not verify, with every
 *   violation in its data; STORE_EXISTS, STORE_NOT_EMPTY when the directory has a store, other files;
 *   FILE_EXISTS when it is a file, lies in a store or a backup, or is behind a dangling link; KEY_INVALID, CHECKPOINT_INVALID, CHECKPOINT_FOREIGN,
 *   SIGNATURE_INVALID for `against` and `key`; DISK_FULL, STORE_NOT_WRITABLE, IO_FAILED, ABORTED
 */
export async function restoreStore(
  directory: string,
  source: string,
  options: RestoreOptions = {},
): Promise<RestoreReport> {
  const code = await loadCode('that restores', import('./backup/restore.js'));
  return code.restoreStore(directory, source, options);
}

/**
 * Verifies the store in `directory`, even one that does not open, or the backup there, and resolves
 * with the violations; empty when it is sound. Changes nothing. One process at a time.
 *
 * @throws {StoreError} STORE_NOT_FOUND, STORE_NOT_A_DIRECTORY, STORE_LOCKED,
 *   STORE_FORMAT_UNSUPPORTED, STORE_NOT_WRITABLE, DISK_FULL, IO_FAILED; KEY_INVALID;
 *   CHECKPOINT_INVALID, CHECKPOINT_FOREIGN and SIGNATURE_INVALID for a checkpoint in the options;
 *   ABORTED
 */
export async function verifyStore(directory: string, options: VerifyOptions = {}): Promise<readonly Violation[]> {
  const code = await loadCode('that verifies', import('./verify-store.js'));
  return code.verifyStore(directory, options);
}

/**
 * Returns an image store over `backend` and `layers`, restored as Docker does: reads and parses
 * every config and gets every chain from `layers`; skips what is not an image, lacks a layer or is
 * for another operating system. The backend has no transactions: changes are applied one by one.
 * @throws {StoreError} what the backend throws while it is walked
 */
export async function newImageStore(
  backend: StoreBackend,
  layers: LayerGetReleaser,
  options: ImageStoreOptions = {},
): Promise<Store> {
  const code = await loadCode('of image stores', import('./docker-backend.js'));
  return code.newImageStore(backend, layers, options);
}

/**
 * Returns Docker's directory layout below `root`, created if missing: `content/sha256/<hex>` for
 * configs, `metadata/sha256/<hex>/<key>` for metadata. File writes are atomic. Like Docker's it
 * accepts any bytes; each read checks the digest.
 * @throws {StoreError} STORE_NOT_WRITABLE, DISK_FULL, IO_FAILED
 */
export async function newFSStoreBackend(root: string): Promise<StoreBackend> {
  const code = await loadCode("of Docker's layout", import('./docker-backend.js'));
  return code.newFSStoreBackend(root);
}

/**
 * Creates a private key for the log `origin` in a new file readable by its owner only, durable on
 * return. Resolves with the verifier key, the text others check signatures with. A failure leaves
 * no new key at `path`, or its error has `data.verifierKey` when the key could not be removed; a
 * crash leaves no key or a whole one.
 * @throws {StoreError} FILE_EXISTS, also when the memory of an earlier key of this path exists;
 *   FILE_NOT_FOUND without a directory for it; ORIGIN_INVALID, DISK_FULL, STORE_NOT_WRITABLE,
 *   IO_FAILED
 */
export async function createKeyFile(path: string, origin: string): Promise<string> {
  const code = await loadCode('of keys', import('./keys.js'));
  return code.createKeyFile(path, origin);
}

/**
 * Resolves with a signer for the private key in the file `path`, as written by `imagelog key` or
 * Go's tools. It remembers what it signed in `path.signed`: keep the two together.
 * @throws {StoreError} FILE_NOT_FOUND, KEY_EXPOSED, KEY_INVALID, IO_FAILED
 */
export async function readSigner(path: string): Promise<CheckpointSigner> {
  const code = await loadCode('of signers', import('./keys.js'));
  return code.readSigner(path);
}

/** Loads early what an open store needs later, when file descriptors may have run out. */
function laterCode(): readonly Promise<unknown>[] {
  return [import('./archives/load-archive.js'), import('./verify-store.js'), import('./backup/write-backup.js')];
}
