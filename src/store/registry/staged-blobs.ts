import { createReadStream } from 'node:fs';
import type { Readable } from 'node:stream';
import { StoreError } from '../../errors.js';
import type { Measurement } from '../../archive/layer-meter.js';
import type { ContentName, Digest } from '../../model/digest.js';
import { RecentMap } from '../../model/collections.js';
import { Mutex, writeNewFile } from '../files/files.js';
import { type BlobStore, StagedBlob } from '../layers/blob-store.js';
import type { FoundBlob, UploadFolder } from './upload-folder.js';
import type { UploadQuota } from './upload-quota.js';
import type { ByteRange, StagedUpload } from '../registry-store.js';

/** Read size for staged blobs. */
const READ_CHUNK_BYTES = 1024 * 1024;

/** Configs that were just uploaded are read once, by the push of their manifest: at most so many, so large. */
const RECENT_BLOBS = 64;
const RECENT_BYTES = 64 * 1024;

/** What a blob is staged from: an upload, or a blob or content of the store. */
export interface StoreBytes {
  readonly blobs: BlobStore;
  /** Bytes that an event names as a blob with this digest. */
  readonly blobSize: (digest: Digest) => number | undefined;
  /** A config, manifest or index of the store. */
  readonly content: (digest: Digest) => Uint8Array | undefined;
}

interface Membership {
  readonly owner: string;
  used: number;
}

interface StagedEntry {
  readonly size: number;
  readonly alias: ContentName | undefined;
  readonly measurement: Measurement | undefined;
  readonly isUploaded: boolean;
  /** By repository. */
  readonly members: Map<string, Membership>;
  /** Whom its bytes count for. */
  readonly payer: string | undefined;
}

/** An upload that is complete and durable. */
interface FinishedUpload {
  readonly id: string;
  readonly repository: string;
  readonly owner: string;
  readonly measurement: Measurement;
  /** SHA-512 digest by which the client named it. */
  readonly alias: ContentName | undefined;
  /** All of its bytes if it has no file. */
  readonly bytes: Uint8Array | undefined;
}

/** What a repository joins. */
interface Joined extends StagedEntry {
  /** Bytes that are in no file yet. */
  readonly bytes?: Uint8Array | undefined;
}

/**
 * Blobs that wait for a manifest, one file for each digest and one record with its repositories.
 * A blob of the store is staged under a second name: it stays when the store removes its own.
 */
export class StagedBlobs {
  readonly #folder: UploadFolder;
  readonly #quota: UploadQuota;
  readonly #source: StoreBytes;
  readonly #now: () => number;
  readonly #entries = new Map<Digest, StagedEntry>();
  /** Digests of blobs by their SHA-512 digests. */
  readonly #aliases = new Map<ContentName, Digest>();
  readonly #recent = new RecentMap<Digest, Uint8Array>(RECENT_BLOBS);
  /** Those used since their record was written. */
  readonly #used = new Set<Digest>();
  /** Changes of one digest run one at a time. */
  readonly #locks = new Map<Digest, { readonly mutex: Mutex; users: number }>();

  constructor(parts: {
    readonly folder: UploadFolder;
    readonly quota: UploadQuota;
    readonly source: StoreBytes;
    readonly now: () => number;
  }) {
    this.#folder = parts.folder;
    this.#quota = parts.quota;
    this.#source = parts.source;
    this.#now = parts.now;
  }

  /** Takes what the folder has of an earlier process. */
  add({ digest, size, measurement, isUploaded, alias, repositories }: FoundBlob): void {
    const now = this.#now();
    const members = new Map<string, Membership>();
    for (const { repository, owner, used } of repositories) {
      // A clock that was set back does not keep it for longer.
      members.set(repository, { owner, used: Math.min(used, now) });
      this.#quota.add(owner, 'blobs', 1);
    }
    const payer = isUploaded ? repositories[0]?.owner : undefined;
    if (payer !== undefined) this.#quota.add(payer, 'bytes', size);
    this.#entries.set(digest, { size, measurement, isUploaded, alias, members, payer });
    if (alias !== undefined) this.#aliases.set(alias, digest);
  }

  /** Returns a blob of a repository, and postpones its expiry. */
  staged(repository: string, name: ContentName): StagedUpload | undefined {
    const digest = this.#digestOf(name);
    const entry = this.#entries.get(digest);
    const member = entry?.members.get(repository);
    if (entry === undefined || member === undefined) return undefined;
    member.used = this.#now();
    this.#used.add(digest);
    return this.#view(digest, entry);
  }

  /** Returns the repositories that have a blob. */
  repositoriesWith(name: ContentName): string[] {
    return [...(this.#entries.get(this.#digestOf(name))?.members.keys() ?? [])];
  }

  #digestOf(name: ContentName): Digest {
    return this.#aliases.get(name) ?? (name as Digest);
  }

  #view(digest: Digest, { size, measurement }: StagedEntry): StagedUpload {
    const path = this.#folder.stagedPath(digest);
    return {
      digest,
      size,
      measurement,
      file: StagedBlob.lend(path, this.#recent.get(digest)),
      read: (range?: ByteRange): Readable =>
        createReadStream(path, {
          highWaterMark: READ_CHUNK_BYTES,
          start: range?.first ?? 0,
          end: range?.last ?? Infinity,
        }),
    };
  }

  /**
   * Stages an upload; durable on return. Its bytes, which count already, are counted here from then
   * on; its files, as far as they are still there, are the caller's to remove.
   */
  async stage({ id, repository, owner, measurement, alias, bytes }: FinishedUpload): Promise<StagedUpload> {
    const { digest, size } = measurement.blob;
    return this.#alone(digest, async () => {
      const known = this.#entries.get(digest);
      const isFirst = known === undefined || !known.isUploaded;
      const staged = await this.#join({ digest, repository, owner }, known, async () => {
        // Bytes of the store may be damaged: those that just came are not.
        if (isFirst && bytes === undefined) await this.#folder.moveToStaged(id, digest);
        const members = known?.members ?? new Map<string, Membership>();
        const name = alias ?? known?.alias;
        const payer = isFirst ? owner : known.payer;
        return { size, measurement, isUploaded: true, alias: name, members, payer, bytes: isFirst ? bytes : undefined };
      });
      if (!isFirst) this.#quota.add(owner, 'bytes', -size);
      return staged;
    });
  }

  /** @throws {StoreError} CONTENT_NOT_FOUND when the store does not have it */
  async mount(repository: string, digest: Digest, owner: string, name: ContentName): Promise<void> {
    await this.#alone(digest, async () => {
      const known = this.#entries.get(digest);
      const alias = name === digest ? known?.alias : name;
      await this.#join({ digest, repository, owner }, known, async () => ({
        ...(known ?? (await this.#fromStore(digest))),
        alias,
      }));
    });
  }

  async #fromStore(digest: Digest): Promise<StagedEntry> {
    const { blobs, blobSize, content } = this.#source;
    await this.#folder.make();
    // What a failure left there is not known to be whole.
    await this.#folder.removeBlob(digest, { durably: false });
    const path = this.#folder.stagedPath(digest);
    const size = blobSize(digest);
    const entry = {
      measurement: undefined,
      alias: undefined,
      isUploaded: false,
      members: new Map<string, Membership>(),
    };
    const isWhole = size !== undefined && blobs.size(digest) === size;
    if (isWhole && (await blobs.linkTo(digest, path))) return { ...entry, size, payer: undefined };
    const bytes = content(digest);
    if (bytes === undefined) {
      const message = `cannot mount ${digest}: the store does not have it`;
      throw new StoreError('CONTENT_NOT_FOUND', message, { data: { digest } });
    }
    await writeNewFile(path, bytes);
    return { ...entry, size: bytes.length, payer: undefined };
  }

  /** Adds a repository to what `provide` gives; reads see it once it is durable. */
  async #join(
    { digest, repository, owner }: { readonly digest: Digest; readonly repository: string; readonly owner: string },
    known: StagedEntry | undefined,
    provide: () => Promise<Joined>,
  ): Promise<StagedUpload> {
    const isNew = known?.members.has(repository) !== true;
    if (isNew) {
      this.#quota.checkRepositories((known?.members.size ?? 0) + 1, owner);
      this.#quota.take(owner, 'blobs', 1);
    }
    try {
      const { bytes, ...provided } = await provide();
      const members = new Map(provided.members);
      members.set(repository, { owner: members.get(repository)?.owner ?? owner, used: this.#now() });
      const entry = { ...provided, members };
      await this.#write(digest, entry, bytes);
      if (bytes !== undefined && bytes.length <= RECENT_BYTES) this.#recent.set(digest, bytes);
      this.#entries.set(digest, entry);
      if (entry.alias !== undefined) this.#aliases.set(entry.alias, digest);
      return this.#view(digest, entry);
    } catch (error) {
      if (isNew) this.#quota.add(owner, 'blobs', -1);
      // Nothing is staged without a durable record.
      if (known === undefined) await this.#folder.removeBlob(digest, { durably: false }).catch(leaveForNextOpen);
      throw error;
    }
  }

  /** Removes a repository from a blob, and the blob with its last; false if it is not there. */
  async remove(repository: string, name: ContentName, { durably }: { readonly durably: boolean }): Promise<boolean> {
    const digest = this.#digestOf(name);
    return this.#alone(digest, async () => {
      const entry = this.#entries.get(digest);
      if (entry?.members.has(repository) !== true) return false;
      await this.#leave(digest, entry, [repository], durably);
      return true;
    });
  }

  /** Removes blobs from all repositories, and their bytes. */
  async forget(digests: readonly Digest[]): Promise<void> {
    for (const digest of digests) {
      await this.#alone(digest, async () => {
        const entry = this.#entries.get(digest);
        if (entry !== undefined) await this.#leave(digest, entry, [...entry.members.keys()], true);
      });
    }
  }

  /** Removes what was last used before `time`. */
  async expire(time: number): Promise<void> {
    for (const digest of [...this.#entries.keys()]) {
      const isStale = ({ used }: Membership): boolean => used <= time;
      const found = this.#entries.get(digest);
      if (found === undefined || ![...found.members.values()].some(isStale)) continue;
      await this.#alone(digest, async () => {
        const entry = this.#entries.get(digest);
        if (entry === undefined) return;
        const stale = [...entry.members].filter(([, member]) => isStale(member)).map(([repository]) => repository);
        if (stale.length > 0) await this.#leave(digest, entry, stale, false);
      });
    }
  }

  /** Writes uses since a record was written: a new process expires by them. */
  async writeUses(): Promise<void> {
    for (const digest of [...this.#used]) {
      await this.#alone(digest, async () => {
        const entry = this.#entries.get(digest);
        if (entry !== undefined && this.#used.has(digest)) await this.#write(digest, entry);
      });
    }
  }

  async #leave(digest: Digest, entry: StagedEntry, repositories: readonly string[], durably: boolean): Promise<void> {
    const members = new Map(entry.members);
    for (const repository of repositories) members.delete(repository);
    const [next] = members.values();
    const payer = entry.payer === undefined ? undefined : next?.owner;
    const left: StagedEntry = { ...entry, members, payer };
    // Nobody is told of it while its files go.
    if (next === undefined) this.#forgetEntry(digest);
    try {
      if (next === undefined) await this.#folder.removeBlob(digest, { durably });
      else await this.#write(digest, left);
    } catch (error) {
      this.#entries.set(digest, entry);
      if (entry.alias !== undefined) this.#aliases.set(entry.alias, digest);
      throw error;
    }
    if (next !== undefined) this.#entries.set(digest, left);
    for (const repository of repositories) {
      const member = entry.members.get(repository);
      if (member !== undefined) this.#quota.add(member.owner, 'blobs', -1);
    }
    if (entry.payer !== undefined) this.#quota.add(entry.payer, 'bytes', -entry.size);
    if (payer !== undefined) this.#quota.add(payer, 'bytes', entry.size);
  }

  #forgetEntry(digest: Digest): void {
    const alias = this.#entries.get(digest)?.alias;
    if (alias !== undefined) this.#aliases.delete(alias);
    this.#entries.delete(digest);
    this.#recent.delete(digest);
    this.#used.delete(digest);
  }

  async #write(
    digest: Digest,
    { size, measurement, isUploaded, alias, members }: StagedEntry,
    bytes?: Uint8Array,
  ): Promise<void> {
    this.#used.delete(digest);
    const repositories = [...members].map(([repository, { owner, used }]) => ({ repository, owner, used }));
    await this.#folder.writeBlob(digest, { size, measurement, isUploaded, alias, repositories }, bytes);
  }

  async #alone<Result>(digest: Digest, work: () => Promise<Result>): Promise<Result> {
    const lock = this.#locks.get(digest) ?? { mutex: new Mutex(), users: 0 };
    this.#locks.set(digest, lock);
    lock.users += 1;
    try {
      return await lock.mutex.run(work);
    } finally {
      lock.users -= 1;
      if (lock.users === 0) this.#locks.delete(digest);
    }
  }
}

function leaveForNextOpen(): void {
  // Bytes without a record: the caller hears of the failure, the next open removes them.
}
