import { createHash } from 'node:crypto';
import { isStoreError, StoreError, throwIfAborted } from '../../errors.js';
import { MAX_NOTE_BYTES } from '../../limits.js';
import { type Checkpoint, parseCheckpoint } from '../../log/checkpoint.js';
import type { ContentReader, Head } from '../../log/log.js';
import { treeRoot } from '../../log/merkle.js';
import { equalBytes } from '../../model/bytes.js';
import { type Digest, digestFromHash } from '../../model/digest.js';
import type { StoreContext } from '../context.js';
import { checkLockTimeout, whenUnlocked } from '../open/lock-wait.js';
import { backupVersion, parseSidecar, readSidecarBytes, type Sidecar, SIDECAR_FILE } from '../open/sidecar.js';
import { BackupFolder } from './backup-folder.js';
import {
  type BackupOptions,
  type BackupReport,
  blobPath,
  CHECKPOINT_PATH,
  needTarget,
  sidecarText,
} from './backup-layout.js';
import { treeFiles, treePaths } from './backup-tiles.js';
import { BackupWriter } from './backup-writer.js';
import { writeContent } from './write-content.js';

/** Snapshot of a store at one head. What it names stays readable until released. */
interface FixedStore {
  readonly head: Head;
  /** Two readers of the same content: which of it is written is known after the first pass. */
  readonly content: readonly [ContentReader, ContentReader];
  /** Layer files that the store needs, with their sizes. */
  readonly blobs: ReadonlyMap<Digest, number>;
}

// In one turn: head, content and blobs are of one moment, and stay for the backup.
function fixedNow({ log, views, blobs }: StoreContext): FixedStore {
  const needed = new Map([...views.blobs.byDigest].map(([digest, { size }]) => [digest, size]));
  const content = [log.openContent(), log.openContent()] as const;
  for (const digest of needed.keys()) blobs.pin(digest);
  return { head: log.head, content, blobs: needed };
}

// A command is decided after all earlier appends are folded, and before any later one.
async function fixedWhenStill(context: StoreContext): Promise<FixedStore> {
  if (context.readOnly) return fixedNow(context);
  return context.submit(() => ({ events: [], result: fixedNow(context) }));
}

async function release({ content, blobs: needed }: FixedStore, { blobs, isBlobNeeded }: StoreContext): Promise<void> {
  try {
    for (const reader of content) await reader.close();
  } finally {
    for (const digest of needed.keys()) blobs.unpin(digest);
    await blobs.removeUnneeded(needed.keys(), isBlobNeeded);
  }
}

/**
 * Writes what the store has at its head and the backup in `target` lacks. Throws BACKUP_FOREIGN,
 * FILE_EXISTS, CHECKPOINT_FORKED and BACKUP_INVALID for a target that must not be written to, and
 * the errors of reading the store. Only one backup of a store may run at a time.
 */
export async function writeBackup(
  target: string,
  options: BackupOptions,
  context: StoreContext,
): Promise<BackupReport> {
  throwIfAborted(options.signal);
  checkLockTimeout(options.lockTimeoutMs);
  const { directory, sidecar, checkpoints, readOnly } = context;
  const ownSidecar = await readOwnSidecar(directory);
  const folder = new BackupFolder(await needTarget(target, context, ownSidecar));
  const fixed = await fixedWhenStill(context);
  try {
    const { head } = fixed;
    const checkpoint = readOnly ? checkpoints.unwritten() : await checkpoints.at(head);
    await sizeOfFormer(folder, head, context);
    await whenUnlocked(() => folder.begin(), options);
    // Another run may have ended since: from here on this is the only one.
    const knownSize = await sizeOfFormer(folder, head, context);
    const writer = new BackupWriter(folder, await folder.files(), options);
    // The sidecar comes first: it marks the directory as a backup of this store. Its version keeps
    // out code that knows no packs or no routes, also after a crash beside the first of them. That of
    // the store may have risen until its head was fixed.
    const version = backupVersion((await readOwnSidecar(directory)).version);
    await writer.put(SIDECAR_FILE, new TextEncoder().encode(sidecarText(ownSidecar, version)));
    await writer.finish();
    await writeData(writer, fixed, { knownSize, context, signal: options.signal });
    throwIfAborted(options.signal);
    // A crash up to here leaves the former backup, with extra files that the next run takes over.
    // The checkpoint commits to everything there now: once its name is durable, this backup counts.
    await writer.put(CHECKPOINT_PATH, new TextEncoder().encode(checkpoint));
    await writer.finish();
    // A crash from here on leaves unneeded files, which the next run removes.
    await writer.removeUnneeded();
    await folder.end();
    return { directory: folder.directory, storeId: sidecar.storeId, events: head.seq, checkpoint, ...writer.numbers() };
  } finally {
    await folder.release();
    await release(fixed, context);
  }
}

interface DataOptions {
  readonly knownSize: number;
  readonly context: StoreContext;
  readonly signal: AbortSignal | undefined;
}

/** Writes everything that the checkpoint will commit to; durable on return. */
async function writeData(
  writer: BackupWriter,
  fixed: FixedStore,
  { knownSize, context: { log, blobs }, signal }: DataOptions,
): Promise<void> {
  const { head } = fixed;
  try {
    const missing = [...fixed.blobs].filter(([digest, size]) => writer.there.get(blobPath(digest)) !== size);
    for (const [, size] of missing) writer.expect(size);
    await writeContent(writer, fixed.content, signal);
    for (const path of treePaths(head.seq)) writer.need(path);
    for await (const { path, bytes } of treeFiles({ log, head, knownSize, files: writer.there, signal })) {
      await writer.start(path, bytes);
    }
    for (const digest of fixed.blobs.keys()) writer.need(blobPath(digest));
    for (const [digest, size] of missing) {
      const onBytes = (bytes: number): void => writer.advance(bytes);
      const failure = (found: number): StoreError => blobCorrupt(digest, size, found);
      const blob = checkedBlob(blobs.read(digest), { digest, size, signal, onBytes, failure });
      await writer.startCopy(blobPath(digest), blob, size);
    }
    await writer.finish();
  } finally {
    await writer.settle();
  }
}

interface ExpectedBlob {
  readonly digest: Digest;
  readonly size: number;
  readonly signal: AbortSignal | undefined;
  readonly onBytes?: (bytes: number) => void;
  /** Returns the error for a mismatch after `found` bytes. */
  readonly failure: (found: number) => StoreError;
}

/** Streams a blob, and throws at the end when the bytes do not match its digest. */
export async function* checkedBlob(
  chunks: AsyncIterable<Uint8Array>,
  { digest, size, signal, onBytes, failure }: ExpectedBlob,
): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256');
  let length = 0;
  for await (const chunk of chunks) {
    throwIfAborted(signal);
    length += chunk.length;
    // A sparse file of a terabyte would keep this reading.
    if (length > size) break;
    hash.update(chunk);
    yield chunk;
    onBytes?.(chunk.length);
  }
  if (length !== size || digestFromHash(hash.digest()) !== digest) throw failure(length);
}

function blobCorrupt(digest: Digest, size: number, found: number): StoreError {
  const shown = found > size ? 'more' : `${found} bytes`;
  return new StoreError(
    'BLOB_CORRUPT',
    `cannot back up the layer blob ${digest}: its file has ${shown}, expected ${size} bytes of this digest`,
    { data: { digest, size, found } },
  );
}

/** Resolves with the tree size of the existing backup, with which the log must begin. */
async function sizeOfFormer(folder: BackupFolder, head: Head, { log, sidecar }: StoreContext): Promise<number> {
  const { directory } = folder;
  const bytes = await folder.read(CHECKPOINT_PATH, MAX_NOTE_BYTES);
  if (bytes === undefined) return 0;
  const { origin, size, root } = formerCheckpoint(bytes, directory);
  const forked = (why: string): StoreError =>
    new StoreError('CHECKPOINT_FORKED', `cannot back up to ${directory}: ${why}`, {
      data: { directory, found: { origin, size }, expected: { origin: sidecar.origin, size: head.seq } },
    });
  if (origin !== sidecar.origin) throw forked(`its checkpoint is of the log ${origin}, expected ${sidecar.origin}`);
  if (size > head.seq) throw forked(`the backup has ${size} events, the log only ${head.seq}`);
  if (equalBytes(await treeRoot(log, size), root)) return size;
  throw forked(`the ${size} events of the backup are not those that the log begins with`);
}

function formerCheckpoint(bytes: Uint8Array, directory: string): Checkpoint {
  try {
    return parseCheckpoint(bytes);
  } catch (cause) {
    if (!isStoreError(cause, 'CHECKPOINT_INVALID')) throw cause;
    throw new StoreError('BACKUP_INVALID', `cannot back up to ${directory}: its checkpoint is damaged`, {
      cause,
      data: { directory },
    });
  }
}

async function readOwnSidecar(directory: string): Promise<Sidecar> {
  const bytes = await readSidecarBytes(directory);
  if (bytes !== undefined) return parseSidecar(directory, bytes);
  const message = `cannot back up the store ${directory}: its ${SIDECAR_FILE} is missing`;
  throw new StoreError('SIDECAR_INVALID', message, { data: { directory } });
}
