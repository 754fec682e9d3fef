import type { Readable } from 'node:stream';
import type { Measurement } from '../../archive/layer-meter.js';
import type { StagedFile } from '../../archive/archive-files.js';
import type { Digest } from '../../model/digest.js';

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
   * Appends bytes and returns the new size. `from` is where the sender says they begin.
   * @throws {StoreError} UPLOAD_OUT_OF_ORDER if that is not the size, or another request appends at
   *   this time; UPLOAD_LIMIT_EXCEEDED, DISK_FULL; what `bytes` throws: what came before that stays
   */
  append(bytes: AsyncIterable<Uint8Array>, from?: number): Promise<number>;
  /**
   * Ends the upload as a staged blob of the repository, durable on return. It is gone afterwards.
   * @throws {StoreError} BLOB_MISMATCH if its bytes have another digest: the upload is removed
   */
  finish(digest: Digest): Promise<StagedUpload>;
  /** Removes it. */
  cancel(): Promise<void>;
}

/** A blob of a repository that no manifest names yet. It waits for one until it expires. */
export interface StagedUpload {
  readonly digest: Digest;
  readonly size: number;
  /** What it is as a layer, measured while it came in. Absent for a mounted blob. */
  readonly measurement: Measurement | undefined;
  /** For a load; keeping it moves its file. Absent for a mounted blob, whose file is in the store. */
  readonly file: StagedFile | undefined;
  /** Streams its bytes. */
  read(range?: ByteRange): Readable;
}

/** Blobs on their way into the store, by repository: no event tells of them. */
export interface UploadArea {
  /**
   * Begins an upload. `owner` is whom it counts for.
   * @throws {StoreError} UPLOAD_LIMIT_EXCEEDED, STORE_READ_ONLY, STORE_CLOSED, DISK_FULL
   */
  start(repository: string, owner: string): Promise<Upload>;
  /** Returns an upload in progress. @throws {StoreError} UPLOAD_NOT_FOUND */
  upload(repository: string, id: string): Promise<Upload>;
  /** Returns a staged blob of the repository, and postpones its expiry. */
  staged(repository: string, digest: Digest): StagedUpload | undefined;
  /** Makes a blob that the store has a staged one of the repository; durable on return. */
  mount(repository: string, digest: Digest, owner: string): Promise<void>;
  /** Removes a staged blob of the repository; false if there is none. */
  remove(repository: string, digest: Digest): Promise<boolean>;
  /** Forgets what a manifest of the repository now names: its file was kept, or is no longer needed. */
  settle(repository: string, digests: readonly Digest[]): Promise<void>;
  /** Removes what expired. */
  sweep(): Promise<void>;
  /** Ends uploads in progress; what is on disk stays. */
  end(): Promise<void>;
}
