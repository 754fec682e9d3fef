import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { throwIfAborted } from '../../abort.js';
import { isStoreError, StoreError } from '../../errors.js';
import { type Checkpoint, parseCheckpoint } from '../../log/checkpoint.js';
import type { ContentReader, Head, Log } from '../../log/log.js';
import { equalHashes } from '../../log/merkle/node-hash.js';
import { treeRoot } from '../../log/merkle/proof.js';
import { type Digest, digestFromHash, digestOf } from '../../model/digest.js';
import { nodeSha256 } from '../files/node-hash.js';
import { readRegularFile } from '../files/regular-file.js';
import { type Sidecar, SIDECAR_FILE } from '../open/sidecar.js';
import type { BackupOptions, BackupReport } from './backup.js';
import { BackupFolder } from './backup-folder.js';
import { blobPath, CHECKPOINT_PATH, contentPath } from './backup-layout.js';
import { needTarget } from './backup-target.js';
import { treeFiles, treePaths } from './backup-tiles.js';
import { BackupWriter } from './backup-writer.js';

/** A store as it was at one head. What it names stays readable until it is released. */
export interface FixedStore {
  readonly head: Head;
  readonly content: ContentReader;
  /** Layer files that the store needs, with their sizes. */
  readonly blobs: ReadonlyMap<Digest, number>;
}

/** What a store is backed up through. */
export interface BackupParts {
  readonly directory: string;
  readonly sidecar: Sidecar;
  readonly log: Log;
  /** Resolves with the store as it is at its head, at a moment when nothing is on its way into it. */
  readonly fix: () => Promise<FixedStore>;
  readonly release: (fixed: FixedStore) => Promise<void>;
  readonly readBlob: (digest: Digest) => AsyncIterable<Uint8Array>;
  /** Resolves with the text of a checkpoint of this head. */
  readonly checkpointAt: (head: Head) => Promise<string>;
}

/**
 * Writes what the store has at its head, and the backup in `target` lacks. Throws BACKUP_FOREIGN, FILE_EXISTS, CHECKPOINT_FORKED
 * and BACKUP_INVALID for a target that it must not write to, and what reading the store meets.
 */
export async function writeBackup(target: string, options: BackupOptions, parts: BackupParts): Promise<BackupReport> {
  throwIfAborted(options.signal);
  const { directory, sidecar } = parts;
  const sidecarBytes = await readOwnSidecar(join(directory, SIDECAR_FILE));
  const folder = new BackupFolder(await needTarget(target, { directory, sidecar, sidecarBytes }));
  const fixed = await parts.fix();
  try {
    const { head } = fixed;
    const checkpoint = await parts.checkpointAt(head);
    const knownSize = await sizeOfFormer(folder, head, parts);
    await folder.begin();
    const writer = new BackupWriter(folder, await folder.files(), options);
    // The sidecar comes first: from here on the directory is known for a backup of this store.
    await writer.put(SIDECAR_FILE, sidecarBytes);
    await writer.finish();
    await writeData(writer, fixed, { ...options, ...parts, knownSize });
    throwIfAborted(options.signal);
    // A crash up to here leaves the former backup, with files beside it that the next run takes up. The checkpoint names
    // all that is there now: once its name is durable, this backup is the one that stands.
    await writer.put(CHECKPOINT_PATH, new TextEncoder().encode(checkpoint));
    await writer.finish();
    // A crash from here on leaves files that this backup does not need; the next run removes them.
    await writer.removeUnneeded();
    await folder.end();
    return { directory: folder.directory, storeId: sidecar.storeId, events: head.seq, checkpoint, ...writer.numbers() };
  } finally {
    await parts.release(fixed);
  }
}

interface DataOptions extends BackupOptions, BackupParts {
  readonly knownSize: number;
}

/** Writes all that the checkpoint will commit to; durable on return. */
async function writeData(writer: BackupWriter, fixed: FixedStore, options: DataOptions): Promise<void> {
  const { log, knownSize, signal } = options;
  const { head } = fixed;
  try {
    const missing = [...fixed.blobs].filter(([digest, size]) => writer.there.get(blobPath(digest)) !== size);
    for (const [, size] of missing) writer.expect(size);
    await writeContent(writer, fixed.content);
    for (const path of treePaths(head.seq)) writer.need(path);
    for await (const { path, bytes } of treeFiles({ log, head, knownSize, files: writer.there, signal })) {
      await writer.start(path, bytes);
    }
    for (const digest of fixed.blobs.keys()) writer.need(blobPath(digest));
    for (const [digest, size] of missing) {
      await writer.startCopy(blobPath(digest), checkedBlob(writer, digest, size, options), size);
    }
    await writer.finish();
  } finally {
    await writer.settle();
  }
}

async function writeContent(writer: BackupWriter, content: ContentReader): Promise<void> {
  for await (const page of content.pages()) {
    for (const { digest, bytes } of page) {
      const path = contentPath(digest);
      writer.need(path);
      if (writer.there.get(path) === bytes.length) continue;
      if (digestOf(bytes, nodeSha256) !== digest) throw contentCorrupt(digest);
      await writer.start(path, bytes);
    }
  }
  // What is erased from now on need not stay on the disk for this reader.
  await content.close();
}

/** Gives the bytes of a blob, and fails at their end when they are not what its digest names: then no file is made of them. */
async function* checkedBlob(
  writer: BackupWriter,
  digest: Digest,
  size: number,
  { readBlob, signal }: DataOptions,
): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256');
  let length = 0;
  for await (const chunk of readBlob(digest)) {
    throwIfAborted(signal);
    hash.update(chunk);
    length += chunk.length;
    yield chunk;
    writer.advance(chunk.length);
  }
  if (length === size && digestFromHash(hash.digest()) === digest) return;
  throw new StoreError(
    'BLOB_CORRUPT',
    `cannot back up the layer blob ${digest}: its file has ${length} bytes, expected ${size} bytes of this digest`,
    { data: { digest, size, found: length } },
  );
}

/** Resolves with the events of the backup that is there: the log must begin with them. */
async function sizeOfFormer(folder: BackupFolder, head: Head, { log, sidecar }: BackupParts): Promise<number> {
  const { directory } = folder;
  const bytes = await folder.read(CHECKPOINT_PATH);
  if (bytes === undefined) return 0;
  const { origin, size, root } = formerCheckpoint(bytes, directory);
  const forked = (why: string): StoreError =>
    new StoreError('CHECKPOINT_FORKED', `cannot back up to ${directory}: ${why}`, {
      data: { directory, found: { origin, size }, expected: { origin: sidecar.origin, size: head.seq } },
    });
  if (origin !== sidecar.origin) throw forked(`its checkpoint is of the log ${origin}, expected ${sidecar.origin}`);
  if (size > head.seq) throw forked(`the backup has ${size} events, the log only ${head.seq}`);
  if (equalHashes(await treeRoot(log, size, nodeSha256), root)) return size;
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

async function readOwnSidecar(path: string): Promise<Uint8Array> {
  const bytes = await readRegularFile(path);
  if (bytes !== undefined) return bytes;
  throw new StoreError('SIDECAR_INVALID', `cannot back up the store: ${path} is missing`, { data: { path } });
}

function contentCorrupt(digest: Digest): StoreError {
  return new StoreError('CONTENT_CORRUPT', `cannot back up the content ${digest}: its bytes have another digest`, {
    data: { digest },
  });
}
