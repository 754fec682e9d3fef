import type { Digest } from '../model/digest.js';
import { parsePlatform } from '../model/platform.js';
import type { EventStore } from '../store/event-store.js';
import type { LoadOptions, LoadResult } from '../store/store.js';
import { type ContentTree, TreeReader } from './content-tree.js';
import { layoutBlobs, layoutTar } from './layout-tar.js';
import { RegistryClient } from './registry-client.js';
import { parseRegistryName } from './registry-name.js';
import { type RegistryOptions, RegistrySession } from './registry-session.js';
import { BlobsAhead } from './waiting-blob.js';

/** Options of `pullImage`: those of `load` that matter to one name. */
export interface PullOptions
  extends Pick<LoadOptions, 'actor' | 'reason' | 'requestId' | 'overwrite' | 'tag' | 'onProgress'> {
  /** Only these platforms of an index; default all. */
  readonly platform?: readonly string[] | undefined;
  /** Pull signatures and other artifacts about it too. */
  readonly referrers?: boolean | undefined;
}

/** The outcome of a pull. */
export interface PullResult extends LoadResult {
  /** Canonical name. */
  readonly reference: string;
  /** Of the manifest or index that the registry gave. */
  readonly digest: Digest;
}

/**
 * Pulls an image, or whatever a name of a registry stands for, in one transaction: all of it or
 * nothing. Blobs are downloaded in parallel, and continue where a connection breaks. Files that wait
 * for their turn lie in the directory of the store.
 * @throws {StoreError} REFERENCE_INVALID, PLATFORM_NOT_FOUND, PLATFORM_INVALID; REGISTRY_*,
 *   BLOB_MISMATCH; as `store.load`
 */
export async function pullImage(
  store: Pick<EventStore, 'directory' | 'load'>,
  name: string,
  options: PullOptions & RegistryOptions = {},
): Promise<PullResult> {
  const { host, path, reference, canonical } = parseRegistryName(name);
  const { platform = [], referrers = false, signal } = options;
  const platforms = platform.map(parsePlatform);
  const notices: string[] = [];
  const session = new RegistrySession(host, options);
  try {
    const client = new RegistryClient(session, path);
    const reader = new TreeReader(client, { platforms, onNotice: (notice) => void notices.push(notice) });
    const root = await reader.read(reference);
    const also = referrers ? await reader.referrers([root]) : [];
    const { actor, reason, requestId, overwrite, tag, onProgress } = options;
    const { size, chunks } = downloaded({ client, root, also, canonical, directory: store.directory });
    const result = await store.load(chunks, {
      actor,
      reason,
      requestId,
      overwrite,
      tag,
      platform,
      signal,
      onProgress: onProgress && ((bytes) => onProgress(bytes, size)),
    });
    // What was left out on purpose is missing from what was loaded, which says so entry by entry.
    const { leftOut } = reader;
    const others = result.notices.filter((notice) => !leftOut.has(/^skipped (sha256:[0-9a-f]{64})\b/.exec(notice)?.[1] ?? ''));
    if (leftOut.size > 0) notices.push(`not pulled: ${[...new Set(leftOut.values())].join(', ')}`);
    const all = [...new Set([...notices, ...others])];
    return { reference: canonical, digest: root.descriptor.digest, ...result, notices: all };
  } finally {
    session.close();
  }
}

interface Download {
  readonly client: RegistryClient;
  readonly root: ContentTree;
  readonly also: readonly ContentTree[];
  readonly canonical: string;
  readonly directory: string;
}

function downloaded({ client, root, also, canonical, directory }: Download): ReturnType<typeof layoutTar> {
  const blobs = layoutBlobs([root, ...also]);
  const download = ({ digest, size }: (typeof blobs)[number]): AsyncIterable<Uint8Array> => client.blob(digest, { size });
  const ahead = new BlobsAhead(blobs, download, directory);
  const { size, chunks } = layoutTar({ name: canonical, root, referrers: also, open: (blob) => ahead.read(blob) });
  const closing = async function* (): AsyncGenerator<Uint8Array> {
    try {
      yield* chunks;
    } finally {
      // Whether it ended or broke off, no download goes on.
      client.session.close();
      await ahead.close();
    }
  };
  return { size, chunks: closing() };
}
