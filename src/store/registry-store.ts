import type { Readable } from 'node:stream';
import type { Measurement } from '../archive/layer-meter.js';
import type { NextBuffer } from './files/write-durably.js';
import type { StagedBlob } from './layers/blob-store.js';
import type { ContentName, Descriptor, Digest } from '../model/digest.js';
import type { Referrer } from './artifacts.js';
import type { PastOptions, When } from './past/audit.js';
import type { WriteOptions } from './store.js';

/** First and last byte of a part of a blob, inclusive. */
export interface ByteRange {
  readonly first: number;
  readonly last: number;
}

/** What is known of an append. */
export interface AppendOptions {
  /** Whether `finish` comes next: a few bytes may stay in memory until then. Default false. */
  readonly isLast?: boolean | undefined;
}

/** A blob being uploaded to a repository. What came survives a restart; a crash forgets one without bytes. */
export interface Upload {
  readonly id: string;
  /** Canonical name, such as `docker.io/shop/app`. */
  readonly repository: string;
  /** Bytes received. */
  readonly size: number;
  /**
   * Appends bytes and returns the new size, which survives a crash of the process unless `isLast`. `from` is where
   * the sender says they begin. What `bytes` throws is thrown, and what came before that stays.
   * @throws {StoreError} UPLOAD_OUT_OF_ORDER if that is not the size, or another request works on
   *   the upload; UPLOAD_NOT_FOUND once it ended; UPLOAD_LIMIT_EXCEEDED, DISK_FULL, IO_FAILED: the
   *   upload is removed, which gives its room back
   */
  append(bytes: AsyncIterable<Uint8Array>, from?: number, options?: AppendOptions): Promise<number>;
  /**
   * Ends the upload as a staged blob of the repository, durable on return. It is gone afterwards.
   * @throws {StoreError} BLOB_MISMATCH if its bytes have another digest, UPLOAD_LIMIT_EXCEEDED,
   *   DISK_FULL: the upload is removed; UPLOAD_OUT_OF_ORDER while another request works on it
   */
  finish(name: ContentName): Promise<StagedUpload>;
  /** Removes it, and stops a request that works on it. */
  cancel(): Promise<void>;
}

/** A blob of a repository that no manifest names yet. It waits for one until it expires. */
export interface StagedUpload {
  readonly digest: Digest;
  readonly size: number;
  /** What it is as a layer, measured while it came in. Absent when it was only mounted. */
  readonly measurement: Measurement | undefined;
  /** For a load: keeping it gives its file a second name, and discarding it does nothing. */
  readonly file: StagedBlob;
  /** Streams its bytes, all or a range. */
  read(range?: ByteRange): Readable;
}

/** Blobs that are not in the store yet, by repository: no event tells of them. */
export interface UploadArea {
  /**
   * Begins an upload. `owner` is whom it counts for. Beyond a limit of uploads in progress the one used
   * longest ago gives way, if nobody used it for UPLOAD_IDLE_MS.
   * @throws {TypeError} an empty repository or owner
   * @throws {StoreError} UPLOAD_LIMIT_EXCEEDED, STORE_READ_ONLY, STORE_CLOSED, DISK_FULL
   */
  start(repository: string, owner: string): Promise<Upload>;
  /** Returns an upload in progress, and postpones its expiry. @throws {StoreError} UPLOAD_NOT_FOUND */
  upload(repository: string, id: string): Promise<Upload>;
  /** Returns a staged blob of the repository, and postpones its expiry. */
  staged(repository: string, name: ContentName): StagedUpload | undefined;
  /** Returns the repositories that have the blob staged. */
  repositoriesWith(name: ContentName): string[];
  /**
   * Makes a blob, config or manifest that the store has a staged blob of the repository, or one that is
   * staged for another; durable on return. It stays when the store or the other removes theirs.
   * @throws {TypeError} an empty repository or owner
   * @throws {StoreError} CONTENT_NOT_FOUND, UPLOAD_LIMIT_EXCEEDED, DISK_FULL
   */
  mount(repository: string, digest: Digest, owner: string, name?: ContentName): Promise<void>;
  /** Removes a staged blob of the repository, durable on return; false if there is none. */
  remove(repository: string, name: ContentName): Promise<boolean>;
  /** Forgets what a manifest of the repository now names, as its blobs are the store's. */
  settle(repository: string, names: readonly ContentName[]): Promise<void>;
  /** Removes blobs from all repositories: their bytes were erased. */
  forget(digests: readonly Digest[]): Promise<void>;
  /** Uploads in progress, staged blobs, and the bytes of both. */
  readonly used: { readonly uploads: number; readonly blobs: number; readonly bytes: number };
  /** Removes what expired. */
  sweep(): Promise<void>;
  /** Stops requests that work on uploads, and takes no more; what is on disk stays. */
  end(): Promise<void>;
}

/** A manifest or index, byte for byte as it was pushed or loaded. */
export interface RegistryDocument {
  readonly descriptor: Descriptor;
  readonly bytes: Uint8Array;
  /** Digest by which the repository names it: SHA-512 if that is how it was pushed. */
  readonly name: ContentName;
}

/** A blob of a repository. */
export interface RegistryBlob {
  readonly digest: Digest;
  readonly size: number;
  /** Streams its bytes, or a part of them. @throws {StoreError} BLOB_MISSING, BLOB_CORRUPT, IO_FAILED */
  read(range?: ByteRange): Readable;
  /**
   * As `read`, in chunks that are lent: each is valid until `nextBuffer` gives its buffer out again.
   * Absent where the bytes are in no file of the store.
   */
  lend?(nextBuffer: NextBuffer, range?: ByteRange): AsyncIterable<Uint8Array>;
}

/** Repositories as of one seq. Names of repositories are canonical, such as `docker.io/shop/app`. */
export interface RegistryReads {
  /** Returns every repository that has a manifest, sorted. */
  repositories(): string[];
  /** Returns the tags of a repository in the order of their bytes; undefined if there is no such repository. */
  tags(repository: string): string[] | undefined;
  /**
   * Returns what a tag names, or the manifest or index of this digest, if the repository has it: a
   * reference of it points there, or an index of it names it.
   * @throws {StoreError} CONTENT_ERASED, CONTENT_CORRUPT
   */
  manifest(repository: string, tagOrName: string): RegistryDocument | undefined;
  /** Returns a config or layer that a manifest of the repository names, if its bytes are there. */
  blob(repository: string, name: ContentName): RegistryBlob | undefined;
  /** Returns repositories that have the blob; not all, where that would take long. */
  repositoriesWith(blob: ContentName): string[];
  /** Returns the manifests of a repository with this subject, which need not be there. */
  referrers(repository: string, subject: ContentName): Referrer[];
}

/** A manifest or index to push. */
export interface PushRequest {
  /** Canonical name, such as `docker.io/shop/app`. */
  readonly repository: string;
  readonly mediaType: string;
  readonly bytes: Uint8Array;
  /** The digest that it must have, and is named by; default SHA-256. */
  readonly name?: ContentName | undefined;
  /** Set in the same transaction. */
  readonly tags?: readonly string[] | undefined;
}

/** What came of a push. */
export interface PushResult {
  readonly digest: Digest;
  /** Digest by which the repository names it. */
  readonly name: ContentName;
  /** What it is about. */
  readonly subject: Digest | undefined;
  /** What it was not kept as, in words. */
  readonly notices: readonly string[];
  /** Seq of the last event of its transaction; of the head when nothing changed. */
  readonly seq: number;
}

/** How often a reference was pulled. Outside of the log: pulling changes nothing. */
export interface PullCount {
  /** Canonical. */
  readonly reference: string;
  readonly pulls: number;
  /** Beginning of the hour of the last pull, milliseconds since the epoch. */
  readonly lastHour: number;
}

/** The store as a registry has it: manifests, indexes and blobs by repository. */
export interface RegistryStore extends RegistryReads {
  /**
   * Returns the repositories as they were.
   * @throws {StoreError} as `at` of the store; SERVER_BUSY if MAX_WAITING_PAST_BUILDS moments wait to be built
   */
  at(when: When, options?: PastOptions): Promise<RegistryReads & { readonly seq: number }>;
  readonly uploads: UploadArea;
  /** Counts one pull of a reference, by its canonical name. */
  countPull(reference: string): void;
  /** Returns the pulls of a reference, or of every one that was pulled, by name. */
  pulls(reference?: string): PullCount[];
  /**
   * Pushes a manifest or index: its layers, image or artifact, and references (`repository@digest`
   * and each tag) in one transaction. A push of what is there is no event.
   * @throws {StoreError} BLOB_NOT_FOUND if the repository lacks a blob that it names; BLOB_MISMATCH
   *   for another digest; ARCHIVE_MANIFEST_INVALID, ARCHIVE_LIMIT_EXCEEDED, REFERENCE_INVALID,
   *   RECORD_TOO_LARGE, LAYERS_UNAVAILABLE
   */
  push(request: PushRequest, options?: WriteOptions): Promise<PushResult>;
  /**
   * Sets a tag to what it stands for already, which is an event: `options.reason` says why it stays.
   * @throws {StoreError} REFERENCE_NOT_FOUND; BLOB_NOT_FOUND if it is an index that names what another
   *   repository has, and this one lacks
   */
  confirm(repository: string, tag: string, options?: WriteOptions): Promise<void>;
  /**
   * Removes a tag, or a manifest by its digest with every tag of it, from a repository. Images stay
   * in the store. Returns the references removed.
   * @throws {StoreError} REFERENCE_NOT_FOUND; CONTENT_IN_USE if an index of the repository names it
   */
  remove(repository: string, tagOrDigest: string, options?: WriteOptions): Promise<readonly string[]>;
}
