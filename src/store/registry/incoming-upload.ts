import { createHash } from 'node:crypto';
import { type FileHandle, open } from 'node:fs/promises';
import { StoreError } from '../../errors.js';
import { LayerMeter, type Measurement } from '../../archive/layer-meter.js';
import { type ContentName, isContentName, isDigest } from '../../model/digest.js';
import { inSystem, openRegularFile } from '../files/files.js';
import { readAhead } from '../files/read-ahead.js';
import { RunningSync, writeWhole } from '../files/write-durably.js';
import { byteChunks } from '../layers/blob-store.js';
import type { FoundUpload } from './upload-folder.js';
import type { UploadQuota } from './upload-quota.js';
import type { AppendOptions, StagedUpload, Upload } from '../registry-store.js';

/** What an upload needs of the area that it is in. */
export interface UploadHome {
  readonly quota: UploadQuota;
  readonly now: () => number;
  /** @throws {StoreError} STORE_CLOSED */
  checkOpen(): void;
  pathOf(id: string): string;
  /** Makes the record of an upload that gets a file. */
  begin(upload: IncomingUpload): Promise<void>;
  /** Removes what is left of an upload that ended. */
  removed(upload: IncomingUpload): Promise<void>;
  /** Stages its bytes: those of its file, which is durable, or `bytes`. They no longer count for the upload. */
  stage(upload: IncomingUpload, finished: Finished): Promise<StagedUpload>;
  /** Hears that the upload waits for its next request with a meter. */
  idle(upload: IncomingUpload): void;
}

interface Finished {
  readonly measurement: Measurement;
  /** SHA-512 digest by which the client named it. */
  readonly alias: ContentName | undefined;
  /** All of its bytes if it has no file. */
  readonly bytes: Uint8Array | undefined;
}

/** The file of an upload while bytes are appended to it. */
interface Output {
  readonly file: FileHandle;
  readonly sync: RunningSync;
}

/**
 * A file that bytes are appended to, and a meter that has seen the same bytes. What `append`
 * acknowledged is in the system's cache, so it survives this process; after power loss the file may be
 * shorter, and its size says so. A failure of the disk or of a limit ends an upload: its room is given
 * back. One whose bytes fit into a buffer and all come with the last request has no files: they stay in
 * memory until `finish` stages them.
 */
export class IncomingUpload implements Upload {
  readonly id: string;
  readonly repository: string;
  readonly owner: string;
  /** Milliseconds since the epoch. */
  readonly started: number;
  readonly #home: UploadHome;
  #hasFiles: boolean;
  /** The bytes of an upload without files. */
  #held: Uint8Array = new Uint8Array(0);
  #size: number;
  #used: number;
  /** Whether all of its bytes are known to be on the disk. */
  #isDurable = false;
  /** Absent when it has not seen the bytes: they are read once before more come. */
  #meter: LayerMeter | undefined;
  /** What a request does with the upload, one at a time. */
  #work: { readonly done: Promise<unknown>; readonly stop: AbortController } | undefined;
  /** Whether it was finished, cancelled or removed: no request may begin. */
  #isOver = false;

  constructor({ id, repository, owner, started, size, written }: FoundUpload, home: UploadHome, hasFiles: boolean) {
    this.id = id;
    this.repository = repository;
    this.owner = owner;
    this.started = started;
    this.#home = home;
    this.#hasFiles = hasFiles;
    this.#size = size;
    // A clock that was set back does not keep it for longer.
    this.#used = Math.min(Math.max(started, written), home.now());
  }

  get size(): number {
    return this.#size;
  }

  /** When it was last used, milliseconds since the epoch. */
  get used(): number {
    return this.#used;
  }

  /** Whether it has a record, and may have a file of its bytes. */
  get hasFiles(): boolean {
    return this.#hasFiles;
  }

  /** Whether nobody used it since `time`. */
  isStale(time: number): boolean {
    return this.#work === undefined && this.#used <= time;
  }

  /** Postpones its expiry. */
  touch(): void {
    this.#used = this.#home.now();
  }

  async append(bytes: AsyncIterable<Uint8Array>, from?: number, options: AppendOptions = {}): Promise<number> {
    const chunks = byteChunks('bytes', bytes)[Symbol.asyncIterator]();
    return this.#alone(async (signal) => {
      if (from !== undefined && from !== this.#size) {
        const message = `the upload has ${this.#size} bytes: cannot continue it from ${from}`;
        throw new StoreError('UPLOAD_OUT_OF_ORDER', message, { data: { size: this.#size, from } });
      }
      await this.#appendAll(chunks, { signal, ...options });
      return this.#size;
    }).finally(() => leave(chunks));
  }

  async finish(name: ContentName): Promise<StagedUpload> {
    if (!isContentName(name))
      throw new StoreError('DIGEST_INVALID', `${JSON.stringify(name.slice(0, 100))} is not a digest`);
    return this.#alone(async (signal) => {
      const measurement = await this.#orEnd(signal, () => this.#measured(signal));
      const alias = isDigest(name) ? undefined : await this.#orEnd(signal, () => this.#sha512(signal));
      const found = alias ?? measurement.blob.digest;
      if (found === name) {
        const bytes = this.#hasFiles ? undefined : this.#held;
        const staged = await this.#orEnd(signal, () => this.#home.stage(this, { measurement, alias, bytes }));
        this.#size = 0;
        await this.#end().catch(leaveForNextOpen);
        return staged;
      }
      await this.#end().catch(leaveForNextOpen);
      const message = `the upload is not ${name}: its bytes have the digest ${found}`;
      throw new StoreError('BLOB_MISMATCH', message, { data: { expected: name, found } });
    });
  }

  /** Reads the bytes again: few clients name them so, and only at the end. */
  async #sha512(signal: AbortSignal): Promise<ContentName> {
    const hash = createHash('sha512');
    await this.#readAll(signal, (chunk) => hash.update(chunk));
    return `sha512:${hash.digest('hex')}`;
  }

  async cancel(): Promise<void> {
    this.#home.checkOpen();
    this.#isOver = true;
    await this.#stopWork(uploadNotFound(this.repository, this.id));
    await this.#end();
  }

  /** Stops the request that works on it; the files stay, and the next open finds it by its record. */
  async suspend(reason: StoreError): Promise<void> {
    await this.#stopWork(reason);
    this.dropMeter();
    if (!this.#hasFiles && !this.#isOver) await this.#home.begin(this);
  }

  async #stopWork(reason: StoreError): Promise<void> {
    this.#work?.stop.abort(reason);
    await this.#work?.done.catch(() => undefined);
  }

  /** Frees the meter of an upload that waits. */
  dropMeter(): void {
    if (this.#work !== undefined) return;
    this.#meter?.destroy();
    this.#meter = undefined;
  }

  async #alone<Result>(work: (signal: AbortSignal) => Promise<Result>): Promise<Result> {
    this.#home.checkOpen();
    if (this.#isOver) throw uploadNotFound(this.repository, this.id);
    if (this.#work !== undefined) {
      throw new StoreError('UPLOAD_OUT_OF_ORDER', 'another request works on the upload', { data: { id: this.id } });
    }
    this.touch();
    const stop = new AbortController();
    const done = work(stop.signal);
    this.#work = { done, stop };
    try {
      return await done;
    } finally {
      this.#work = undefined;
      this.touch();
      if (!this.#isOver) this.#home.idle(this);
    }
  }

  async #appendAll(
    chunks: AsyncIterator<Uint8Array>,
    { signal, isLast = false }: AppendOptions & { readonly signal: AbortSignal },
  ): Promise<void> {
    const meter = await this.#orEnd(signal, () => this.#caughtUp(signal));
    let output: Output | undefined;
    const take = async (chunk: Uint8Array): Promise<void> => {
      output ??= await this.#openFile();
      await this.#take(chunk, output, meter);
    };
    try {
      const mayHold = isLast && !this.#hasFiles && this.#size === 0;
      const rest = await this.#takeAll(chunks, { signal, take, isPatient: mayHold });
      const hold = (): Promise<void> => this.#take(rest, undefined, meter);
      if (rest.length > 0) await this.#orEnd(signal, () => (mayHold && output === undefined ? hold() : take(rest)));
      if (output === undefined) return;
      const { sync } = output;
      await this.#orEnd(signal, () => inSystem(APPEND, () => (isLast ? sync.finish() : sync.pause())));
      this.#isDurable = isLast;
    } finally {
      await this.#close(output);
    }
  }

  /** Opens the file to append to; creates it with its record, and writes the bytes that were held. */
  async #openFile(): Promise<Output> {
    if (!this.#hasFiles) {
      // A failure may leave a part of them.
      this.#hasFiles = true;
      await this.#home.begin(this);
    }
    const file = await inSystem(APPEND, () => open(this.#path, 'a', 0o600));
    try {
      await inSystem(APPEND, () => writeWhole(file, this.#held));
      this.#held = new Uint8Array(0);
      return { file, sync: new RunningSync(file) };
    } catch (error) {
      await file.close();
      throw error;
    }
  }

  async #close(output: Output | undefined): Promise<void> {
    await output?.sync.settled();
    await output?.file.close();
  }

  /**
   * Passes on chunks, joined, and returns those after the last that were passed. What the source throws
   * leaves what came before: the sender continues it. Unless `isPatient`, who asks how far it is sees
   * what came before a pause.
   */
  async #takeAll(chunks: AsyncIterator<Uint8Array>, { signal, take, isPatient }: Taking): Promise<Uint8Array> {
    const gathered = new GatheredChunks();
    const flush = async (): Promise<void> => {
      const rest = gathered.rest();
      if (rest.length > 0) await this.#orEnd(signal, () => take(rest));
    };
    for (;;) {
      let next: IteratorResult<Uint8Array, unknown>;
      try {
        const coming = nextChunk(chunks, signal);
        if (!isPatient && !gathered.isEmpty && (await isLate(coming))) await flush();
        next = await coming;
      } catch (error) {
        await flush();
        throw error;
      }
      if (next.done === true) return gathered.rest();
      const { value } = next;
      if (!gathered.fits(value)) await flush();
      if (gathered.fits(value)) gathered.add(value);
      else await this.#orEnd(signal, () => take(value));
    }
  }

  /** Takes a chunk into its file, or holds it: then it must not change. */
  async #take(chunk: Uint8Array, output: Output | undefined, meter: LayerMeter): Promise<void> {
    const { quota } = this.#home;
    quota.checkUploadSize(this.#size + chunk.length, this.owner);
    quota.take(this.owner, 'bytes', chunk.length);
    this.#size += chunk.length;
    this.#isDurable = false;
    if (output === undefined) {
      this.#held = chunk;
      return meter.write(chunk);
    }
    const { file, sync } = output;
    await inSystem(APPEND, async () => {
      // Both end before the sender may reuse the bytes.
      const [written, measured] = await Promise.allSettled([writeWhole(file, chunk), meter.write(chunk)]);
      for (const outcome of [written, measured]) if (outcome.status === 'rejected') throw outcome.reason;
      sync.start(chunk.length);
    });
  }

  async #measured(signal: AbortSignal): Promise<Measurement> {
    const meter = await this.#caughtUp(signal);
    const measurement = await meter.finish();
    this.#meter = undefined;
    if (this.#hasFiles && !this.#isDurable) {
      await inSystem('stage an upload', async () => {
        // One without bytes may have a record alone.
        const file = await open(this.#path, 'a', 0o600);
        await file.sync().finally(() => file.close());
      });
    }
    return measurement;
  }

  /** Returns the meter, after it has read the file if it must. */
  async #caughtUp(signal: AbortSignal): Promise<LayerMeter> {
    if (this.#meter !== undefined) return this.#meter;
    const meter = new LayerMeter();
    this.#meter = meter;
    if (this.#size > 0) await this.#readAll(signal, (chunk) => meter.write(chunk));
    return meter;
  }

  /** Reads again what came so far. */
  async #readAll(signal: AbortSignal, use: (chunk: Uint8Array) => unknown): Promise<void> {
    if (!this.#hasFiles) return void (await use(this.#held));
    await inSystem('read an upload', async () => {
      for await (const chunk of readAhead(await openRegularFile(this.#path))) {
        signal.throwIfAborted();
        await use(chunk);
      }
    });
  }

  /** Ends the upload if `work` fails, unless it was stopped, which decides what happens to it. */
  async #orEnd<Result>(signal: AbortSignal, work: () => Promise<Result>): Promise<Result> {
    try {
      return await work();
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      await this.#end().catch(leaveForNextOpen);
      throw error;
    }
  }

  async #end(): Promise<void> {
    this.#isOver = true;
    this.#meter?.destroy();
    this.#meter = undefined;
    this.#held = new Uint8Array(0);
    this.#home.quota.add(this.owner, 'bytes', -this.#size);
    this.#size = 0;
    await this.#home.removed(this);
  }

  get #path(): string {
    return this.#home.pathOf(this.id);
  }
}

/** Returns the error for an upload that is not in progress. */
export function uploadNotFound(repository: string, id: string): StoreError {
  const message = `no upload in progress of ${repository} has this id: it ended, expired, or never was`;
  return new StoreError('UPLOAD_NOT_FOUND', message, { data: { repository, id: id.slice(0, 100) } });
}

/** Action that errors name. */
const APPEND = 'append to an upload';

/** How chunks are taken. */
interface Taking {
  readonly signal: AbortSignal;
  readonly take: (chunk: Uint8Array) => Promise<void>;
  readonly isPatient: boolean;
}

/** Sockets give 64 KiB at most: each write and each turn of a decoder costs as much as some of these. */
const GATHERED_BYTES = 256 * 1024;
/** A slow sender has no more. */
const FIRST_BYTES = 16 * 1024;

/** Joins small chunks, which their sender may reuse, into larger ones. */
class GatheredChunks {
  #buffer = new Uint8Array(0);
  #size = 0;

  get isEmpty(): boolean {
    return this.#size === 0;
  }

  /** Returns whether there is room for `chunk`; else `rest` goes first, and what fits nowhere by itself. */
  fits(chunk: Uint8Array): boolean {
    return this.#size + chunk.length <= GATHERED_BYTES;
  }

  /** Adds a copy of a chunk that fits. */
  add(chunk: Uint8Array): void {
    const size = this.#size + chunk.length;
    if (size > this.#buffer.length) {
      const larger = new Uint8Array(Math.min(GATHERED_BYTES, Math.max(FIRST_BYTES, 2 * size)));
      larger.set(this.#buffer.subarray(0, this.#size));
      this.#buffer = larger;
    }
    this.#buffer.set(chunk, this.#size);
    this.#size = size;
  }

  /** Returns what was added since the last call, valid until the next `add`. */
  rest(): Uint8Array {
    const rest = this.#buffer.subarray(0, this.#size);
    this.#size = 0;
    return rest;
  }
}

/**
 * Pulls the next chunk, unless `signal` aborts first: it rejects with the signal's reason even
 * while the source hangs. A listener for each pull, since a race against one promise for all of
 * them would keep every pull in memory.
 */
function nextChunk(
  chunks: AsyncIterator<Uint8Array>,
  signal: AbortSignal,
): Promise<IteratorResult<Uint8Array, unknown>> {
  return new Promise((resolve, reject) => {
    const stop = (): void => reject(signal.reason);
    if (signal.aborted) return stop();
    signal.addEventListener('abort', stop, { once: true });
    chunks
      .next()
      .then(resolve, reject)
      .finally(() => signal.removeEventListener('abort', stop));
  });
}

/** Milliseconds without a chunk after which those that came are written. */
const PAUSE_MS = 20;

function isLate(coming: Promise<unknown>): Promise<boolean> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => resolve(true), PAUSE_MS);
    const end = (): void => {
      clearTimeout(timer);
      resolve(false);
    };
    coming.then(end, end);
  });
}

/** Lets the source go without waiting: one that hangs would only end after its next bytes. */
function leave(chunks: AsyncIterator<Uint8Array>): void {
  void Promise.resolve(chunks.return?.()).catch(() => undefined);
}

function leaveForNextOpen(): void {
  // The request has its own outcome; files that cannot be removed now wait for the next open.
}
