import { type ErrorCode, StoreError } from '../errors.js';

/** Hints per error code, where the user can act. One sentence, no period. */
export const hints: Readonly<Partial<Record<ErrorCode, string>>> = {
  IMAGE_NOT_FOUND:
    '`imagelog images --all` lists images and artifacts, `imagelog search --all ID` also those that were removed',
  REFERENCE_NOT_FOUND: '`imagelog images` lists the images, `imagelog refs REFERENCE` what a name pointed at before',
  REFERENCE_NOT_IMAGE: '`imagelog inspect REFERENCE` shows what it is',
  METADATA_NOT_FOUND: '`imagelog meta IMAGE` lists the keys that an image has',
  ARTIFACT_NOT_FOUND: '`imagelog images --all` lists the artifacts',
  PLATFORM_NOT_FOUND: 'name a platform that exists, or leave out --platform',
  FILE_NOT_FOUND: 'check the path',
  STORE_NOT_FOUND: '`imagelog load FILE` creates the store; `--store DIR` or $IMAGELOG_STORE names another',
  STORE_NOT_A_DIRECTORY: '`--store DIR` or $IMAGELOG_STORE names the folder of the store',
  STORE_LOCKED:
    'one process writes to a store at a time: wait for that one to end (`--wait 5m` waits longer), or end it. Commands that read do not wait',
  STORE_NOT_WRITABLE: 'check who owns the folder of the store and whether its disk is mounted for writing',
  STORE_FORMAT_UNSUPPORTED: 'the store was written by a newer imagelog; install that version',
  DISK_FULL:
    'nothing was changed; `imagelog rm`, `erase` and `prune --yes` make room also on a full disk, and reading works there',
  OUTCOME_UNKNOWN: 'check with `imagelog log --reverse --limit 5` whether it was written before you retry',
  LOG_FAILED:
    'an earlier write failed: a server continues once there is room on the disk, a program opens the store again',
  ID_AMBIGUOUS: 'give more digits of the id',
  REFERENCE_EXISTS: 'leave out --no-overwrite to move it',
  REFERENCE_INVALID: 'a reference is a name and a tag, like shop/app:1.0 or registry.example.com:5000/shop/app:1.0',
  PLATFORM_INVALID: 'a platform is os/architecture or os/architecture/variant, like linux/arm64',
  IMAGE_IN_USE: 'remove what uses it first, or add --force',
  ARTIFACT_IN_USE: 'remove what holds it first, or add --force',
  OS_UNSUPPORTED: 'the store was opened for images of one operating system only',
  SUBJECT_NOT_FOUND: '`imagelog log` shows the events, `imagelog log --reverse --limit 20` the last ones',
  FILTER_INVALID: 'leave out an option: no event can fit all of them',
  TIME_INVALID: '`imagelog help at` lists the forms of a point in time',
  TIME_OUT_OF_RANGE:
    'a point in time has passed, and a range goes forward; `imagelog log --reverse --limit 1` shows the last event',
  CONSUMER_NOT_FOUND: '`imagelog consumers` lists them',
  CONSUMER_TAKEN: 'end the process that uses it first',
  CONTENT_IN_USE: 'remove the images that need it first, with `imagelog rm`',
  DAMAGED_LOG_KEPT:
    'to keep it as evidence move the folder out of the store, or add --remove-damaged-logs; nothing was erased',
  LOSS_MISMATCH: 'nothing was changed; give --accept-loss the number that the message names, if any event is lost',
  CONTENT_NOT_FOUND: 'give the whole digest of a config, a manifest, an index or a layer blob that is in the store',
  CONTENT_ERASED: '`imagelog log --type ContentErased` shows what was erased, when, by whom and why',
  ARCHIVE_TRUNCATED: 'copy or download the archive again; nothing was loaded',
  ARCHIVE_INVALID:
    'an archive is what `docker save` writes, or an OCI image layout in a tar or a directory; nothing was loaded',
  ARCHIVE_LIMIT_EXCEEDED: 'the archive is larger than any real image; nothing was loaded',
  LAYER_MISSING: 'the archive lacks a layer that the store does not have either; save the image again, whole',
  ENVELOPE_INVALID: 'give an actor, and shorten --actor, --reason or --request-id',
  LOG_CORRUPT:
    'do not write to this store; `imagelog verify` says what is whole, `imagelog rebuild` saves it, `imagelog restore` puts a backup in its place',
  CONTENT_CORRUPT: 'restore a backup; the log has the digest',
  BLOB_MISSING: 'load an archive that has the layer, or restore a backup',
  BLOB_CORRUPT: 'load an archive that has the layer, or restore a backup',
  BACKUP_NOT_FOUND: '`imagelog backup DIR` makes a backup',
  BACKUP_FOREIGN: 'each store needs its own backup directory',
  BACKUP_INVALID: 'use another backup; `imagelog verify DIR` lists what is wrong with this one',
  STORE_EXISTS: '`--store DIR` names another directory; a restore replaces nothing',
  STORE_NOT_EMPTY: '`--store DIR` or $IMAGELOG_STORE names a store, an empty directory, or a new one',
  SIDECAR_INVALID: 'restore imagelog.json from a backup; it is written once and never changes',
  KEY_EXPOSED: 'run `chmod 600 PATH`; if others may have read the key, make a new one with `imagelog key`',
  KEY_INVALID: '`imagelog key FILE` makes a private key, `imagelog key --show FILE` prints its verifier key',
  KEY_FOREIGN: 'the name of a key is the origin of its log; `imagelog key FILE --store DIR` makes one for a store',
  ORIGIN_INVALID: 'a name is like example.com/images: no spaces, no plus',
  FILE_EXISTS: 'name another file, or move this one away; a key that signed is needed as long as its log is written',
  CHECKPOINT_INVALID:
    'a checkpoint is what `imagelog checkpoint` prints; the one in a store may be removed when `imagelog verify` finds nothing else',
  CHECKPOINT_FOREIGN: 'the first line of a checkpoint names its log; check that this is the store that you mean',
  CHECKPOINT_FORKED:
    'this store is not, or is an older copy of, the one that the key signed: find that one, or make a new key',
  SIGNATURE_INVALID: 'do not believe it; ask the keeper of the log for its verifier key and a new checkpoint',
  PROOF_INVALID: 'a proof is the complete output of `imagelog prove SEQ`',
  REGISTRY_NOT_FOUND: 'check the name and its tag; some registries also answer so to those who may not know',
  REGISTRY_DENIED: 'log in with docker or podman, whose credentials are used, and check what the account may do',
  REGISTRY_REFUSED: 'the registry says why; its names stand for what they did',
  REGISTRY_INVALID: 'check that the host is a registry, and that no proxy or login page answers in its place',
  REGISTRY_UNAVAILABLE: 'check the host and the network, then try again',
  PROOF_REJECTED: 'do not believe it; ask for a proof of the same event, made for the checkpoint that you trust',
};

/** Adds the hint from `own` to `error`, overriding the general one; returns other errors as is. */
export function withOwnHint(error: unknown, own: Readonly<Partial<Record<ErrorCode, string>>>): unknown {
  const hint = error instanceof StoreError ? own[error.code] : undefined;
  if (!(error instanceof StoreError) || hint === undefined) return error;
  return new StoreError(error.code, error.message, { cause: error, data: { ...error.data, hint } });
}

/** Hints by `data.remedy`, for errors that name their own remedy. */
export const remedies: Readonly<Record<string, string>> = {
  room: 'the removal is in the log; make room on the disk and run `imagelog prune --yes`',
  rebuild: '`imagelog rebuild` rebuilds it from the events',
  backup: '`imagelog restore PATH --store DIR` makes a store of it, `imagelog verify PATH` checks it',
  restore: 'restore a backup; do not write to this store',
};

/** Hint for damage in a backup; nothing in a backup can be rebuilt. */
export const BACKUP_DAMAGE_HINT =
  'restore refuses this backup; use another one, or back the store up to an empty directory with `imagelog backup DIR`';

/** Hint for damage in a store found by verification. */
export const DAMAGE_HINT =
  '`imagelog rebuild` rebuilds what is derived from events; lost events, content and blobs come back only from a backup';
