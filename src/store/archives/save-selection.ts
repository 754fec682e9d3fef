import { type FoundDigest, findDigest } from '../../../projections/find-digest.js';
import { imagesOf, type ReferenceEntry } from '../../../projections/references.js';
import type { Views } from '../../../projections/views.js';
import type { SavedArtifact, SavedReference } from '../../archive/saved-documents.js';
import { isStoreError, StoreError } from '../../errors.js';
import { type Digest, type ImageId, isDigest } from '../../model/digest.js';
import { formatPlatform, isWanted, type Platform } from '../../model/platform.js';
import { canonicalReference, parseReference } from '../../model/reference.js';
import { mustBeString, platformsOf } from '../argument-types.js';
import type { SaveOptions } from '../store.js';

/** Images to save, the references to write with them, and artifacts that were named by digest. */
interface Selection {
  readonly images: Set<ImageId>;
  readonly references: Map<string, SavedReference>;
  readonly artifacts: Map<Digest, SavedArtifact>;
}

/**
 * Resolves `names` as Docker does: a full id, a reference, a repository without a tag (all its
 * tags), or the beginning of a digest of an image, manifest, index or artifact. Digests bring no
 * references.
 * @throws {StoreError} IMAGE_NOT_FOUND, ID_AMBIGUOUS, PLATFORM_NOT_FOUND
 */
export function selectForSave(
  names: readonly string[],
  platform: SaveOptions['platform'],
  views: Views,
  platformOf: (image: ImageId) => Platform,
): Selection {
  if (!Array.isArray(names)) throw new TypeError('names must be a string or an array of strings');
  for (const name of names) mustBeString('each of names', name);
  if (names.length === 0) throw new RangeError('names must not be empty');
  const selection: Selection = { images: new Set(), references: new Map(), artifacts: new Map() };
  const wanted = platformsOf(platform);
  for (const name of names) {
    const entries = isDigest(name) ? [] : entriesOf(name, views);
    for (const entry of entries) addReference(selection, entry, wanted, platformOf);
    if (entries.length === 0) addDigest(selection, name, views);
  }
  return selection;
}

function addReference(
  { images, references }: Selection,
  entry: ReferenceEntry,
  wanted: readonly Platform[],
  platformOf: (image: ImageId) => Platform,
): void {
  references.set(entry.reference, entry);
  if (wanted.length === 0) {
    for (const image of imagesOf(entry)) images.add(image);
    return;
  }
  const all = entry.platforms ?? imagesOf(entry).map((image) => ({ image, ...platformOf(image) }));
  for (const platform of wanted) {
    if (all.length === 0 || all.some((each) => isWanted([platform], each))) continue;
    const found = all.map(formatPlatform);
    throw new StoreError(
      'PLATFORM_NOT_FOUND',
      `${entry.reference} has no image for ${formatPlatform(platform)}: found ${found.join(', ')}`,
      { data: { wanted: formatPlatform(platform), found } },
    );
  }
  for (const each of all) if (isWanted(wanted, each)) images.add(each.image);
}

function addDigest({ images, artifacts }: Selection, name: string, views: Views): void {
  const { kind, digest, image } = found(name, views);
  if (kind === 'image' || kind === 'manifest') {
    if (image !== undefined) images.add(image);
    return;
  }
  const entry = views.artifacts.byDigest.get(digest);
  const [reference] = views.references.byTarget.get(digest) ?? [];
  const named = reference === undefined ? undefined : views.references.byName.get(reference);
  const descriptor = entry?.artifact ?? named?.target;
  if (descriptor === undefined) return;
  artifacts.set(digest, { artifactType: '', contains: [], blobs: [], ...entry, descriptor });
  for (const each of named === undefined ? imagesIn(digest, views) : imagesOf(named)) images.add(each);
}

/** Returns the images whose manifests an index contains, or those below it. */
function imagesIn(index: Digest, { artifacts, manifests }: Views): ReadonlySet<ImageId> {
  const imageOf = new Map<Digest, ImageId>();
  for (const [image, entries] of manifests) for (const { manifest } of entries) imageOf.set(manifest.digest, image);
  const images = new Set<ImageId>();
  const seen = new Set([index]);
  for (const at of seen) {
    const image = imageOf.get(at);
    if (image !== undefined) images.add(image);
    for (const { digest } of artifacts.byDigest.get(at)?.contains ?? []) seen.add(digest);
  }
  return images;
}

function found(name: string, views: Views): FoundDigest {
  try {
    return findDigest(views, name);
  } catch (error) {
    if (!isStoreError(error, 'IMAGE_NOT_FOUND')) throw error;
    throw new StoreError(
      'IMAGE_NOT_FOUND',
      `no image ${JSON.stringify(name)}: it is not a reference and begins no image id`,
      { cause: error, data: { name } },
    );
  }
}

function entriesOf(name: string, views: Views): ReferenceEntry[] {
  const parsed = parsedOrUndefined(name);
  if (parsed === undefined) return [];
  const { byName } = views.references;
  if (parsed.tag !== undefined || parsed.digest !== undefined) {
    const entry = byName.get(canonicalReference(name));
    return entry === undefined ? [] : [entry];
  }
  const { domain, path } = parsed;
  return [...byName.values()].filter(({ reference }) => {
    const other = parseReference(reference);
    return other.domain === domain && other.path === path;
  });
}

function parsedOrUndefined(name: string): ReturnType<typeof parseReference> | undefined {
  try {
    return parseReference(name);
  } catch (error) {
    if (isStoreError(error, 'REFERENCE_INVALID')) return undefined;
    throw error;
  }
}
