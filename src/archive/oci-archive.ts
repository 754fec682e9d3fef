import { StoreError } from '../errors.js';
import { MAX_IMAGES_PER_ARCHIVE } from '../limits.js';
import { formatPlatform, type Platform } from '../model/platform.js';
import { annotatedReference, type ContentsBuilder, platformManifests, toPlatformImages } from './contents-builder.js';
import type { OciChild } from './oci-graph.js';

/** Selects the images of an archive. */
export interface ImageChoice {
  readonly platform: Platform | undefined;
  readonly maxImages: number | undefined;
  readonly notice: (text: string) => void;
}

/**
 * Adds the images and names in index.json.
 * @throws {StoreError} PLATFORM_NOT_FOUND if none matches the wanted platform, REFERENCE_INVALID,
 *   ARCHIVE_LIMIT_EXCEEDED, and any image error
 */
export async function addOciImages(
  contents: ContentsBuilder,
  children: readonly OciChild[],
  choice: ImageChoice,
): Promise<void> {
  const passedOver = new Set<string>();
  for (const child of children) {
    for (const { platform } of platformManifests(child.node, undefined, child.platform)) {
      passedOver.add(formatPlatform(platform));
    }
    await addChild(contents, child, choice);
    checkImageCount(contents.imageCount, choice.maxImages);
  }
  requirePlatform(contents, choice.platform, passedOver);
}

/** @throws {StoreError} PLATFORM_NOT_FOUND if a platform was wanted and no image matches */
export function requirePlatform(
  contents: ContentsBuilder,
  wanted: Platform | undefined,
  found: ReadonlySet<string>,
): void {
  if (wanted === undefined || contents.imageCount > 0 || found.size === 0) return;
  const platforms = [...found].sort();
  throw new StoreError(
    'PLATFORM_NOT_FOUND',
    `the archive has no image for ${formatPlatform(wanted)}: found ${platforms.join(', ')}`,
    { data: { wanted: formatPlatform(wanted), found: platforms } },
  );
}

/** @throws {StoreError} ARCHIVE_LIMIT_EXCEEDED if over the limit per archive */
export function checkImageCount(found: number, limit = MAX_IMAGES_PER_ARCHIVE): void {
  if (found <= limit) return;
  throw new StoreError(
    'ARCHIVE_LIMIT_EXCEEDED',
    `cannot read the archive: expected at most ${limit} images, found ${found}`,
    {
      data: { limit, found },
    },
  );
}

async function addChild(contents: ContentsBuilder, child: OciChild, choice: ImageChoice): Promise<void> {
  const { node } = child;
  const reference = annotatedReference(child.annotations);
  const manifests = platformManifests(node, choice.platform, child.platform);
  const [first] = manifests;
  if (first === undefined) {
    const what = reference ?? node.descriptor.digest;
    const why =
      choice.platform === undefined ? 'it holds no image' : `it has none for ${formatPlatform(choice.platform)}`;
    choice.notice(`skipped ${what}: ${why}`);
    return;
  }
  for (const manifest of manifests) await contents.addManifest(manifest.node);
  if (node.kind === 'index') contents.addIndex(node);
  if (reference === undefined) return;
  if (node.kind === 'manifest') contents.prefer(node.config.id, node.descriptor);
  const platforms = node.kind === 'index' ? toPlatformImages(manifests) : undefined;
  contents.addReference({ reference, image: first.node.config.id, target: node.descriptor, platforms });
}
