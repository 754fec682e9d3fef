import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import test from 'ava';
import { exitCodeOfError } from '../../src/cli/exit-codes.js';
import { type ErrorCode, errorKinds } from '../../src/errors.js';
import { archive, ids, startSession } from './session.js';

/** The exit code of every error. A new error is one more row: say here what it means to a script. */
const table: Readonly<Record<ErrorCode, 1 | 2 | 3 | 4 | 5>> = {
  IMAGE_NOT_FOUND: 3,
  PARENT_NOT_FOUND: 3,
  REFERENCE_NOT_FOUND: 3,
  REFERENCE_NOT_IMAGE: 3,
  ARTIFACT_NOT_FOUND: 3,
  METADATA_NOT_FOUND: 3,
  LAYER_NOT_FOUND: 3,
  PLATFORM_NOT_FOUND: 3,
  FILE_NOT_FOUND: 3,
  STORE_NOT_FOUND: 3,
  SUBJECT_NOT_FOUND: 3,
  CONSUMER_NOT_FOUND: 3,
  CONTENT_NOT_FOUND: 3,
  BLOB_NOT_FOUND: 3,
  UPLOAD_NOT_FOUND: 3,
  CONTENT_ERASED: 3,
  EVENT_NOT_FOUND: 3,
  BACKUP_NOT_FOUND: 3,
  REGISTRY_NOT_FOUND: 3,
  REGISTRY_DENIED: 1,
  REGISTRY_REFUSED: 1,
  REGISTRY_INVALID: 1,
  REGISTRY_UNAVAILABLE: 1,
  CONFIG_INVALID: 1,
  CONFIG_TOO_LARGE: 1,
  HISTORY_INVALID: 1,
  OS_UNSUPPORTED: 1,
  DIGEST_INVALID: 1,
  REFERENCE_INVALID: 1,
  PLATFORM_INVALID: 1,
  TIME_INVALID: 2,
  TIME_OUT_OF_RANGE: 3,
  FILTER_INVALID: 1,
  CONSUMER_INVALID: 1,
  ACK_FOREIGN: 1,
  PROJECTION_INVALID: 1,
  PARENT_CYCLE: 1,
  METADATA_INVALID: 1,
  RECORD_TOO_LARGE: 1,
  ENVELOPE_INVALID: 1,
  LAYER_MISSING: 1,
  LAYER_INVALID: 1,
  LAYER_MISMATCH: 1,
  COMPRESSION_INVALID: 1,
  ARCHIVE_INVALID: 1,
  ARCHIVE_TRUNCATED: 1,
  ARCHIVE_NAME_UNSAFE: 1,
  ARCHIVE_LINK_INVALID: 1,
  ARCHIVE_EMPTY: 1,
  ARCHIVE_FILE_MISSING: 1,
  ARCHIVE_MANIFEST_INVALID: 1,
  ARCHIVE_LIMIT_EXCEEDED: 1,
  BLOB_MISMATCH: 1,
  STORE_NOT_A_DIRECTORY: 1,
  KEY_INVALID: 1,
  KEY_EXPOSED: 1,
  KEY_FOREIGN: 1,
  CHECKPOINT_INVALID: 4,
  CHECKPOINT_FOREIGN: 4,
  SIGNATURE_INVALID: 4,
  PROOF_INVALID: 4,
  ORIGIN_INVALID: 1,
  ACCESS_INVALID: 1,
  ADDRESS_REFUSED: 1,
  TLS_INVALID: 1,
  SETTING_INVALID: 1,
  ID_AMBIGUOUS: 1,
  REFERENCE_EXISTS: 1,
  IMAGE_IN_USE: 1,
  ARTIFACT_IN_USE: 1,
  LAYER_NOT_HELD: 1,
  CONSUMER_TAKEN: 1,
  ACK_OUT_OF_ORDER: 1,
  ACKS_MISSING: 1,
  PROJECTION_TAKEN: 1,
  PROJECTION_OUTDATED: 1,
  CONTENT_IN_USE: 1,
  UPLOAD_OUT_OF_ORDER: 1,
  DAMAGED_LOG_KEPT: 1,
  LOSS_MISMATCH: 1,
  CHECKPOINT_FORKED: 4,
  FILE_EXISTS: 1,
  STORE_EXISTS: 1,
  STORE_NOT_EMPTY: 1,
  BACKUP_FOREIGN: 1,
  ADDRESS_IN_USE: 1,
  STORE_LOCKED: 5,
  STORE_CLOSED: 1,
  STORE_READ_ONLY: 1,
  STORE_NOT_WRITABLE: 1,
  STORE_FORMAT_UNSUPPORTED: 1,
  LAYERS_UNAVAILABLE: 1,
  CONSUMER_CLOSED: 1,
  PROJECTION_FAILED: 1,
  UPLOAD_LIMIT_EXCEEDED: 1,
  DISK_FULL: 1,
  OUTCOME_UNKNOWN: 1,
  LOG_FAILED: 1,
  SERVER_UNAVAILABLE: 1,
  SERVER_BUSY: 5,
  ACCESS_DENIED: 1,
  ABORTED: 1,
  SIDECAR_INVALID: 4,
  LOG_CORRUPT: 4,
  CONTENT_CORRUPT: 4,
  BLOB_MISSING: 4,
  BLOB_CORRUPT: 4,
  PROOF_REJECTED: 4,
  BACKUP_INVALID: 4,
  IO_FAILED: 1,
  INTERNAL: 1,
};

test('every error has the exit code that the table says', (t) => {
  const codes = Object.keys(errorKinds) as ErrorCode[];
  t.deepEqual(Object.fromEntries(codes.map((code) => [code, exitCodeOfError(code)])), table);
});

const DIGEST = `sha256:${'1'.repeat(64)}`;

test('what is asked for and is not there is 3, in every command', async (t) => {
  const { done, run, folder } = await startSession(t);
  await done('load', archive('docker25-all.tar'));
  const missing = join(folder, 'missing');
  const file = join(folder, 'file');
  await writeFile(file, '');
  for (const argv of [
    // Names, ids and digests.
    ['inspect', 'never:1'],
    ['inspect', DIGEST],
    ['inspect', 'aaaaaaaaaaaa'],
    ['history', 'never:1'],
    ['referrers', DIGEST],
    ['resolve', 'never:1'],
    ['resolve', DIGEST],
    ['refs', 'never:1'],
    ['search', 'aaaaaaaaaaaa'],
    ['search', '--all', 'aaaaaaaaaaaa'],
    ['save', 'never:1', '-o', file],
    ['tag', 'never:1', 'a:1'],
    ['untag', 'never:1'],
    ['rm', 'never:1'],
    ['erase', DIGEST, '--reason', 'x'],
    ['images', '--filter', 'since=never:1'],
    ['log', '--image', 'aaaaaaaaaaaa'],
    ['log', '--image', DIGEST],
    ['log', '--reference', 'never:1'],
    ['log', '--chain', DIGEST],
    ['log', '--actor', 'nobody'],
    // Platforms and consumers.
    ['resolve', '--platform', 'linux/s390x', 'tiny:1'],
    ['save', '--platform', 'linux/s390x', 'tiny:1', '-o', file],
    ['load', '--platform', 'linux/s390x', archive('oci-all.tar')],
    ['consumers', 'rm', 'nobody'],
    ['consumers', 'reset', 'nobody'],
    // Events and moments.
    ['at', '999', 'images'],
    ['images', '--at', '999'],
    ['resolve', '--at', '2027-01-01', 'tiny:1'],
    ['diff', '999'],
    ['diff', '1', '999'],
    ['prove', '999'],
    ['prune', '--before', '999'],
    // Files and directories.
    ['load', missing],
    ['save', 'tiny:1', '-o', join(missing, 'a.tar')],
    ['prove', '1', '-o', join(missing, 'proof')],
    ['check-proof', missing],
    ['verify', '--against', missing],
    ['verify', '--key', missing],
    ['checkpoint', '--key', missing],
    ['key', '--show', missing],
    ['key', join(missing, 'key')],
    ['verify', missing],
    ['images', '--store', missing],
    ['at', '1', 'images', '--store', missing],
    ['restore', missing, '--store', join(folder, 'new')],
  ]) {
    const { code, stdout, stderr } = await run(...argv);
    t.deepEqual({ code, stdout }, { code: 3, stdout: '' }, `${argv.join(' ')}: ${stderr}`);
  }
});

test('an archive that is damaged is 1: the store is as it was', async (t) => {
  const { done, run, folder } = await startSession(t);
  const bad = join(folder, 'bad.tar');
  await writeFile(bad, 'not a tar');
  t.is((await run('load', bad)).code, 1);
  t.is(await done('images', '--json'), '');
});

test('a store that is damaged is 4, in commands that read, that write, and that verify', async (t) => {
  const every = [
    ['images'],
    ['log'],
    ['inspect', ids.tiny],
    ['at', '1', 'images'],
    ['tag', 'tiny:1', 'a:1'],
    ['verify'],
  ];
  for (const [what, damage] of [
    ['the sidecar', (store: string) => writeFile(join(store, 'imagelog.json'), '{')],
    ['no sidecar', (store: string) => rm(join(store, 'imagelog.json'))],
    ['the checkpoint', (store: string) => writeFile(join(store, 'checkpoint'), 'nothing')],
    ['no CURRENT', (store: string) => rm(join(store, 'log', 'CURRENT'))],
  ] as const) {
    const { done, run, store } = await startSession(t);
    await done('load', archive('docker25-all.tar'));
    await damage(store);
    for (const argv of every) t.is((await run(...argv)).code, 4, `${what}: ${argv.join(' ')}`);
  }
});

test('a layer file that is gone is 4 where it is needed', async (t) => {
  const { done, run, store, folder } = await startSession(t);
  await done('load', archive('docker25-all.tar'));
  await rm(join(store, 'blobs', 'sha256'), { recursive: true });
  for (const argv of [['save', 'tiny:1', '-o', join(folder, 'a.tar')], ['backup', join(folder, 'backup')], ['verify']])
    t.is((await run(...argv)).code, 4, argv.join(' '));
  t.is((await run('inspect', 'tiny:1')).code, 0);
});
