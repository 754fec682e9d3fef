import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import type { ExecutionContext } from 'ava';
import type { Digest } from '../../../src/model/digest.js';
import { BlobStore } from '../../../src/store/layers/blob-store.js';
import { Uploads } from '../../../src/store/registry/local-uploads.js';
import type { UploadLimits } from '../../../src/store/store.js';
import type { StagedUpload } from '../../../src/store/registry-store.js';
import { temporaryDirectory } from '../../support/temporary-directory.js';

export const REPOSITORY = 'docker.io/shop/app';
export const OTHER = 'docker.io/shop/other';
export const HOUR = 60 * 60 * 1_000;

/** The clock, blobs and contents of a store that has uploads; tests change them. */
export interface UploadWorld {
  readonly directory: string;
  readonly blobs: BlobStore;
  /** Blobs that the store needs, by size. */
  readonly needed: Map<Digest, number>;
  readonly content: Map<Digest, Uint8Array>;
  readonly erased: Map<Digest, number>;
  readonly notices: string[];
  time: number;
  /** Whether the store is opened for reading only. */
  readOnly: boolean;
  /** Opens the uploads as another process would. */
  open(limits?: Partial<UploadLimits>): Promise<Uploads>;
  /** Files below `uploads/`, sorted, by path. */
  files(): string[];
}

/** Returns a directory for uploads, empty or that of a store that is closed. Each opening is ended when the test ends. */
export async function uploadWorld(t: ExecutionContext, given?: string): Promise<UploadWorld> {
  const directory = given ?? (await temporaryDirectory(t));
  const blobs = new BlobStore(join(directory, 'blobs'));
  await blobs.makeDirectories();
  const world: UploadWorld = {
    directory,
    blobs,
    needed: new Map(),
    content: new Map(),
    erased: new Map(),
    notices: [],
    time: Date.now(),
    readOnly: false,
    open: async (limits) => {
      const uploads = new Uploads(
        {
          directory,
          blobs,
          readOnly: world.readOnly,
          now: () => world.time,
          onNotice: (notice) => world.notices.push(notice),
          blobSize: (digest) => world.needed.get(digest),
          content: (digest) => world.content.get(digest),
          erasedAt: (digest) => world.erased.get(digest),
        },
        limits,
      );
      await uploads.open();
      t.teardown(() => uploads.end());
      return uploads;
    },
    files: () => filesBelow(join(directory, 'uploads')),
  };
  return world;
}

function filesBelow(folder: string): string[] {
  if (!existsSync(folder)) return [];
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => join(parentPath, name).slice(folder.length + 1))
    .sort();
}

/** Yields chunks, then throws `failure` if there is one. */
export async function* chunksOf(chunks: readonly Uint8Array[], failure?: Error): AsyncGenerator<Uint8Array> {
  yield* chunks;
  if (failure !== undefined) throw failure;
}

/** A source that yields `first` and then nothing, as a client that is gone without saying so. */
export function hangingAfter(first: Uint8Array): {
  readonly bytes: AsyncIterable<Uint8Array>;
  readonly hangs: Promise<void>;
} {
  let begun: () => void = () => undefined;
  const hangs = new Promise<void>((resolve) => {
    begun = resolve;
  });
  let isFirst = true;
  const next = (): Promise<IteratorResult<Uint8Array>> => {
    if (!isFirst) {
      begun();
      return new Promise(() => undefined);
    }
    isFirst = false;
    return Promise.resolve({ done: false, value: first });
  };
  return { bytes: { [Symbol.asyncIterator]: () => ({ next }) }, hangs };
}

interface Uploaded {
  readonly digest: Digest;
  readonly repository?: string;
  readonly owner?: string;
  readonly isLast?: boolean;
}

/** Uploads bytes at once. */
export async function uploaded(
  uploads: Uploads,
  bytes: Uint8Array,
  { digest, repository = REPOSITORY, owner = 'ada', isLast = false }: Uploaded,
): Promise<StagedUpload> {
  const upload = await uploads.start(repository, owner);
  await upload.append(chunksOf([bytes]), 0, { isLast });
  return upload.finish(digest);
}

/** The bytes of a staged blob. */
export async function bytesOf(staged: StagedUpload, first?: number, last?: number): Promise<Uint8Array> {
  const range = first === undefined || last === undefined ? undefined : { first, last };
  return new Uint8Array(await buffer(staged.read(range)));
}
