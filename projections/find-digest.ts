import { type Digest, hexPrefix, type ImageId } from '../src/model/digest.js';
import { StoreError } from '../src/errors.js';
import { parseReference } from '../src/model/reference.js';
import { NO_ROW } from './digest-index.js';
import { searchImage } from './images.js';
import { imagesOf, type ReferenceEntry } from './references.js';
import type { Views } from './views.js';

type FoundViews = Pick<Views, 'images' | 'manifests' | 'references' | 'artifacts'>;

/** What a digest names. */
export interface FoundDigest {
  readonly kind: 'image' | 'manifest' | 'index' | 'artifact';
  readonly digest: Digest;
  /** The image itself, that of the manifest, or the first of the index; absent if it has none. */
  readonly image?: ImageId | undefined;
}

/**
 * Returns the image that `term` begins the id of, as `searchImage`; if none, the only manifest,
 * index or artifact whose digest begins so.
 * @throws {StoreError} IMAGE_NOT_FOUND, ID_AMBIGUOUS
 */
export function findDigest(views: FoundViews, term: string): FoundDigest {
  const [first, second] = views.images.index.findOnly(term) === NO_ROW ? findOthers(views, term) : [];
  if (first === undefined) {
    const image = searchImage(views.images, term);
    return { kind: 'image', digest: image, image };
  }
  if (second === undefined) return first;
  throw new StoreError('ID_AMBIGUOUS', `${JSON.stringify(term)} begins more than one digest`, {
    data: { term, candidates: [first.digest, second.digest] },
  });
}

/** Returns every image, manifest, index and artifact whose digest `term` is or begins. */
export function findAll(views: FoundViews, term: string): FoundDigest[] {
  const { index, digests } = views.images;
  const images = index.findPrefix(term, views.images.size).map((row): FoundDigest => {
    const image = digests.digest(row) as ImageId;
    return { kind: 'image', digest: image, image };
  });
  return [...images, ...findOthers(views, term)];
}

/** Returns the image of `findDigest`. @throws {StoreError} IMAGE_NOT_FOUND, ID_AMBIGUOUS */
export function searchDigest(views: FoundViews, term: string): ImageId {
  const { index, digests } = views.images;
  const row = index.findOnly(term);
  if (row >= 0) return digests.digest(row) as ImageId;
  return findDigest(views, term).image ?? searchImage(views.images, term);
}

/**
 * Returns the manifests, indexes and artifacts whose digest is `term` or begins with it, with or
 * without `sha256:`. Walks all of them; none for a term that is no such beginning.
 */
function findOthers(views: FoundViews, term: string): FoundDigest[] {
  const hex = hexPrefix(term);
  if (hex === undefined) return [];
  const prefix = `sha256:${hex}`;
  const found = new Map<Digest, FoundDigest>();
  const imageOf = new Map<Digest, ImageId>();
  for (const [image, entries] of views.manifests) {
    for (const { manifest } of entries) {
      imageOf.set(manifest.digest, image);
      if (manifest.digest.startsWith(prefix)) {
        found.set(manifest.digest, { kind: 'manifest', digest: manifest.digest, image });
      }
    }
  }
  for (const digest of [...views.references.byTarget.keys(), ...views.artifacts.byDigest.keys()]) {
    if (!digest.startsWith(prefix) || found.has(digest)) continue;
    const image = namedImage(views, digest) ?? firstImage(views, digest, imageOf);
    const isIndex = image !== undefined || (views.artifacts.byDigest.get(digest)?.contains.length ?? 1) > 0;
    found.set(digest, { kind: isIndex ? 'index' : 'artifact', digest, image });
  }
  return [...found.values()];
}

function namedImage({ references }: FoundViews, index: Digest): ImageId | undefined {
  const [name] = [...(references.byTarget.get(index) ?? [])].sort();
  return name === undefined ? undefined : references.byName.get(name)?.image;
}

/** Returns the first image of an index, or of those below it. */
function firstImage(views: FoundViews, index: Digest, imageOf: ReadonlyMap<Digest, ImageId>): ImageId | undefined {
  const seen = new Set([index]);
  for (const at of seen) {
    const image = views.images.has(at as ImageId) ? (at as ImageId) : imageOf.get(at);
    if (image !== undefined) return image;
    for (const { digest } of views.artifacts.byDigest.get(at)?.contains ?? []) seen.add(digest);
  }
  return undefined;
}

/**
 * Returns what a reference by digest stands for when no reference is called so: what another name
 * of its repository points at, or an image of that with this id or manifest. Walks the references.
 */
export function findByDigest(
  { references, manifests }: Pick<Views, 'references' | 'manifests'>,
  reference: string,
): ReferenceEntry | undefined {
  const { domain, path, digest } = parseReference(reference);
  if (digest === undefined) return undefined;
  const repository = `${domain}/${path}`;
  for (const entry of references.byName.values()) {
    if (!isIn(repository, entry.reference)) continue;
    if (entry.target?.digest === digest) return { ...entry, reference };
    for (const image of imagesOf(entry)) {
      const target = manifests.get(image)?.find(({ manifest }) => manifest.digest === digest)?.manifest;
      if (image !== digest && target === undefined) continue;
      return { reference, image, target, seq: entry.seq, time: entry.time };
    }
  }
  return undefined;
}

/** Whether a canonical reference is of `repository`, its domain and path. */
function isIn(repository: string, reference: string): boolean {
  const rest = reference.startsWith(repository) ? reference.charAt(repository.length) : '';
  return rest === ':' || rest === '@';
}
