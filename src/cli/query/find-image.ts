import { isStoreError, StoreError } from '../../errors.js';
import { digestHex, type ImageId, isDigest } from '../../model/digest.js';
import { canonicalReference } from '../../model/reference.js';
import type { Reading } from '../open-reading.js';
import type { ImageSource } from './image-source.js';

/** An image that a person named. */
export interface FoundImage {
  readonly id: ImageId;
  /** Canonical; present when the name was a reference. */
  readonly reference?: string | undefined;
}

/**
 * Returns the image that `name` means, tried as Docker does: a whole id, a
 * reference, the first digits of an id.
 * @throws {StoreError} IMAGE_NOT_FOUND; ID_AMBIGUOUS when several ids begin so
 */
export function findImage(source: ImageSource, name: string): FoundImage {
  if (isDigest(name)) return { id: source.get(name as ImageId).id() };
  const reference = asReference(name);
  if (reference !== undefined) {
    const id = unlessMissing(() => source.resolve(reference));
    if (id !== undefined) return { id, reference };
  }
  const id = unlessMissing(() => source.search(name));
  if (id !== undefined) return { id };
  throw notFound(name);
}

/**
 * Returns the id that `name` means or meant: a whole id as it is, whether or not it ever was; else as `findImage`; else the
 * first digits of an image that was deleted before, which costs one pass over the log.
 * @throws {StoreError} IMAGE_NOT_FOUND, ID_AMBIGUOUS
 */
export async function findImageEver(
  { store, images, seq }: Pick<Reading, 'store' | 'images' | 'seq'>,
  name: string,
  signal: AbortSignal,
): Promise<ImageId> {
  if (isDigest(name)) return name as ImageId;
  const alive = unlessMissing(() => findImage(images, name));
  if (alive !== undefined) return alive.id;
  const hex = name.replace(/^sha256:/, '');
  if (!/^[0-9a-f]{1,64}$/.test(hex)) throw notFound(name);
  const ids = new Set<ImageId>();
  for await (const event of store.log.read({ to: seq, filter: { type: 'ImageDeleted' }, signal })) {
    if (event.type === 'ImageDeleted' && digestHex(event.image).startsWith(hex)) ids.add(event.image);
  }
  const [id, second] = ids;
  if (id === undefined) throw notFound(name);
  if (second === undefined) return id;
  throw new StoreError(
    'ID_AMBIGUOUS',
    `cannot tell which image ${JSON.stringify(name)} is: ${ids.size} ids in the log begin so`,
    {
      data: { name, ids: [...ids] },
    },
  );
}

function asReference(name: string): string | undefined {
  try {
    return canonicalReference(name);
  } catch (error) {
    if (isStoreError(error, 'REFERENCE_INVALID')) return undefined;
    throw error;
  }
}

function unlessMissing<Result>(find: () => Result): Result | undefined {
  try {
    return find();
  } catch (error) {
    if (isStoreError(error, 'IMAGE_NOT_FOUND') || isStoreError(error, 'REFERENCE_NOT_FOUND')) return undefined;
    throw error;
  }
}

function notFound(name: string): StoreError {
  return new StoreError(
    'IMAGE_NOT_FOUND',
    `cannot find the image ${JSON.stringify(name)}: no reference is called so and no id begins so`,
    {
      data: { name },
    },
  );
}
