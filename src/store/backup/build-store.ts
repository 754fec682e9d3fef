import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { blobsProjection, type BlobsView } from '../../../projections/blobs.js';
import { throwIfAborted } from '../../abort.js';
import { StoreError } from '../../errors.js';
import { MAX_ARCHIVE_JSON_BYTES, MAX_GROUP_BYTES, MAX_GROUP_EVENTS, MAX_SIDECAR_BYTES } from '../../limits.js';
import { parseCheckpoint } from '../../log/checkpoint.js';
import { LevelLog } from '../../log/level-log.js';
import type { LogEntry } from '../../log/log.js';
import { equalHashes } from '../../log/merkle/node-hash.js';
import { TILE_WIDTH, tileOfTree } from '../../log/merkle/tile.js';
import { decodeRecord } from '../../log/record.js';
import { type Digest, digestFromHash, digestOf } from '../../model/digest.js';
import { namedContent } from '../../model/named-content.js';
import { makeDurableDirectory, syncDirectory, writeDurableFile } from '../files/durable-file.js';
import { nodeSha256 } from '../files/node-hash.js';
import { SIDECAR_FILE } from '../open/sidecar.js';
import { BackupFolder } from './backup-folder.js';
import { BLOB_FOLDER, blobPath, CHECKPOINT_PATH, contentPath } from './backup-layout.js';
import type { BackupReader } from './backup-reader.js';

export interface BuildOptions {
  readonly reader: BackupReader;
  /** The content that was verified; no other is copied. */
  readonly content: ReadonlySet<Digest>;
  /** Text of the checkpoint that says what the backup holds. */
  readonly checkpoint: string;
  readonly signal?: AbortSignal | undefined;
}

/** Layer files that were written. */
export interface BuiltBlobs {
  readonly blobs: number;
  readonly blobBytes: number;
}

/**
 * Makes a store in the empty directory `place` of a backup that was verified; durable on return. What is read is checked again, as
 * it may have changed since.
 * @throws {StoreError} BACKUP_INVALID when it is not what its checkpoint says; DISK_FULL, IO_FAILED, ABORTED
 */
export async function buildStore(place: string, options: BuildOptions): Promise<BuiltBlobs> {
  const { reader, checkpoint } = options;
  const log = await LevelLog.open(join(place, 'log'), { createIfMissing: true, hash: nodeSha256 });
  let blobs: BlobsView;
  try {
    blobs = await new LogBuild(log, options).run();
  } finally {
    await log.close();
  }
  // LevelDB does not sync the directory after it named its first files.
  await syncDirectory(join(place, 'log'));
  const built = await copyBlobs(place, blobs, options);
  await writeDurableFile(join(place, CHECKPOINT_PATH), new TextEncoder().encode(checkpoint));
  // The sidecar comes last: without it, what a crash leaves passes for no store.
  await writeDurableFile(join(place, SIDECAR_FILE), await reader.file(SIDECAR_FILE, MAX_SIDECAR_BYTES));
  return built;
}

/** Appends the entries of a backup to an empty log, each with the content that it names. */
class LogBuild {
  readonly #log: LevelLog;
  readonly #options: BuildOptions;
  readonly #blobs = blobsProjection.initial();
  /** Content of the backup that is not in the log, or was and is erased by now. */
  #absent = new Set<Digest>();
  readonly #present = new Set<Digest>();
  #entries: LogEntry[] = [];
  #contents = new Map<Digest, Uint8Array | undefined>();
  #bytes = 0;

  constructor(log: LevelLog, options: BuildOptions) {
    this.#log = log;
    this.#options = options;
  }

  /** Resolves with the blobs that the log needs at its end. */
  async run(): Promise<BlobsView> {
    const { reader, content, checkpoint, signal } = this.#options;
    const { size, root } = parseCheckpoint(checkpoint);
    this.#absent = new Set(content);
    for (let index = 0; index * TILE_WIDTH < size; index++) {
      throwIfAborted(signal);
      for (const record of await reader.records(index, tileOfTree(0, index, size).width)) await this.#add(record);
    }
    await this.#append();
    await this.#log.purge();
    const { head } = this.#log;
    if (head.seq === size && equalHashes(head.root, root)) return this.#blobs;
    throw changed(`its entries give another tree than its checkpoint says`);
  }

  async #add(record: Uint8Array): Promise<void> {
    const event = decodeRecord(record);
    blobsProjection.evolve(this.#blobs, event);
    if (event.type === 'ContentErased') await this.#erase(event.digest);
    const digest = namedContent(event);
    const isNew = digest !== undefined && this.#absent.delete(digest);
    if (isNew && this.#contents.has(digest)) await this.#append();
    this.#entries.push({ event, record });
    this.#bytes += record.length;
    if (isNew) await this.#addContent(digest);
    if (this.#entries.length >= MAX_GROUP_EVENTS || this.#bytes >= MAX_GROUP_BYTES) await this.#append();
  }

  // Of what was erased and came again, bytes and removal must not be in one batch.
  async #erase(digest: Digest): Promise<void> {
    if (!this.#present.delete(digest)) return;
    if (this.#contents.has(digest)) await this.#append();
    this.#contents.set(digest, undefined);
    this.#absent.add(digest);
  }

  async #addContent(digest: Digest): Promise<void> {
    const path = contentPath(digest);
    const bytes = await this.#options.reader.file(path, MAX_ARCHIVE_JSON_BYTES);
    if (digestOf(bytes, nodeSha256) !== digest) throw changed(`${path} has other bytes than its name says`);
    this.#contents.set(digest, bytes);
    this.#present.add(digest);
    this.#bytes += bytes.length;
  }

  async #append(): Promise<void> {
    const [entries, content] = [this.#entries, this.#contents];
    this.#entries = [];
    this.#contents = new Map();
    this.#bytes = 0;
    await this.#log.append({ expectedHead: this.#log.head.seq, entries, content });
  }
}

async function copyBlobs(
  place: string,
  { byDigest }: BlobsView,
  { reader, signal }: BuildOptions,
): Promise<BuiltBlobs> {
  const folder = new BackupFolder(place);
  let blobBytes = 0;
  await makeDurableDirectory(join(place, BLOB_FOLDER));
  await folder.begin();
  for (const [digest, { size }] of byDigest) {
    await folder.write(blobPath(digest), checkedBlob(digest, size, { reader, signal }));
    blobBytes += size;
  }
  await folder.sync();
  await folder.end();
  return { blobs: byDigest.size, blobBytes };
}

async function* checkedBlob(
  digest: Digest,
  size: number,
  { reader, signal }: Pick<BuildOptions, 'reader' | 'signal'>,
): AsyncGenerator<Uint8Array> {
  const hash = createHash('sha256');
  let length = 0;
  for await (const chunk of reader.chunks(blobPath(digest))) {
    throwIfAborted(signal);
    length += chunk.length;
    if (length > size) throw changed(`${blobPath(digest)} has more than ${size} bytes`);
    hash.update(chunk);
    yield chunk;
  }
  if (digestFromHash(hash.digest()) !== digest) throw changed(`${blobPath(digest)} has other bytes than its name says`);
}

function changed(why: string): StoreError {
  return new StoreError('BACKUP_INVALID', `the backup changed while it was restored: ${why}`);
}
