import { imagesOf, type ReferenceEntry } from '../../../projections/references.js';
import type { Views } from '../../../projections/views.js';
import { isStoreError, StoreError } from '../../errors.js';
import { type ImageId, isDigest } from '../../model/digest.js';
import { canonicalReference, parseReference } from '../../model/reference.js';
import { mustBeString } from '../argument-types.js';
import type { EventStore } from '../event-store.js';

/** The images that names stand for, and the references to write with them. */
export interface NamedImages {
  readonly images: ReadonlySet<ImageId>;
  readonly references: ReadonlyMap<string, ReferenceEntry>;
}

/**
 * Returns what `names` stand for, each as Docker reads it: a full id, a reference, a repository without a tag (all its
 * tags), or the beginning of an id. Names by id bring no references.
 * @throws {StoreError} IMAGE_NOT_FOUND, ID_AMBIGUOUS
 */
export function namedImages(names: readonly string[], store: Pick<EventStore, 'search'>, views: Views): NamedImages {
  if (!Array.isArray(names)) throw new TypeError('names must be a string or an array of strings');
  for (const name of names) mustBeString('each of names', name);
  if (names.length === 0) throw new RangeError('names must not be empty');
  const images = new Set<ImageId>();
  const references = new Map<string, ReferenceEntry>();
  for (const name of names) {
    const entries = isDigest(name) ? [] : entriesOf(name, views);
    for (const entry of entries) {
      references.set(entry.reference, entry);
      for (const image of imagesOf(entry)) images.add(image);
    }
    if (entries.length === 0) images.add(imageOf(name, store));
  }
  return { images, references };
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

function imageOf(name: string, store: Pick<EventStore, 'search'>): ImageId {
  try {
    return store.search(name);
  } catch (error) {
    if (!isStoreError(error, 'IMAGE_NOT_FOUND')) throw error;
    throw new StoreError(
      'IMAGE_NOT_FOUND',
      `no image ${JSON.stringify(name)}: it is no reference and begins no image id`,
      {
        cause: error,
        data: { name },
      },
    );
  }
}

function parsedOrUndefined(name: string): ReturnType<typeof parseReference> | undefined {
  try {
    return parseReference(name);
  } catch (error) {
    if (isStoreError(error, 'REFERENCE_INVALID')) return undefined;
    throw error;
  }
}
