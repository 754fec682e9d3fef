import { loadCode } from '../errors.js';
import type { RestoreOptions, RestoreReport } from './backup/backup-layout.js';
import type { ImageStoreOptions } from './docker-backend.js';
import type { EventStore } from './event-store.js';
import type { LayerGetReleaser, OpenOptions, Store, StoreBackend } from './store.js';
import type { CheckpointSigner } from './keys.js';
import type { RebuildOptions, RebuildResult } from './rebuild/rebuild.js';
import type { VerifyOptions, Violation } from './verify/verify-source.js';

/*
 * The ways into the library that need a database or files. Each loads its code when it is first called: with all of it an import of
 * the library took 0.6 s more than node alone, of which a program that parses references or checks a proof needs a tenth.
 */

/**
 * Opens the store in `directory`, made when it is missing, and folds its log into views. One process at a time.
 *
 * `directory` may be reached through links, and `log` in it may be a link to another disk. Nothing
 * else in it may be one: what leads out of the store is replaced by a file of its own, or refused.
 *
 * Throws STORE_NOT_FOUND when it is missing and may not be made; STORE_NOT_A_DIRECTORY; STORE_NOT_WRITABLE;
 * STORE_LOCKED with the pid where it is known; STORE_FORMAT_UNSUPPORTED for one that a newer version wrote;
 * SIDECAR_INVALID and LOG_CORRUPT for a damaged one, which is left as it is; CHECKPOINT_INVALID, CHECKPOINT_FOREIGN and
 * SIGNATURE_INVALID for a checkpoint file that cannot be believed; KEY_FOREIGN and CHECKPOINT_FORKED for a signer of another
 * log or history; ORIGIN_INVALID; IO_FAILED, also for a link in the place of a folder; DISK_FULL; ABORTED.
 */
export async function openStore(directory: string, options: OpenOptions = {}): Promise<EventStore> {
  const [code] = await loadCode('of an open store', Promise.all([import('./open/open-store.js'), ...laterCode()]));
  return code.openStore(directory, options);
}

/**
 * Rebuilds everything derived from events, content and blobs (subject index, tree, snapshots, checkpoint), even if the store no longer opens.
 * Where LevelDB lost its own files, the events are read by its repair, in a copy, and each is checked; the damaged log is
 * put aside as `log.damaged-N`. Needs room for two more logs. A crash leaves a store that the next call finishes. Blobs stay as they are.
 *
 * @throws {StoreError} LOG_CORRUPT when events are lost, which are named, or the log is not the one of its checkpoint;
 *   STORE_NOT_FOUND, STORE_LOCKED, SIDECAR_INVALID, STORE_FORMAT_UNSUPPORTED, STORE_NOT_WRITABLE, DISK_FULL, IO_FAILED, ABORTED; those of
 *   keys and checkpoints as `openStore`
 */
export async function rebuildStore(directory: string, options: RebuildOptions = {}): Promise<RebuildResult> {
  const code = await loadCode('that rebuilds', import('./rebuild/rebuild-store.js'));
  return code.rebuildStore(directory, options);
}

/**
 * Makes in `directory` the store that the backup in `source` is of: the same id, events, content, layer files and checkpoint, its
 * signatures kept. The whole backup is verified first. The store appears whole or not at all, durable on return; nothing of it is
 * open. Positions of consumers are not part of a backup.
 *
 * @throws {StoreError} BACKUP_NOT_FOUND; BACKUP_INVALID when it does not verify, with every violation in its data; STORE_EXISTS,
 *   FILE_EXISTS when the directory is taken, lies in a store or a backup, or is behind a dangling link;
 *   KEY_INVALID, CHECKPOINT_INVALID, CHECKPOINT_FOREIGN, SIGNATURE_INVALID for what
 *   `against` and `key` give; DISK_FULL, STORE_NOT_WRITABLE, IO_FAILED, ABORTED
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
 * Resolves with everything that is wrong with the store in `directory`, also one that does not open, or with the backup; empty when
 * nothing is. Changes nothing in a backup, and in a store nothing but what LevelDB does whenever it opens: it makes a table of its write-ahead log. One process at a time.
 *
 * @throws {StoreError} STORE_NOT_FOUND, STORE_NOT_A_DIRECTORY, STORE_LOCKED, STORE_FORMAT_UNSUPPORTED, STORE_NOT_WRITABLE, DISK_FULL,
 *   IO_FAILED; KEY_INVALID; CHECKPOINT_INVALID, CHECKPOINT_FOREIGN and SIGNATURE_INVALID for a checkpoint in the options; ABORTED
 */
export async function verifyStore(directory: string, options: VerifyOptions = {}): Promise<readonly Violation[]> {
  const code = await loadCode('that verifies', import('./verify-store.js'));
  return code.verifyStore(directory, options);
}

/**
 * Returns the image store over `backend` and `layers`, restored as Docker restores its own: every
 * config is read and parsed, every chain is taken from `layers`; what is no image, has a missing layer or is for
 * another operating system is passed over. The backend has no transactions: each change is applied by itself.
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
 * Returns Docker's directory layout below `root`: `content/sha256/<hex>` for configs, `metadata/sha256/<hex>/<key>`
 * for metadata, every file replaced atomically. Made when missing. Like Docker's it takes any bytes, and each read
 * checks the digest.
 * @throws {StoreError} STORE_NOT_WRITABLE, DISK_FULL, IO_FAILED
 */
export async function newFSStoreBackend(root: string): Promise<StoreBackend> {
  const code = await loadCode("of Docker's layout", import('./docker-backend.js'));
  return code.newFSStoreBackend(root);
}

/**
 * Makes a private key for the log `origin` in a new file that only its owner may read, durable on
 * return. Resolves with the verifier key: the text that others check signatures with. When it fails
 * there is no key at `path` that was not there before, or the error has its `data.verifierKey`
 * because it could not be removed again; a process that is killed leaves none or a whole one.
 * @throws {StoreError} FILE_EXISTS, also when the memory of an earlier key of this path is there;
 *   ORIGIN_INVALID, DISK_FULL, STORE_NOT_WRITABLE, IO_FAILED
 */
export async function createKeyFile(path: string, origin: string): Promise<string> {
  const code = await loadCode('of keys', import('./keys.js'));
  return code.createKeyFile(path, origin);
}

/**
 * Resolves with the signer of the private key in the file `path`, as `imagelog key` or Go's tools write it. What it signed
 * is remembered in `path.signed`: keep the two together.
 * @throws {StoreError} FILE_NOT_FOUND, KEY_EXPOSED, KEY_INVALID, IO_FAILED
 */
export async function readSigner(path: string): Promise<CheckpointSigner> {
  const code = await loadCode('of signers', import('./keys.js'));
  return code.readSigner(path);
}

/** What an open store loads when it is first asked for it: too late for a process that has no file descriptor left by then. */
function laterCode(): readonly Promise<unknown>[] {
  return [
    import('./archives/load-archive.js'),
    import('./verify-store.js'),
    import('./backup/write-backup.js'),
    import('tar-stream'),
  ];
}
