import { StoreError } from '../../errors.js';
import type { UploadLimits } from '../store.js';
import {
  MAX_IDLE_METERS,
  MAX_REPOSITORIES_PER_STAGED_BLOB,
  MAX_STAGED_BLOBS,
  MAX_STAGED_BLOBS_PER_OWNER,
  MAX_UPLOAD_BYTES,
  MAX_UPLOADED_BYTES,
  MAX_UPLOADED_BYTES_PER_OWNER,
  MAX_UPLOADS,
  MAX_UPLOADS_PER_OWNER,
  UPLOAD_EXPIRY_MS,
} from '../../limits.js';

export const defaultUploadLimits: UploadLimits = {
  uploadBytes: MAX_UPLOAD_BYTES,
  uploads: MAX_UPLOADS,
  uploadsPerOwner: MAX_UPLOADS_PER_OWNER,
  bytes: MAX_UPLOADED_BYTES,
  bytesPerOwner: MAX_UPLOADED_BYTES_PER_OWNER,
  blobs: MAX_STAGED_BLOBS,
  blobsPerOwner: MAX_STAGED_BLOBS_PER_OWNER,
  repositoriesPerBlob: MAX_REPOSITORIES_PER_STAGED_BLOB,
  expiryMs: UPLOAD_EXPIRY_MS,
  idleMeters: MAX_IDLE_METERS,
};

/** What is counted: uploads in progress, staged blobs by repository, and the bytes of both. */
type Counted = 'uploads' | 'blobs' | 'bytes';

/** What uploads occupy. */
export type UploadCounts = Record<Counted, number>;

const nouns: Readonly<Record<Counted, string>> = {
  uploads: 'uploads in progress',
  blobs: 'staged blobs',
  bytes: 'bytes of uploads',
};

/** Counts what owners occupy, and refuses what is beyond a limit. */
export class UploadQuota {
  readonly limits: UploadLimits;
  readonly #all: UploadCounts = { uploads: 0, blobs: 0, bytes: 0 };
  readonly #owners = new Map<string, UploadCounts>();

  constructor(limits: UploadLimits) {
    this.limits = limits;
  }

  /** What all owners occupy now. */
  get used(): Readonly<UploadCounts> {
    return { ...this.#all };
  }

  /** Whose uploads in progress are as many as they may be, so that `owner` can begin none. */
  fullOf(owner: string): 'owner' | 'all' | undefined {
    if ((this.#owners.get(owner)?.uploads ?? 0) >= this.limits.uploadsPerOwner) return 'owner';
    return this.#all.uploads >= this.limits.uploads ? 'all' : undefined;
  }

  /** @throws {StoreError} UPLOAD_LIMIT_EXCEEDED, and nothing is taken */
  take(owner: string, what: Counted, count: number): void {
    const own = this.#owners.get(owner)?.[what] ?? 0;
    if (own + count > this.limits[`${what}PerOwner`]) throw limitExceeded(`${what}PerOwner`, this.limits, what, owner);
    if (this.#all[what] + count > this.limits[what]) throw limitExceeded(what, this.limits, what, owner);
    this.add(owner, what, count);
  }

  /** Counts what is there already, beyond a limit too; with a negative `count`, what goes. */
  add(owner: string, what: Counted, count: number): void {
    const counts = this.#owners.get(owner) ?? { uploads: 0, blobs: 0, bytes: 0 };
    counts[what] += count;
    this.#all[what] += count;
    const isEmpty = counts.uploads === 0 && counts.blobs === 0 && counts.bytes === 0;
    if (isEmpty) this.#owners.delete(owner);
    else this.#owners.set(owner, counts);
  }

  /** @throws {StoreError} UPLOAD_LIMIT_EXCEEDED */
  checkUploadSize(size: number, owner: string): void {
    if (size > this.limits.uploadBytes) throw limitExceeded('uploadBytes', this.limits, 'bytes', owner);
  }

  /** @throws {StoreError} UPLOAD_LIMIT_EXCEEDED */
  checkRepositories(count: number, owner: string): void {
    if (count > this.limits.repositoriesPerBlob)
      throw limitExceeded('repositoriesPerBlob', this.limits, 'blobs', owner);
  }
}

const places: Readonly<Partial<Record<keyof UploadLimits, string>>> = {
  uploadBytes: 'in one upload',
  repositoriesPerBlob: 'with one digest',
  uploadsPerOwner: 'of one owner',
  bytesPerOwner: 'of one owner',
  blobsPerOwner: 'of one owner',
};

function limitExceeded(limit: keyof UploadLimits, limits: UploadLimits, what: Counted, owner: string): StoreError {
  const most = limits[limit];
  const message = `cannot take the upload: expected at most ${most} ${nouns[what]} ${places[limit] ?? 'in all'}`;
  return new StoreError('UPLOAD_LIMIT_EXCEEDED', message, { data: { limit, most, owner } });
}
