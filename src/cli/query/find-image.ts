import { isStoreError, StoreError } from '../../errors.js';
import { digestHex, type ImageId, isDigest } from '../../model/digest.js';
import { canonicalReference } from '../../model/reference.js';
import type { EventStore } from '../../store/store.js';

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
export function findImage(store: EventStore, name: string): FoundImage {
  if (isDigest(name)) return { id: store.get(name as ImageId).id() };
  const reference = asReference(name);
  if (reference !== undefined) {
    const id = unlessMissing(() => store.resolve(reference));
    if (id !== undefined) return { id, reference };
  }
  const id = unlessMissing(() => store.search(name));
  if (id !== undefined) return { id };
  throw notFound(name);
}

/**
 * Returns the id that `name` means or meant: as `findImage`, else the first
 * digits of an image that was deleted. Costs one pass over the images ever created.
 * @throws {StoreError} IMAGE_NOT_FOUND, ID_AMBIGUOUS
 */
export async function findImageEver(store: EventStore, name: string, signal: AbortSignal): Promise<ImageId> {
  if (isDigest(name)) return name as ImageId;
  const alive = unlessMissing(() => findImage(store, name));
  if (alive !== undefined) return alive.id;
  const hex = name.replace(/^sha256:/, '');
  if (!/^[0-9a-f]{1,64}$/.test(hex)) throw notFound(name);
  const ids = new Set<ImageId>();
  for await (const event of store.log.read({ filter: { type: 'ImageCreated' }, signal })) {
    if (event.type === 'ImageCreated' && digestHex(event.image).startsWith(hex)) ids.add(event.image);
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
