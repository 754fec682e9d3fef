import { isIndexType } from '../archive/documents.js';
import { StoreError } from '../errors.js';
import { MAX_CONFIG_BYTES } from '../limits.js';
import { readBounded } from '../model/bytes.js';
import { type Descriptor, isDigest } from '../model/digest.js';
import { newFromJSON } from '../model/image.js';
import { formatPlatform, parsePlatform, type Platform, platformMatches } from '../model/platform.js';
import { type ContentTree, TreeReader } from './content-tree.js';
import { parseRegistryName, RegistryClient } from './registry-client.js';
import { type RegistryOptions, RegistrySession } from './registry-session.js';
import { type UploadResult, uploadTree } from './push.js';

/** How to reach one side of a copy. */
type Side = Pick<RegistryOptions, 'plainHttp' | 'insecure'>;

/** Options of `copyImage`. */
export interface CopyOptions extends Omit<RegistryOptions, keyof Side> {
  readonly source?: Side | undefined;
  readonly target?: Side | undefined;
  /** Copy only the manifest for this; default: the whole index, with its digest. */
  readonly platform?: string | undefined;
  /** Copy signatures and other artifacts about it too. */
  readonly referrers?: boolean | undefined;
  readonly onProgress?: ((bytes: number, total: number) => void) | undefined;
}

/**
 * Copies an image from one registry to another, or within one, without a store. Digests stay. Blobs
 * within one registry are mounted where it allows that.
 * @throws {StoreError} PLATFORM_NOT_FOUND; REFERENCE_INVALID for a target with another digest;
 *   REGISTRY_*, BLOB_MISMATCH, ARCHIVE_MANIFEST_INVALID, ARCHIVE_LIMIT_EXCEEDED, ABORTED
 */
export async function copyImage(from: string, to: string, options: CopyOptions = {}): Promise<UploadResult> {
  const { platform, referrers = false, onProgress } = options;
  const [source, target] = [parseRegistryName(from), parseRegistryName(to)];
  const sourceSession = new RegistrySession(source.host, { ...options, ...options.source });
  const targetSession = new RegistrySession(target.host, { ...options, ...options.target });
  const notices: string[] = [];
  const onNotice = (notice: string): void => void notices.push(notice);
  try {
    const client = new RegistryClient(sourceSession, source.path);
    const platforms = platform === undefined ? [] : [parsePlatform(platform)];
    const reader = new TreeReader(client, { platforms, onNotice });
    const read = await reader.read(source.reference);
    const root = platform === undefined ? read : await onlyManifest(read, parsePlatform(platform), client);
    const { digest, mediaType } = root.descriptor;
    if (isDigest(target.reference) && digest !== target.reference) {
      const message = `cannot copy ${from} as ${target.reference}: its digest is ${digest}`;
      throw new StoreError('REFERENCE_INVALID', message, { data: { reference: to, digest } });
    }
    const also = referrers ? await reader.referrers([root]) : [];
    const uploaded = await uploadTree(new RegistryClient(targetSession, target.path), {
      root,
      referrers: also,
      reference: target.reference,
      open: ({ digest: blob, size }, offset) => client.blob(blob, { offset, size }),
      mountFrom: source.host === target.host && source.path !== target.path ? [source.path] : [],
      onProgress,
    });
    return { reference: target.canonical, digest, mediaType, ...uploaded, referrers: also.length, notices };
  } finally {
    sourceSession.close();
    targetSession.close();
  }
}

/** A smaller index would be another one: of one platform the manifest is copied. */
async function onlyManifest(tree: ContentTree, platform: Platform, client: RegistryClient): Promise<ContentTree> {
  // The reader left only what is for the platform, attestations after it.
  let at = tree;
  for (let next = at.parts[0]; next !== undefined; next = at.parts[0]) at = next;
  const config = at.blobs[0];
  const found = at === tree && config !== undefined ? await platformOf(config, client) : platform;
  if (!isIndexType(at.descriptor.mediaType) && platformMatches(platform, found)) return at;
  const wanted = formatPlatform(platform);
  throw new StoreError(
    'PLATFORM_NOT_FOUND',
    `${client.name} has no image for ${wanted}: found ${formatPlatform(found)}`,
    {
      data: { wanted, found: [formatPlatform(found)] },
    },
  );
}

/** The platform in a config. */
async function platformOf({ digest, size }: Descriptor, client: RegistryClient): Promise<Platform> {
  const isRead = size <= MAX_CONFIG_BYTES;
  const config = isRead ? await readBounded(client.blob(digest, { size }), MAX_CONFIG_BYTES) : undefined;
  return config === undefined ? { os: '', architecture: '' } : newFromJSON(config).platform();
}
