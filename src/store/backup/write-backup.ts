import { isStoreError, StoreError, throwIfAborted } from '../../errors.js';
import { parseTilePath, treeRoot } from '../../log/merkle.js';
import { equalBytes } from '../../model/bytes.js';
import { type BackupBytes, BackupFolder } from './backup-folder.js';
import {
  type BackupOptions,
  type BackupReport,
  BLOB_FOLDER,
  blobPath,
  CHECKPOINT_PATH,
  CONTENT_FOLDER,
  contentPath,
  digestOfName,
  needTarget,
  PACK_FOLDER,
  ParallelWork,
  sidecarText,
} from './backup-layout.js';
import { createHash } from 'node:crypto';
import { MAX_NOTE_BYTES, MAX_PACK_BYTES, MAX_PACKED_CONTENT_BYTES } from '../../limits.js';
import { type Checkpoint, parseCheckpoint } from '../../log/checkpoint.js';
import type { ContentReader, Head } from '../../log/log.js';
import { type Digest, digestFromHash, digestOf } from '../../model/digest.js';
import type { StoreContext } from '../context.js';
import { isExhaustion } from '../files/files.js';
import { checkLockTimeout, whenUnlocked } from '../open/lock.js';
import { backupVersion, parseSidecar, readSidecarBytes, type Sidecar, SIDECAR_FILE } from '../open/sidecar.js';
import { BackupReader } from './backup-reader.js';
import { treeFiles, treePaths } from './backup-tiles.js';
import { bytesInPack, PACK_START_BYTES, PackBuild, type PackHead } from './pack.js';

/** Files written concurrently: most of the time goes into syncs. */
const WRITES_AT_ONCE = 8;

/** Writes the files that a backup lacks, and tracks which ones it needs. */
export class BackupWriter {
  readonly #folder: BackupFolder;
  readonly #options: BackupOptions;
  readonly #work = new ParallelWork(WRITES_AT_ONCE);
  /** Sizes of the existing files, by path. */
  readonly there: Map<string, number>;
  readonly #needed = new Set<string>();
  readonly #written = { files: 0, bytes: 0 };
  readonly #progress = { done: 0, total: 0 };
  #removed = 0;

  constructor(folder: BackupFolder, there: Map<string, number>, options: BackupOptions) {
    this.#folder = folder;
    this.there = there;
    this.#options = options;
  }

  get directory(): string {
    return this.#folder.directory;
  }

  /** Marks a path as part of the finished backup. */
  need(path: string): void {
    this.#needed.add(path);
  }

  /** Adds expected bytes to the progress total. */
  expect(bytes: number): void {
    this.#progress.total += bytes;
  }

  /** Counts bytes written or found to exist. */
  advance(bytes: number): void {
    this.#progress.done += bytes;
    this.#options.onProgress?.(this.#progress.done, this.#progress.total);
  }

  /** Starts to write a file; a no-op when it has these bytes already. */
  async start(path: string, bytes: Uint8Array): Promise<void> {
    throwIfAborted(this.#options.signal);
    this.expect(bytes.length);
    await this.#work.start(() => this.#put(path, bytes));
  }

  /** Starts to write a file of this size from chunks, which the caller counts with `advance`. */
  async startCopy(path: string, chunks: AsyncIterable<Uint8Array>, size: number): Promise<void> {
    throwIfAborted(this.#options.signal);
    await this.#work.start(() => this.#write(path, chunks, size));
  }

  /** Resolves when all started files and their names are durable. Throws the first failure. */
  async finish(): Promise<void> {
    await this.#work.finish();
    await this.#folder.sync();
  }

  /** Resolves when all started work has ended, with success or failure. */
  settle(): Promise<void> {
    return this.#work.settle();
  }

  /** Writes a file as `start` does, and resolves when its bytes are durable. */
  async put(path: string, bytes: Uint8Array): Promise<void> {
    this.expect(bytes.length);
    await this.#put(path, bytes);
  }

  /** Removes files that the backup does not need; foreign files stay. */
  async removeUnneeded(): Promise<void> {
    for (const path of [...this.there.keys()]) {
      if (this.#needed.has(path) || !isBackupPath(path)) continue;
      await this.#folder.remove(path);
      this.there.delete(path);
      this.#removed += 1;
    }
    await this.#folder.sync();
  }

  numbers(): Pick<BackupReport, 'filesWritten' | 'bytesWritten' | 'filesRemoved' | 'files' | 'bytes'> {
    let bytes = 0;
    for (const path of this.#needed) bytes += this.there.get(path) ?? 0;
    return {
      filesWritten: this.#written.files,
      bytesWritten: this.#written.bytes,
      filesRemoved: this.#removed,
      files: this.#needed.size,
      bytes,
    };
  }

  async #put(path: string, bytes: Uint8Array): Promise<void> {
    const isNew = isBackupPath(path) && !this.there.has(path);
    const found = isNew ? undefined : await this.#folder.read(path, bytes.length);
    this.need(path);
    if (found !== undefined && equalBytes(found, bytes)) this.there.set(path, bytes.length);
    else await this.#write(path, bytes, bytes.length);
    this.advance(bytes.length);
  }

  async #write(path: string, bytes: BackupBytes, size: number): Promise<void> {
    await this.#folder.write(path, bytes);
    this.there.set(path, size);
    this.#written.files += 1;
    this.#written.bytes += size;
  }
}

function isBackupPath(path: string): boolean {
  const name = path.slice(path.lastIndexOf('/') + 1);
  const isNamedByDigest = [CONTENT_FOLDER, PACK_FOLDER, BLOB_FOLDER].some((folder) => path === `${folder}/${name}`);
  if (isNamedByDigest) return digestOfName(name) !== undefined;
  return parseTilePath(path) !== undefined;
}

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

/**
 * Starts to write the content that the backup lacks: small content into packs, large content into
 * its own files. Takes two readers of the same content, and closes them. Memory: a digest and its
 * size for each content, and the packs being written.
 * @throws {StoreError} CONTENT_CORRUPT when content to be written has another digest; ABORTED
 */
async function writeContent(
  writer: BackupWriter,
  [first, second]: readonly [ContentReader, ContentReader],
  signal: AbortSignal | undefined,
): Promise<void> {
  const packs = await packsOf(writer);
  if (packs.length === 0) {
    // Nothing to plan: all of it is new.
    await first.close();
    await writePacks(writer, second, { signal });
  } else {
    const { kept, written } = planPacks(await writeLargeContent(writer, first), packs);
    for (const { path } of kept) writer.need(path);
    if (written.size > 0) await writePacks(writer, second, { chosen: written, signal });
  }
  // Lets erasure from now on free disk space that this reader would pin.
  await second.close();
}

/** Writes content that does not go into packs; resolves with the sizes of what does. */
async function writeLargeContent(writer: BackupWriter, content: ContentReader): Promise<Map<Digest, number>> {
  const small = new Map<Digest, number>();
  for await (const page of content.pages()) {
    for (const { digest, bytes } of page) {
      if (bytes.length <= MAX_PACKED_CONTENT_BYTES) small.set(digest, bytes.length);
      else await writeLarge(writer, digest, bytes);
    }
  }
  await content.close();
  return small;
}

async function writeLarge(writer: BackupWriter, digest: Digest, bytes: Uint8Array): Promise<void> {
  const path = contentPath(digest);
  writer.need(path);
  if (writer.there.get(path) === bytes.length) return;
  if (digestOf(bytes) !== digest) throw contentCorrupt(digest);
  await writer.start(path, bytes);
}

/** Resolves with the packs in the backup whose head is whole; others are written again. */
async function packsOf(writer: BackupWriter): Promise<ExistingPack[]> {
  const reader = new BackupReader(writer.directory);
  const packs: ExistingPack[] = [];
  for (const path of writer.there.keys()) {
    if (!path.startsWith(`${PACK_FOLDER}/`)) continue;
    try {
      packs.push({ path, head: await reader.packHead(path) });
    } catch (error) {
      if (!isStoreError(error) || isExhaustion(error)) throw error;
    }
  }
  return packs;
}

interface ChosenContent {
  /** Small content; absent for all that there is, small or large. */
  readonly chosen?: ReadonlySet<Digest>;
  readonly signal: AbortSignal | undefined;
}

/** Starts to write packs with the chosen content, each as full as it can be. */
async function writePacks(
  writer: BackupWriter,
  content: ContentReader,
  { chosen, signal }: ChosenContent,
): Promise<void> {
  let pack = new PackBuild();
  const end = async (): Promise<void> => {
    const { name, bytes } = pack.finish();
    // A crash here leaves the new pack beside those that it replaces: content is in both.
    await writer.start(`${PACK_FOLDER}/${name}`, bytes);
    pack = new PackBuild();
  };
  for await (const page of content.pages()) {
    throwIfAborted(signal);
    for (const { digest, bytes } of page) {
      if (chosen?.has(digest) === false) continue;
      if (bytes.length > MAX_PACKED_CONTENT_BYTES) {
        await writeLarge(writer, digest, bytes);
        continue;
      }
      if (digestOf(bytes) !== digest) throw contentCorrupt(digest);
      if (!pack.hasRoomFor(bytes.length)) await end();
      pack.add(digest, bytes);
    }
  }
  if (!pack.isEmpty) await end();
}

function contentCorrupt(digest: Digest): StoreError {
  return new StoreError('CONTENT_CORRUPT', `cannot back up the content ${digest}: its bytes have another digest`, {
    data: { digest },
  });
}

/** A pack that is larger is not merged with others: what it holds is written once. */
const MERGED_PACK_BYTES = MAX_PACK_BYTES / 2;
/** Each pack is this much larger than all that are smaller, together: n runs leave log n packs. */
const GROWTH = 2;

/** A pack in a backup. */
export interface ExistingPack {
  readonly path: string;
  readonly head: PackHead;
}

/** What a run does about packs. */
interface PackPlan {
  /** Packs that stay as they are. All others are removed when the new ones are durable. */
  readonly kept: readonly ExistingPack[];
  /** Content to be written in new packs. */
  readonly written: ReadonlySet<Digest>;
}

/**
 * Decides which packs stay and which content goes into new ones. `content` is all that belongs in
 * packs, with its sizes. A pack with anything else in it, such as erased content, does not stay.
 */
export function planPacks(content: ReadonlyMap<Digest, number>, packs: readonly ExistingPack[]): PackPlan {
  const left = new Map(content);
  const kept: ExistingPack[] = [];
  // A merged pack comes before those that a killed run merged it from.
  for (const pack of [...packs].sort(bySize).reverse()) {
    if (!isWithin(pack, left)) continue;
    for (const { digest } of pack.head.contents()) left.delete(digest);
    kept.unshift(pack);
  }
  if (left.size === 0) return { kept, written: new Set() };
  let bytes = PACK_START_BYTES;
  for (const size of left.values()) bytes += bytesInPack(size);
  const written = new Set(left.keys());
  let merged = 0;
  for (const { head } of kept) {
    if (head.fileBytes > Math.min(MERGED_PACK_BYTES, GROWTH * bytes)) break;
    for (const { digest } of head.contents()) written.add(digest);
    bytes += head.fileBytes;
    merged += 1;
  }
  return { kept: kept.slice(merged), written };
}

function bySize(one: ExistingPack, other: ExistingPack): number {
  return one.head.fileBytes - other.head.fileBytes || (one.path < other.path ? -1 : 1);
}

function isWithin({ head }: ExistingPack, content: ReadonlyMap<Digest, number>): boolean {
  for (const { digest, size } of head.contents()) if (content.get(digest) !== size) return false;
  return true;
}
