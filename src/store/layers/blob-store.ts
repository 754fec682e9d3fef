import { createReadStream, lstatSync } from 'node:fs';
import { type FileHandle, link, lstat, open, readdir, rename, rm } from 'node:fs/promises';
import { randomBytes } from 'node:crypto';
import { basename, dirname, join } from 'node:path';
import { Readable } from 'node:stream';
import { type Digest, digestHex, isDigest } from '../../model/digest.js';
import {
  inSystem,
  ioFailure,
  linkOrCopy,
  makeDurableDirectory,
  Mutex,
  NotAFile,
  openRegularFile,
  removeFile,
  syncDirectory,
  syncFile,
  systemCode,
  UNLINKABLE,
  unless,
  writeNewFile,
} from '../files/files.js';
import { StoreError } from '../../errors.js';
import { lentChunks, type NextBuffer, writeWhole } from '../files/write-durably.js';
import type { BlobsView } from '../../../projections/layers.js';
import type { Page } from '../../../projections/projection.js';

type AnyIterator = Iterator<unknown, unknown> | AsyncIterator<unknown, unknown>;

/**
 * Returns the chunks of `stream`, the argument `name` of a call, checking that each is bytes: a
 * file accepts strings too, and would keep other bytes than those hashed.
 * @throws {TypeError} naming the argument: at once if it is not a stream, while reading if a chunk
 *   is not a Uint8Array
 */
export function byteChunks(name: string, stream: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  const iterate = iteratorOf(stream);
  if (iterate === undefined) throw new TypeError(`${name} must be a stream of Uint8Array`);
  return { [Symbol.asyncIterator]: () => checkedChunks(name, iterate()) };
}

// No generator: its `return` would wait for the next chunk of a source that hangs.
function checkedChunks(name: string, chunks: AnyIterator): AsyncIterator<Uint8Array, undefined> {
  const end = async (): Promise<IteratorReturnResult<undefined>> => {
    await chunks.return?.();
    return { done: true, value: undefined };
  };
  return {
    next: async () => {
      const { done, value } = await chunks.next();
      if (done === true) return { done, value: undefined };
      if (value instanceof Uint8Array) return { value };
      await end();
      throw new TypeError(`each chunk of ${name} must be a Uint8Array`);
    },
    return: end,
  };
}

// Accepts a list of chunks as well as a stream.
function iteratorOf(value: unknown): (() => AnyIterator) | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  const stream = value as Partial<AsyncIterable<unknown> & Iterable<unknown>>;
  const iterate = stream[Symbol.asyncIterator] ?? stream[Symbol.iterator];
  return typeof iterate === 'function' ? iterate.bind(stream) : undefined;
}

/** Read size for staged files. */
const STAGED_CHUNK_BYTES = 256 * 1024;

/** Actions that errors name. */
const [STAGE, KEEP] = ['stage a layer', 'keep a layer blob'];

/** Called once a staged file is written, with its digest. Never rejects. */
type OnStaged = (file: StagedBlob, digest: Digest) => Promise<void>;

/**
 * A file below `blobs/staging/` that is being written, or waits to be kept or discarded; or bytes
 * that become such a file when they are kept; or a file lent from elsewhere, which stays there.
 */
export class StagedBlob {
  readonly path: string;
  readonly #onStaged: OnStaged;
  readonly #held: Uint8Array | undefined;
  /** Whether the file is another's, who removes it. */
  readonly isLent: boolean;
  #handle: FileHandle | undefined;
  #synced: Promise<void> | undefined;
  #isHere: boolean;

  private constructor(path: string, content: FileHandle | Uint8Array | undefined, onStaged: OnStaged, isLent = false) {
    this.path = path;
    this.#onStaged = onStaged;
    this.isLent = isLent;
    this.#held = content instanceof Uint8Array ? content : undefined;
    this.#handle = content instanceof Uint8Array ? undefined : content;
    this.#isHere = this.#handle !== undefined;
    this.#synced = isLent ? Promise.resolve() : undefined;
  }

  /** Creates an empty file. */
  static async create(path: string, onStaged: OnStaged): Promise<StagedBlob> {
    return new StagedBlob(path, await inSystem(STAGE, () => open(path, 'wx')), onStaged);
  }

  /** Holds `bytes`, which must not change, without a file yet. */
  static hold(path: string, bytes: Uint8Array): StagedBlob {
    return new StagedBlob(path, bytes, async () => undefined);
  }

  /** Lends a durable file, which is kept under a second name and never discarded. `bytes` are what it has. */
  static lend(path: string, bytes?: Uint8Array): StagedBlob {
    return new StagedBlob(path, bytes, async () => undefined, true);
  }

  /** Appends `chunk`; resolves when the system has it. */
  async write(chunk: Uint8Array): Promise<void> {
    await inSystem(STAGE, async () => {
      if (this.#handle === undefined) throw new TypeError('the staged file is closed');
      await writeWhole(this.#handle, chunk);
    });
  }

  /** Ends writing, closes the file (an archive may stage thousands) and announces `digest`. */
  async finish(digest?: Digest): Promise<void> {
    await this.#close();
    if (digest !== undefined) await this.#onStaged(this, digest);
  }

  read(): AsyncIterable<Uint8Array> {
    if (this.#held !== undefined) return only(this.#held);
    return createReadStream(this.path, { highWaterMark: STAGED_CHUNK_BYTES });
  }

  /** Resolves with the size of the file in bytes, or of the bytes that are held. */
  async size(): Promise<number | undefined> {
    return this.#held?.length ?? sizeOf(KEEP, this.path);
  }

  /**
   * Makes the bytes durable, after `finish`. Idempotent: the system reports a sync failure only
   * once, so every call shares one outcome.
   */
  sync(): Promise<void> {
    this.#synced ??= this.#held === undefined ? syncFile(this.path) : this.#writeHeld(this.#held);
    return this.#synced;
  }

  async #writeHeld(bytes: Uint8Array): Promise<void> {
    this.#isHere = true;
    await writeNewFile(this.path, bytes);
  }

  /** Makes a file that is lent appear at `path` too; false if something is there, or it can have no second name. */
  async linkTo(path: string): Promise<boolean> {
    if (!this.isLent) return false;
    return (await unless(['EEXIST', ...UNLINKABLE], KEEP, () => link(this.path, path).then(() => true))) ?? false;
  }

  /** Makes it the file at `path`, replacing what is there. `temporary` is a path beside that. */
  async moveTo(path: string, temporary: string): Promise<void> {
    if (!this.isLent) {
      await rename(this.path, path);
      this.#isHere = false;
      return;
    }
    try {
      await linkOrCopy(this.path, temporary);
      await rename(temporary, path);
    } finally {
      // The rename of one name of a file to another leaves both.
      await removeFile(temporary);
    }
  }

  /** Removes the file, unless kept or discarded already. Failures are left for the next sweep. */
  async discard(): Promise<void> {
    try {
      await this.#close();
      // Its outcome no longer matters, its file handle does.
      await this.#synced?.catch(() => undefined);
    } finally {
      if (this.#isHere) await rm(this.path, { force: true }).catch(leaveStagedForSweep);
      this.#isHere = false;
    }
  }

  async #close(): Promise<void> {
    const handle = this.#handle;
    this.#handle = undefined;
    await inSystem(STAGE, async () => handle?.close());
  }
}

/** A blob that the store has already, where a file that is being staged is expected. */
export class StoredBlob {
  readonly #blobs: BlobStore;
  readonly #digest: Digest;

  constructor(blobs: BlobStore, digest: Digest) {
    this.#blobs = blobs;
    this.#digest = digest;
  }

  read(): AsyncIterable<Uint8Array> {
    return this.#blobs.read(this.#digest);
  }

  /** Keeps the blob: its events decide over it. */
  async discard(): Promise<void> {
    await Promise.resolve();
  }
}

async function* only(bytes: Uint8Array): AsyncGenerator<Uint8Array> {
  yield bytes;
}

function leaveStagedForSweep(): void {
  // Nothing names the file: the caller hears about the layer, not about this.
}

/** Read size for blobs: with 256 KiB a save takes half as long again. */
const READ_CHUNK_BYTES = 1024 * 1024;

/** Staged files synced at the same time: as many as the system's threads can take. */
const KEPT_AT_ONCE = 16;

/** Staged files synced while the next ones are still being written: enough to keep a disk busy. */
const EARLY_SYNCS_AT_ONCE = 4;

/** A staged file that is to become the blob `digest`. */
export interface KeptBlob {
  readonly file: StagedBlob;
  readonly digest: Digest;
  /** Whether no event names the blob: a file of it is replaced without a check whether it is there. */
  readonly isNew?: boolean | undefined;
}

/**
 * Layer files below `blobs/`, exactly as received: `sha256/<hex>` when kept, `staging/` while
 * incoming. A blob is durable before any event names it, and removed only after the event that
 * frees it is durable: a crash in between leaves a file without an event, for `sweep`.
 */
export class BlobStore {
  readonly #directory: string;
  readonly #kept: string;
  readonly #staging: string;
  readonly #pins = new Map<Digest, number>();
  /** Begins the names of staged files. */
  readonly #stagedBy = randomBytes(12).toString('hex');
  #staged = 0;
  /** Syncs of staged files in progress while others are still written. */
  readonly #early = new Set<Promise<void>>();
  /** Running `isInOrder` checks, and whether their blob was in use meanwhile. */
  readonly #looks = new Set<{ readonly digest: Digest; isInFlight: boolean }>();
  /** Serializes changes: one must not find a blob that another is removing. */
  readonly #mutex = new Mutex();
  #isEnding = false;
  #mayRemove = true;

  constructor(directory: string) {
    this.#directory = directory;
    this.#kept = join(directory, 'sha256');
    this.#staging = join(directory, 'staging');
  }

  /**
   * Creates the directories, durable on return. None may be a link: `sweep` removes what this store
   * does not need, and a folder shared by two stores has no lock.
   */
  async makeDirectories(): Promise<void> {
    const [above, blobs] = [dirname(this.#directory), basename(this.#directory)];
    for (const folder of [this.#kept, this.#staging]) await makeDurableDirectory(above, `${blobs}/${basename(folder)}`);
  }

  /** Stops all removal: which blobs durable events name is no longer known. */
  removeNothing(): void {
    this.#mayRemove = false;
  }

  /** Removes again; what stayed meanwhile is left to the next sweep. */
  removeAgain(): void {
    this.#mayRemove = !this.#isEnding;
  }

  /**
   * Refuses new blobs and resolves when pending removals are done; afterwards none is removed. What
   * is needed is then up to the directory's next owner.
   */
  async end(): Promise<void> {
    this.#isEnding = true;
    await this.#mutex.run(async () => this.removeNothing());
  }

  /** Opens a new staged file; archive readers stage through this. @throws {StoreError} STORE_CLOSED */
  async create(): Promise<StagedBlob> {
    this.#checkOpen();
    return StagedBlob.create(this.#newPath(), (file, digest) => this.#syncEarly(file, digest));
  }

  /**
   * Stages `bytes` of a small file, which must not change: written when kept, and never when the
   * blob is there already.
   */
  hold(bytes: Uint8Array): StagedBlob {
    return StagedBlob.hold(this.#newPath(), bytes);
  }

  /**
   * Makes staged files durable blobs; discards those that exist already. Pin the digests first, so
   * that none is removed before its event is durable.
   * @throws {StoreError} STORE_CLOSED
   */
  async keep(blobs: readonly KeptBlob[]): Promise<void> {
    if (blobs.length === 0) return;
    const keepAll = async (): Promise<void> => {
      this.#checkOpen();
      await this.#keepAtOnce(blobs);
    };
    await inSystem(KEEP, async () => {
      await this.#mutex.run(keepAll);
      // Shared by those who keep blobs at the same time. A crash before this line may lose the names;
      // nothing names these blobs yet.
      await syncDirectory(this.#kept);
    });
  }

  /**
   * Streams a blob in chunks that the reader owns; with `nextBuffer` they are lent, each valid
   * until its buffer is given out again.
   * @throws {StoreError} BLOB_MISSING, BLOB_CORRUPT when it is not a file, IO_FAILED
   */
  async *read(digest: Digest, nextBuffer?: NextBuffer): AsyncGenerator<Uint8Array> {
    try {
      const path = this.#path(digest);
      if (nextBuffer !== undefined) return yield* lentChunks(path, nextBuffer);
      const file = await openRegularFile(path);
      // The stream closes the file.
      yield* file.createReadStream({ highWaterMark: READ_CHUNK_BYTES });
    } catch (error) {
      // The file system's own error names a path, not what the caller asked for.
      throw readFailure(digest, error);
    }
  }

  /** As `stream`, in chunks that are lent, as `read` lends them. */
  async *lend(
    digest: Digest,
    nextBuffer: NextBuffer,
    range?: { readonly first: number; readonly last: number },
  ): AsyncGenerator<Uint8Array> {
    try {
      yield* lentChunks(this.#path(digest), nextBuffer, range);
    } catch (error) {
      throw readFailure(digest, error);
    }
  }

  /** Streams a blob, or the bytes of it from `first` to `last`, as `read` does. */
  stream(digest: Digest, range?: { readonly first: number; readonly last: number }): Readable {
    const open = async function* (path: string): AsyncGenerator<Uint8Array> {
      try {
        const file = await openRegularFile(path);
        const part = range === undefined ? {} : { start: range.first, end: range.last };
        yield* file.createReadStream({ highWaterMark: READ_CHUNK_BYTES, ...part });
      } catch (error) {
        throw readFailure(digest, error);
      }
    };
    return Readable.from(open(this.#path(digest)), { objectMode: false, highWaterMark: READ_CHUNK_BYTES });
  }

  /** Keeps `digest` from being removed until `unpin`. */
  pin(digest: Digest): void {
    for (const look of this.#looks) if (look.digest === digest) look.isInFlight = true;
    this.#pins.set(digest, (this.#pins.get(digest) ?? 0) + 1);
  }

  /** Returns the size in bytes of a blob's file; undefined when missing or a link. */
  size(digest: Digest): number | undefined {
    try {
      const found = lstatSync(this.#path(digest), { throwIfNoEntry: false });
      return found?.isSymbolicLink() === true ? undefined : found?.size;
    } catch (error) {
      throw ioFailure(`look for the blob ${digest}`, error);
    }
  }

  /**
   * Gives the blob a second name, which stays when the blob is removed. Resolves with false when its
   * file is missing or a link.
   */
  async linkTo(digest: Digest, path: string): Promise<boolean> {
    if (this.size(digest) === undefined) return false;
    const linked = async (): Promise<true> => {
      await linkOrCopy(this.#path(digest), path);
      return true;
    };
    return (await unless(['ENOENT'], `link the blob ${digest}`, linked)) ?? false;
  }

  unpin(digest: Digest): void {
    const pins = (this.#pins.get(digest) ?? 0) - 1;
    if (pins > 0) this.#pins.set(digest, pins);
    else this.#pins.delete(digest);
  }

  isPinned(digest: Digest): boolean {
    return this.#pins.has(digest);
  }

  /**
   * Resolves with whether the file of `digest` exists exactly when it is needed, or changed during
   * the check. Checks after all removals requested so far.
   */
  async isInOrder(digest: Digest, isNeeded: (digest: Digest) => boolean): Promise<boolean> {
    const wasNeeded = isNeeded(digest);
    const look = { digest, isInFlight: this.#pins.has(digest) };
    this.#looks.add(look);
    try {
      const isThere =
        (await this.#mutex.run(() => sizeOf(`look for the blob ${digest}`, this.#path(digest)))) !== undefined;
      // A blob unpinned or freed since the request has its removal queued behind this check.
      return look.isInFlight || wasNeeded !== isNeeded(digest) || isThere === wasNeeded;
    } finally {
      this.#looks.delete(look);
    }
  }

  /** Removes those of `digests` neither pinned nor needed. Failures are left for the next sweep. */
  async removeUnneeded(digests: Iterable<Digest>, isNeeded: (digest: Digest) => boolean): Promise<void> {
    await this.#mutex.run(async () => {
      for (const digest of digests) {
        if (!this.#mayRemove || this.#pins.has(digest) || isNeeded(digest)) continue;
        if (this.#mayBeThere(digest)) await removeFile(this.#path(digest)).catch(leaveForSweep);
      }
    });
  }

  /** Removes a crash's staged files and unneeded blobs. Returns the number of blobs. */
  async sweep(isNeeded: (digest: Digest) => boolean): Promise<number> {
    await this.discardStaged();
    const names = await inSystem(`sweep ${this.#kept}`, () => readdir(this.#kept));
    const digests = names.map((name) => `sha256:${name}`).filter(isDigest);
    const garbage = digests.filter((digest) => !isNeeded(digest));
    await this.removeUnneeded(garbage, isNeeded);
    return garbage.length;
  }

  /** Removes every staged file. */
  async discardStaged(): Promise<void> {
    await inSystem(`sweep ${this.#staging}`, async () => {
      for (const name of await readdir(this.#staging))
        await rm(join(this.#staging, name), { recursive: true, force: true });
    });
  }

  /**
   * Starts to sync a new layer while the next one is read: without it, a load of 380 MB spent 0.3
   * of its 1.1 s waiting for that at its end. `keep` awaits it and throws its failure. A layer that
   * exists already costs no disk write.
   */
  async #syncEarly(file: StagedBlob, digest: Digest): Promise<void> {
    if ((await sizeOf(KEEP, this.#path(digest)).catch(() => undefined)) !== undefined) return;
    while (this.#early.size >= EARLY_SYNCS_AT_ONCE) await Promise.race(this.#early);
    const ended = file.sync().then(
      () => void this.#early.delete(ended),
      () => void this.#early.delete(ended),
    );
    this.#early.add(ended);
  }

  /** Awaits all before throwing the first failure: none may continue once the mutex is released. */
  async #keepAtOnce(blobs: readonly KeptBlob[]): Promise<void> {
    const left = blobs.values();
    let hasFailed = false;
    const keepInTurn = async (): Promise<void> => {
      for (const blob of left) {
        if (hasFailed) return;
        await this.#keepOne(blob).catch((error: unknown) => {
          hasFailed = true;
          throw error;
        });
      }
    };
    const outcomes = await Promise.allSettled(Array.from({ length: KEPT_AT_ONCE }, keepInTurn));
    const failure = outcomes.find((outcome) => outcome.status === 'rejected');
    if (failure !== undefined) throw failure.reason;
  }

  async #keepOne({ file, digest, isNew = false }: KeptBlob): Promise<void> {
    const path = this.#path(digest);
    if (isNew && (await file.linkTo(path))) return;
    // A file of another size is a damaged blob: replace it. Two loads may have the same lent file.
    const there = isNew && !file.isLent ? undefined : await sizeOf(KEEP, path);
    if (there !== undefined && there === (await file.size())) return file.discard();
    await file.sync();
    await file.moveTo(path, this.#newPath());
  }

  /** Asked here, since a config of a push never is, and a turn of a thread costs more. */
  #mayBeThere(digest: Digest): boolean {
    try {
      return lstatSync(this.#path(digest), { throwIfNoEntry: false }) !== undefined;
    } catch {
      // The removal says why.
      return true;
    }
  }

  #checkOpen(): void {
    if (this.#isEnding) throw new StoreError('STORE_CLOSED', 'cannot take a layer: the store is closed');
  }

  // Random, since a crash may have left files of another process.
  #newPath(): string {
    this.#staged += 1;
    return join(this.#staging, `${this.#stagedBy}-${this.#staged}`);
  }

  #path(digest: Digest): string {
    return join(this.#kept, digestHex(digest));
  }
}

async function sizeOf(action: string, path: string): Promise<number | undefined> {
  const found = await unless(['ENOENT'], action, () => lstat(path));
  // The target of a link may go, and the blob with it: replace it.
  return found?.isSymbolicLink() === true ? undefined : found?.size;
}

function leaveForSweep(): void {
  // The blob is garbage already: the next open's sweep retries.
}

function readFailure(digest: Digest, error: unknown): StoreError {
  if (error instanceof NotAFile) {
    return new StoreError('BLOB_CORRUPT', `the layer blob ${digest} is not a file`, { data: { digest } });
  }
  if (systemCode(error) !== 'ENOENT') return ioFailure(`read the blob ${digest}`, error);
  return new StoreError('BLOB_MISSING', `the layer blob ${digest} is missing from the store`, {
    cause: error,
    data: { digest },
  });
}

/** Removes blob files once the events that free them are durable. */
export class BlobCleaner {
  readonly #blobs: BlobStore;
  readonly #view: () => BlobsView;
  #running: Promise<void> = Promise.resolve();

  constructor(blobs: BlobStore, view: () => BlobsView) {
    this.#blobs = blobs;
    this.#view = view;
  }

  isNeeded(digest: Digest): boolean {
    return this.#view().byDigest.has(digest);
  }

  /** Folds a durable page with `fold`, then starts to remove the blobs that it freed. */
  cleanAfter(page: Page, fold: (page: Page) => void): void {
    const candidates = this.#freedBy(page);
    fold(page);
    if (candidates.size === 0) return;
    const isNeeded = (digest: Digest): boolean => this.isNeeded(digest);
    // Requested immediately, so that later checks of such a blob queue behind its removal.
    this.#running = this.#blobs.removeUnneeded(candidates, isNeeded);
  }

  /** Resolves when every removal that was started is done. */
  async settled(): Promise<void> {
    await this.#running;
  }

  // Runs before the fold: the view forgets which blobs the manifests of a deleted image named.
  #freedBy(page: Page): Set<Digest> {
    const freed = new Set<Digest>();
    for (const event of page) {
      if (event.type === 'LayerRemoved') freed.add(event.blob.digest);
      else if (event.type === 'ArtifactRemoved') for (const { digest } of event.blobs) freed.add(digest);
      if (event.type !== 'ImageDeleted') continue;
      for (const { digest } of this.#view().ofImage.get(event.image) ?? []) freed.add(digest);
    }
    return freed;
  }
}
