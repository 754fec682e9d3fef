import type { Readable } from 'node:stream';
import type { Measurement } from '../../archive/layer-meter.js';
import type { Digest } from '../../model/digest.js';
import type { StagedBlob } from '../layers/blob-store.js';

/** First and last byte of a part of a blob, inclusive. */
export interface ByteRange {
  readonly first: number;
  readonly last: number;
}

/** A blob being uploaded to a repository. Its bytes survive a restart of the store. */
export interface Upload {
  readonly id: string;
  /** Canonical name, such as `docker.io/shop/app`. */
  readonly repository: string;
  /** Bytes received. */
  readonly size: number;
  /**
   * Appends bytes and returns the new size, which survives a crash of the process. `from` is where
   * the sender says they begin. What `bytes` throws is thrown, and what came before that stays.
   * @throws {StoreError} UPLOAD_OUT_OF_ORDER if that is not the size, or another request works on
   *   the upload; UPLOAD_NOT_FOUND once it ended; UPLOAD_LIMIT_EXCEEDED, DISK_FULL, IO_FAILED: the
   *   upload is removed, which gives its room back
   */
  append(bytes: AsyncIterable<Uint8Array>, from?: number): Promise<number>;
  /**
   * Ends the upload as a staged blob of the repository, durable on return. It is gone afterwards.
   * @throws {StoreError} BLOB_MISMATCH if its bytes have another digest, UPLOAD_LIMIT_EXCEEDED,
   *   DISK_FULL: the upload is removed; UPLOAD_OUT_OF_ORDER while another request works on it
   */
  finish(digest: Digest): Promise<StagedUpload>;
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
   * Begins an upload. `owner` is whom it counts for.
   * @throws {StoreError} UPLOAD_LIMIT_EXCEEDED, STORE_READ_ONLY, STORE_CLOSED, DISK_FULL
   */
  start(repository: string, owner: string): Promise<Upload>;
  /** Returns an upload in progress, and postpones its expiry. @throws {StoreError} UPLOAD_NOT_FOUND */
  upload(repository: string, id: string): Promise<Upload>;
  /** Returns a staged blob of the repository, and postpones its expiry. */
  staged(repository: string, digest: Digest): StagedUpload | undefined;
  /**
   * Makes a blob, config or manifest that the store has a staged blob of the repository, or one that is
   * staged for another; durable on return. It stays when the store or the other removes theirs.
   * @throws {StoreError} CONTENT_NOT_FOUND, UPLOAD_LIMIT_EXCEEDED, DISK_FULL
   */
  mount(repository: string, digest: Digest, owner: string): Promise<void>;
  /** Removes a staged blob of the repository, durable on return; false if there is none. */
  remove(repository: string, digest: Digest): Promise<boolean>;
  /** Forgets what a manifest of the repository now names, as its blobs are the store's. */
  settle(repository: string, digests: readonly Digest[]): Promise<void>;
  /** Removes blobs from all repositories: their bytes were erased. */
  forget(digests: readonly Digest[]): Promise<void>;
  /** Removes what expired. */
  sweep(): Promise<void>;
  /** Stops requests that work on uploads, and takes no more; what is on disk stays. */
  end(): Promise<void>;
}
