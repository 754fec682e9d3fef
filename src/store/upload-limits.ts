/** Limits of uploads; defaults in limits.ts. */
export interface UploadLimits {
  /** Bytes of one upload. */
  readonly uploadBytes: number;
  /** Uploads in progress. */
  readonly uploads: number;
  readonly uploadsPerOwner: number;
  /** Bytes of uploads in progress and of staged blobs. */
  readonly bytes: number;
  readonly bytesPerOwner: number;
  /** Staged blobs, counted in each repository. */
  readonly blobs: number;
  readonly blobsPerOwner: number;
  readonly repositoriesPerBlob: number;
  /** Milliseconds after the last use of an upload or a staged blob. */
  readonly expiryMs: number;
  /** Uploads between two requests whose digests are kept in memory. */
  readonly idleMeters: number;
}

/** Limits of uploads to change; those that are undefined keep their defaults. */
export type UploadOptions = { readonly [Name in keyof UploadLimits]?: number | undefined };
