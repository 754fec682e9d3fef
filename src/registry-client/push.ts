import { StoreError } from '../errors.js';
import { type Descriptor, type Digest, isDigest } from '../model/digest.js';
import type { Platform } from '../model/platform.js';
import { parseReference } from '../model/reference.js';
import type { EventStore } from '../store/event-store.js';
import { blobsOf, type ContentTree, documentsOf } from './content-tree.js';
import { inParallel } from './parallel.js';
import { parseRegistryName, type PutBlob, RegistryClient, type RegistryName, repositoryOf } from './registry-client.js';
import { type RegistryOptions, RegistrySession } from './registry-session.js';

/** Options of `pushImage`. */
export interface PushOptions {
  /** Push only images for these, with a smaller index. */
  readonly platform?: Platform | string | readonly (Platform | string)[] | undefined;
  /** Push signatures and other artifacts about it too. */
  readonly referrers?: boolean | undefined;
  /** Repositories on the same host to mount blobs from, with their host. */
  readonly mountFrom?: readonly string[] | undefined;
  readonly onProgress?: ((bytes: number, total: number) => void) | undefined;
}

/**
 * Pushes what `save` would write of an image to a registry, under the name `target`. What the
 * registry has is not sent; an upload that breaks off continues where it was.
 * @throws {StoreError} as `store.save`; REFERENCE_INVALID when the name stands for several things,
 *   or for another digest than that of `target`; REGISTRY_*, BLOB_CORRUPT, BLOB_MISSING, ABORTED
 */
export async function pushImage(
  store: Pick<EventStore, 'savedContents'>,
  { name, target }: { readonly name: string; readonly target: string },
  options: PushOptions & RegistryOptions = {},
): Promise<UploadResult> {
  const { platform, referrers = false, mountFrom = [], onProgress } = options;
  const destination = parseRegistryName(target);
  const mounts = mountFrom.map((each) => mountPath(each, destination));
  const notices: string[] = [];
  const contents = store.savedContents(name, { platform, onNotice: (notice) => void notices.push(notice) });
  const session = new RegistrySession(destination.host, options);
  try {
    const [root, ...more] = contents.roots;
    if (root === undefined || more.length > 0) {
      const message = `cannot push ${name}: it stands for ${contents.roots.length} images, expected one`;
      throw new StoreError('REFERENCE_INVALID', message, {
        data: { reference: name, hint: 'name one of its tags: a push moves one name' },
      });
    }
    const { digest, mediaType } = root.descriptor;
    if (isDigest(destination.reference) && digest !== destination.reference) {
      const message = `cannot push ${name} as ${destination.reference}: its digest is ${digest}`;
      throw new StoreError('REFERENCE_INVALID', message, { data: { reference: target, digest } });
    }
    const also = referrers ? contents.referrers : [];
    if (!referrers && contents.referrers.length > 0) {
      notices.push(`not pushed: ${contents.referrers.length} artifacts about ${name} (--referrers pushes them too)`);
    }
    const uploaded = await uploadTree(new RegistryClient(session, destination.path), {
      root,
      referrers: also,
      reference: destination.reference,
      open: (blob, offset) => skipping(contents.open(blob.digest), offset),
      mountFrom: mounts,
      onProgress,
    });
    const reference = destination.canonical;
    return { reference, digest, mediaType, ...uploaded, referrers: also.length, notices };
  } finally {
    session.close();
    contents.release();
  }
}

function mountPath(repository: string, { host }: RegistryName): string {
  const { domain, path } = parseReference(repository);
  if (domain === host) return path;
  const message = `cannot mount from ${repositoryOf({ host: domain, path })}: it is not on ${host}`;
  throw new StoreError('REFERENCE_INVALID', message, { data: { reference: repository } });
}

async function* skipping(chunks: AsyncIterable<Uint8Array>, offset: number): AsyncGenerator<Uint8Array> {
  let skip = offset;
  for await (const chunk of chunks) {
    const rest = chunk.subarray(Math.min(skip, chunk.length));
    skip -= chunk.length - rest.length;
    if (rest.length > 0) yield rest;
  }
}

/** What became of the blobs of an upload. */
type BlobCounts = Readonly<Record<PutBlob, number>>;

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
