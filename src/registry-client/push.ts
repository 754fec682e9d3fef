import { StoreError } from '../errors.js';
import { isDigest } from '../model/digest.js';
import { parseReference } from '../model/reference.js';
import type { Platform } from '../model/platform.js';
import type { EventStore } from '../store/event-store.js';
import { RegistryClient } from './registry-client.js';
import { parseRegistryName, repositoryOf, type RegistryName } from './registry-name.js';
import { type RegistryOptions, RegistrySession } from './registry-session.js';
import { type UploadResult, uploadTree } from './upload-tree.js';

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
