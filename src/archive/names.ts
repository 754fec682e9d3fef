import { isStoreError, StoreError } from '../errors.js';
import { MAX_IMAGES_PER_ARCHIVE, MAX_REFERENCES_PER_ARCHIVE } from '../limits.js';
import type { ContentName, Digest } from '../model/digest.js';
import { formatPlatform, isWanted, type Platform } from '../model/platform.js';
import { canonicalReference, formatReference, parseReference } from '../model/reference.js';

/** Selects the images of an archive, and says what becomes of their names. */
export interface ImageChoice {
  /** Only images of one of these; every one if empty. */
  readonly platforms: readonly Platform[];
  /** Whether each platform that an index names must be in the archive. */
  readonly allPlatforms: boolean;
  /** Repository for names that are only a tag. */
  readonly repository: string | undefined;
  readonly maxImages: number | undefined;
  readonly maxReferences: number | undefined;
  /** Whether an index is kept of which nothing else is there. */
  readonly keepsBareIndexes?: boolean;
  /** Another digest by which a name may call a document. */
  readonly aliasOf?: (digest: Digest) => ContentName | undefined;
  readonly notice: (text: string) => void;
}

/** Annotation with the full image name, set by containerd and Docker. */
export const CONTAINERD_NAME = 'io.containerd.image.name';
/** Annotation with the name within a layout (OCI image spec, annotations.md). */
export const OCI_REF_NAME = 'org.opencontainers.image.ref.name';

/** The name of an entry of index.json. */
export interface EntryName {
  /** Text that is a whole name: a repository, with a tag or a digest. */
  readonly name?: string;
  /** A tag without a repository, as oras, umoci, podman and skopeo write it. */
  readonly tag?: string;
}

/**
 * Returns the name in the annotations of an index.json entry. The OCI annotation counts only if it
 * names a repository: a bare `1.0` is a tag; text that is not a reference gets a notice.
 * @throws {StoreError} REFERENCE_INVALID if containerd's annotation is not a reference
 */
export function annotatedName(
  annotations: ReadonlyMap<string, string>,
  notice: (text: string) => void = () => undefined,
): EntryName {
  const name = annotations.get(CONTAINERD_NAME) ?? '';
  if (name !== '') {
    parseReference(name);
    return { name };
  }
  const text = annotations.get(OCI_REF_NAME) ?? '';
  if (text === '') return {};
  if (!/[:/@]/.test(text)) return { tag: text };
  try {
    parseReference(text);
    return { name: text };
  } catch (error) {
    if (!isStoreError(error, 'REFERENCE_INVALID')) throw error;
    notice(`skipped the name ${JSON.stringify(text.slice(0, 200))}: ${error.message}`);
    return {};
  }
}

/**
 * Returns the canonical references that `text` gives to what has one of `digests`: the tag, and the
 * digest if it is one of them. A false digest becomes a notice, never a name.
 * @throws {StoreError} REFERENCE_INVALID if it is not a reference
 */
export function trueReferences(
  text: string,
  digests: ReadonlySet<string>,
  notice: (text: string) => void,
): readonly string[] {
  const { domain, path, tag, digest } = parseReference(text);
  if (digest === undefined) return [canonicalReference(text)];
  const names = tag === undefined ? [] : [formatReference({ domain, path, tag })];
  if (digests.has(digest)) return [...names, formatReference({ domain, path, digest })];
  notice(`skipped the name ${JSON.stringify(text)}: its digest is not that of what it names`);
  return names;
}

/**
 * Returns the reference for a bare tag, in `choice.repository`; a notice quotes it if there is none.
 * @throws {StoreError} REFERENCE_INVALID if repository and tag make no reference
 */
export function bareReference(tag: string, choice: ImageChoice): string | undefined {
  if (choice.repository !== undefined) return canonicalReference(`${choice.repository}:${tag}`);
  choice.notice(
    `skipped the name ${JSON.stringify(tag.slice(0, 200))}: it has no repository (--repository NAME loads it as NAME:${tag.slice(0, 40)})`,
  );
  return undefined;
}

/** @throws {StoreError} PLATFORM_NOT_FOUND if one of `wanted` is not among the images found */
export function requirePlatforms(wanted: readonly Platform[], found: ReadonlyMap<string, Platform>): void {
  if (found.size === 0) return;
  for (const platform of wanted) {
    if ([...found.values()].some((each) => isWanted([platform], each))) continue;
    const platforms = [...found.keys()].sort();
    throw new StoreError(
      'PLATFORM_NOT_FOUND',
      `the archive has no image for ${formatPlatform(platform)}: found ${platforms.join(', ')}`,
      { data: { wanted: formatPlatform(platform), found: platforms } },
    );
  }
}

/** @throws {StoreError} ARCHIVE_LIMIT_EXCEEDED if over the limit per archive */
export function checkImageCount(found: number, limit = MAX_IMAGES_PER_ARCHIVE): void {
  if (found <= limit) return;
  throw new StoreError(
    'ARCHIVE_LIMIT_EXCEEDED',
    `cannot read the archive: expected at most ${limit} images, found ${found}`,
    { data: { limit, found } },
  );
}

/** @throws {StoreError} ARCHIVE_LIMIT_EXCEEDED if over the limit per archive */
export function checkNameCount(found: number, limit = MAX_REFERENCES_PER_ARCHIVE): void {
  if (found <= limit) return;
  throw new StoreError(
    'ARCHIVE_LIMIT_EXCEEDED',
    `cannot read the archive: expected at most ${limit} names, found ${found}`,
    { data: { limit, found } },
  );
}
