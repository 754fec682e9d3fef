import { randomUUID } from 'node:crypto';
import { StoreError, thrownText } from '../../errors.js';
import { UPLOAD_IDLE_MS } from '../../limits.js';
import type { ContentName, Digest } from '../../model/digest.js';
import type { OptionNames } from '../../model/option-names.js';
import { mustBeCount, mustBeOptions, mustBeText } from '../argument-types.js';
import { IncomingUpload, type UploadHome, uploadNotFound } from './incoming-upload.js';
import { StagedBlobs, type StoreBytes } from './staged-blobs.js';
import { type FoundUpload, UploadFolder } from './upload-folder.js';
import type { UploadLimits, UploadOptions } from '../store.js';
import { defaultUploadLimits, type UploadCounts, UploadQuota } from './upload-quota.js';
import type { StagedUpload, Upload, UploadArea } from '../registry-store.js';

const limitNames: OptionNames<UploadLimits> = {
  uploadBytes: true,
  uploads: true,
  uploadsPerOwner: true,
  bytes: true,
  bytesPerOwner: true,
  blobs: true,
  blobsPerOwner: true,
  repositoriesPerBlob: true,
  expiryMs: true,
  idleMeters: true,
};

/** Returns all limits. @throws {TypeError} naming one that is unknown @throws {RangeError} no whole number */
export function checkedLimits(limits: UploadOptions): UploadLimits {
  mustBeOptions(limits, limitNames);
  const checked: Record<keyof UploadLimits, number> = { ...defaultUploadLimits };
  for (const name of Object.keys(checked) as (keyof UploadLimits)[]) {
    checked[name] = limits[name] ?? checked[name];
    mustBeCount(`uploads.${name}`, checked[name]);
  }
  return checked;
}

/** What uploads need of their store. */
interface UploadContext extends StoreBytes {
  readonly directory: string;
  readonly readOnly: boolean;
  readonly now: () => number;
  readonly onNotice: (notice: string) => void;
  /** When the bytes with this digest were last erased, milliseconds since the epoch. */
  readonly erasedAt: (digest: Digest) => number | undefined;
}

/** The upload area of a store, in its folder `uploads/`, which is made for the first upload. */
export class Uploads implements UploadArea {
  readonly #context: UploadContext;
  readonly #folder: UploadFolder;
  readonly #quota: UploadQuota;
  readonly #blobs: StagedBlobs;
  readonly #incoming = new Map<string, IncomingUpload>();
  /** Uploads with a meter that wait, in the order of their last request. */
  readonly #idle = new Set<IncomingUpload>();
  readonly #running = new Set<Promise<unknown>>();
  readonly #home: UploadHome;
  #opening: Promise<void> | undefined;
  #hasEnded = false;

  /** @throws as `checkedLimits` */
  constructor(context: UploadContext, limits: UploadOptions = {}) {
    this.#context = context;
    this.#folder = new UploadFolder(context.directory);
    this.#quota = new UploadQuota(checkedLimits(limits));
    const { now } = context;
    this.#blobs = new StagedBlobs({ folder: this.#folder, quota: this.#quota, source: context, now });
    this.#home = {
      quota: this.#quota,
      now,
      checkOpen: () => this.#checkWritable(),
      pathOf: (id) => this.#folder.incomingPath(id),
      removed: (upload) => this.#awaited(this.#removed(upload)),
      idle: (upload) => this.#becameIdle(upload),
      begin: ({ id, repository, owner, started }) => this.#folder.create(id, { repository, owner, started }),
      stage: ({ id, repository, owner }, finished) => this.#blobs.stage({ id, repository, owner, ...finished }),
    };
  }

  /**
   * Takes what an earlier process left, removes what a crash left and what expired. To be called
   * once, before the other calls. A read-only store has none.
   */
  open(): Promise<void> {
    this.#opening ??= this.#context.readOnly ? Promise.resolve() : this.#open();
    return this.#opening;
  }

  async #open(): Promise<void> {
    const { uploads, blobs, strays, damaged } = this.#folder.read();
    for (const found of uploads) {
      this.#quota.add(found.owner, 'uploads', 1);
      this.#quota.add(found.owner, 'bytes', found.size);
      this.#remember(found, true);
    }
    for (const found of blobs) this.#blobs.add(found);
    if (damaged.length > 0) {
      const { onNotice, directory } = this.#context;
      onNotice(`removed ${damaged.length} uploads of the store ${directory}: their records were damaged`);
    }
    await this.#folder.removeLost({ strays, damaged });
    // A crash between an erasure and the removal of its bytes.
    const erased = blobs.filter(({ digest, repositories }) => {
      const time = this.#context.erasedAt(digest);
      return time !== undefined && repositories.some(({ used }) => used <= time);
    });
    await this.#blobs.forget(erased.map(({ digest }) => digest));
    if (uploads.length + blobs.length > 0) await this.sweep();
  }

  get used(): Readonly<UploadCounts> {
    return this.#quota.used;
  }

  async start(repository: string, owner: string): Promise<Upload> {
    mustBeNamed(repository, owner);
    return this.#change(async () => {
      await this.#giveWay(owner);
      this.#quota.take(owner, 'uploads', 1);
      const started = this.#context.now();
      return this.#remember({ id: randomUUID(), repository, owner, started, size: 0, written: started }, false);
    });
  }

  /** Abandoned uploads would keep their owner from any other for a day: the one used longest ago goes first. */
  async #giveWay(owner: string): Promise<void> {
    const time = this.#context.now() - UPLOAD_IDLE_MS;
    for (;;) {
      const full = this.#quota.fullOf(owner);
      if (full === undefined) return;
      const idle = [...this.#incoming.values()].filter(
        (upload) => upload.isStale(time) && (full === 'all' || upload.owner === owner),
      );
      if (idle.length === 0) return;
      await idle.reduce((oldest, upload) => (upload.used < oldest.used ? upload : oldest)).cancel();
    }
  }

  async upload(repository: string, id: string): Promise<Upload> {
    this.#checkWritable();
    const upload = this.#incoming.get(id);
    if (upload?.repository !== repository) throw uploadNotFound(repository, id);
    upload.touch();
    return upload;
  }

  staged(repository: string, name: ContentName): StagedUpload | undefined {
    return this.#blobs.staged(repository, name);
  }

  repositoriesWith(name: ContentName): string[] {
    return this.#blobs.repositoriesWith(name);
  }

  async mount(repository: string, digest: Digest, owner: string, name: ContentName = digest): Promise<void> {
    mustBeNamed(repository, owner);
    await this.#change(() => this.#blobs.mount(repository, digest, owner, name));
  }

  async remove(repository: string, name: ContentName): Promise<boolean> {
    return this.#change(() => this.#blobs.remove(repository, name, { durably: true }));
  }

  async settle(repository: string, names: readonly ContentName[]): Promise<void> {
    await this.#change(async () => {
      // A crash before this leaves staged blobs that the store has too, until they expire.
      await Promise.all(names.map((name) => this.#blobs.remove(repository, name, { durably: false })));
    });
  }

  async forget(digests: readonly Digest[]): Promise<void> {
    await this.#change(() => this.#blobs.forget(digests));
  }

  async sweep(): Promise<void> {
    await this.#change(async () => {
      const time = this.#context.now() - this.#quota.limits.expiryMs;
      for (const upload of [...this.#incoming.values()]) {
        if (upload.isStale(time) && !this.#hasEnded) await upload.cancel();
      }
      await this.#blobs.expire(time);
      await this.#blobs.writeUses();
    });
  }

  async end(): Promise<void> {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    if (this.#context.readOnly) return;
    const suspended = [...this.#incoming.values()].map((upload) => upload.suspend(this.#closedError()));
    const failed = (await Promise.allSettled(suspended)).find(({ status }) => status === 'rejected');
    if (failed !== undefined) this.#context.onNotice('uploads that have no bytes yet end: they could not be recorded');
    await Promise.allSettled(this.#running);
    await this.#blobs.writeUses().catch((error: unknown) => {
      const why = thrownText(error);
      this.#context.onNotice(`staged blobs may expire early: their last use was not written: ${why}`);
    });
  }

  #checkWritable(): void {
    if (this.#hasEnded) throw this.#closedError();
    const { readOnly, directory } = this.#context;
    if (!readOnly) return;
    const message = `the store ${directory} was opened for reading only`;
    throw new StoreError('STORE_READ_ONLY', message, { data: { directory } });
  }

  #closedError(): StoreError {
    const { directory } = this.#context;
    return new StoreError('STORE_CLOSED', `the store ${directory} is closed`, { data: { directory } });
  }

  /** Runs what changes files, and lets `end` wait for it. */
  async #change<Result>(work: () => Promise<Result>): Promise<Result> {
    this.#checkWritable();
    return this.#awaited(work());
  }

  async #awaited<Result>(running: Promise<Result>): Promise<Result> {
    this.#running.add(running);
    try {
      return await running;
    } finally {
      this.#running.delete(running);
    }
  }

  #remember(found: FoundUpload, hasFiles: boolean): IncomingUpload {
    const upload = new IncomingUpload(found, this.#home, hasFiles);
    this.#incoming.set(found.id, upload);
    return upload;
  }

  async #removed(upload: IncomingUpload): Promise<void> {
    this.#idle.delete(upload);
    if (!this.#incoming.delete(upload.id)) return;
    this.#quota.add(upload.owner, 'uploads', -1);
    if (upload.hasFiles) await this.#folder.removeUpload(upload.id);
  }

  /** Frees the meter that has waited longest: of a thousand abandoned uploads most have none. */
  #becameIdle(upload: IncomingUpload): void {
    this.#idle.delete(upload);
    this.#idle.add(upload);
    for (const oldest of this.#idle) {
      if (this.#idle.size <= this.#quota.limits.idleMeters) break;
      this.#idle.delete(oldest);
      oldest.dropMeter();
    }
  }
}

/** A record with an empty name counts as damaged when the store opens. @throws {TypeError} */
function mustBeNamed(repository: string, owner: string): void {
  mustBeText('repository', repository);
  mustBeText('owner', owner);
}
