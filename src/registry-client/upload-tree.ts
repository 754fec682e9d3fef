import type { Descriptor, Digest } from '../model/digest.js';
import { blobsOf, type ContentTree, documentsOf } from './content-tree.js';
import { inParallel } from './parallel.js';
import type { PutBlob, RegistryClient } from './registry-client.js';

/** What became of the blobs of an upload. */
export type BlobCounts = Readonly<Record<PutBlob, number>>;

/** The outcome of a push or copy. */
export interface UploadResult {
  /** Canonical name in the registry. */
  readonly reference: string;
  /** Of the manifest or index. */
  readonly digest: Digest;
  readonly mediaType: string;
  readonly blobs: BlobCounts;
  /** Bytes of the blobs that were uploaded. */
  readonly bytes: number;
  /** Artifacts about it that went with it. */
  readonly referrers: number;
  readonly notices: readonly string[];
}

interface UploadOptions {
  readonly root: ContentTree;
  readonly referrers: readonly ContentTree[];
  /** Tag or digest of the root. */
  readonly reference: string;
  /** Streams a blob of the source from an offset on. */
  readonly open: (blob: Descriptor, offset: number) => AsyncIterable<Uint8Array>;
  /** Paths of repositories on the same host that may have the blobs. */
  readonly mountFrom: readonly string[];
  readonly onProgress?: ((bytes: number, total: number) => void) | undefined;
}

/**
 * Uploads what a repository lacks of some trees: blobs in parallel, then manifests, each after what it
 * names, and the root with its name last: the name never points at what is not there whole.
 */
export async function uploadTree(
  target: RegistryClient,
  { root, referrers, reference, open, mountFrom, onProgress }: UploadOptions,
): Promise<Pick<UploadResult, 'blobs' | 'bytes'>> {
  const blobs = blobsOf([root, ...referrers]);
  const total = blobs.reduce((sum, { size }) => sum + size, 0);
  const counts = { uploaded: 0, mounted: 0, present: 0 };
  let [bytes, done] = [0, 0];
  const onBytes = (sent: number): void => {
    done += sent;
    onProgress?.(done, total);
  };
  const put = async (blob: Descriptor): Promise<void> => {
    let sent = 0;
    const became = await target.putBlob(blob, (offset) => open(blob, offset), {
      mountFrom,
      onBytes: (more) => {
        sent += more;
        onBytes(more);
      },
    });
    counts[became] += 1;
    if (became === 'uploaded') bytes += blob.size;
    // What is there already is done too.
    onBytes(blob.size - sent);
  };
  await inParallel(blobs, put, () => target.session.close());
  for (const document of documentsOf([root, ...referrers])) {
    const { digest } = document.descriptor;
    if (document !== root && (await target.head(digest))?.digest !== digest) await target.putManifest(digest, document);
  }
  await target.putManifest(reference, root);
  return { blobs: counts, bytes };
}
