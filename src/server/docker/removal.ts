import { isStoreError } from '../../errors.js';
import type { ImageId } from '../../model/digest.js';
import { labelsIn } from '../../model/image.js';
import type { Platform } from '../../model/platform.js';
import { familiarReference, parseReference } from '../../model/reference.js';
import type { EventStore } from '../../store/event-store.js';
import type { ReferenceEntry, WriteOptions } from '../../store/store.js';
import { HttpFailure } from '../failure.js';
import { byInstant } from '../../model/timestamp.js';
import { badRequest, noSuchImage } from './failures.js';
import { type Filters, fitsLabels, refuseOthers, truthOf } from './filters.js';
import { untilOf } from './image-list.js';
import { findImage, shortId } from './image-source.js';

/** What a removal did, in order. */
type Record = { readonly Untagged: string } | { readonly Deleted: string };

/** How something is removed. */
interface RemovalOptions {
  readonly force: boolean;
  /** Whether parents that nothing needs any more go too. */
  readonly prune: boolean;
  readonly write: WriteOptions;
}

/**
 * Removes what a name stands for, as `docker rmi`: by reference the reference, and with the last one
 * the image; by id the image with its references, if they are of one repository.
 * @throws {HttpFailure} 404; 409 for an image that others are made from, or that has other references
 */
export async function removeNamed(store: EventStore, name: string, options: RemovalOptions): Promise<Record[]> {
  const { id, reference } = findImage(store, name);
  const records: Record[] = [];
  try {
    if (reference === undefined) await removeById(store, { id, name }, options, records);
    else {
      const entry = store.referenceEntries().find((each) => each.reference === reference);
      if (entry !== undefined) await removeReference(store, entry, options, records);
    }
  } catch (error) {
    if (!isStoreError(error)) throw error;
    // It got a name or a child meanwhile: what counts is what it has now.
    if (error.code === 'IMAGE_IN_USE') return removeNamed(store, name, options);
    throw error.kind === 'NotFound' && records.length === 0 ? noSuchImage(name) : error;
  }
  return records;
}

async function removeById(
  store: EventStore,
  { id, name }: { readonly id: ImageId; readonly name: string },
  options: RemovalOptions,
  records: Record[],
): Promise<void> {
  // The digest of a manifest or index leads to an image too, but names more or less than that.
  if (!id.startsWith(name.startsWith('sha256:') ? name : `sha256:${name}`)) throw noSuchImage(name);
  const references = store.references(id);
  checkConflict(store, id, { references: isOneRepository(references) ? [] : references, force: options.force });
  await deleteImage(store, id, options.force ? undefined : references, options, records);
}

/**
 * Removes the images of platforms, as `docker rmi --platform`: every name loses them, and keeps its others.
 * @throws {HttpFailure} 400 unless forced, 404, 409
 */
export async function removePlatforms(
  store: EventStore,
  { name, platforms }: { readonly name: string; readonly platforms: readonly Platform[] },
  { force, write }: RemovalOptions,
): Promise<Record[]> {
  if (!force) throw badRequest('every name of the image would lose this platform: --force removes it');
  const ids = new Set(platforms.map((platform) => findImage(store, name, platform).id));
  for (const id of ids) checkConflict(store, id, { references: [], force });
  const records: Record[] = [];
  for (const id of ids) await unlessGone(() => deleteImage(store, id, undefined, { prune: false, write }, records));
  return records;
}

/** Whether an image has one tag at most, and digests of that repository alone. */
function isOneRepository(references: readonly string[]): boolean {
  const tags = references.filter((name) => !name.includes('@'));
  return tags.length <= 1 && new Set(references.map(repositoryOf)).size <= 1;
}

function repositoryOf(reference: string): string {
  const { domain, path } = parseReference(reference);
  return `${domain}/${path}`;
}

async function removeReference(
  store: EventStore,
  entry: ReferenceEntry,
  options: RemovalOptions,
  records: Record[],
): Promise<void> {
  const { reference } = entry;
  const images = imagesOf(entry).filter((id) => has(store, id));
  const gone = new Set(images.flatMap((id) => goneWith(store, id, reference)));
  const orphans = images.filter((id) => store.references(id).every((each) => gone.has(each)));
  const deletable = orphans.filter((id) => store.children(id).length === 0);
  const [only] = deletable;
  if (images.length === 1 && only !== undefined) {
    // One transaction: no reader sees the image without its name.
    if (await isDoneUnlessUsed(() => deleteImage(store, only, [...gone], options, records))) return;
  }
  const untag = async (each: string): Promise<void> => {
    await store.untag(each, { ...options.write, removeArtifacts: true });
    records.push({ Untagged: familiarReference(each) });
  };
  await untag(reference);
  for (const each of gone) if (each !== reference) await unlessGone(() => untag(each));
  for (const id of deletable) {
    await unlessGone(() => isDoneUnlessUsed(() => deleteImage(store, id, [], options, records)));
  }
}

/** Whether an image was deleted: one that got a name or a child meanwhile stays. */
async function isDoneUnlessUsed(remove: () => Promise<void>): Promise<boolean> {
  try {
    await remove();
    return true;
  } catch (error) {
    if (isStoreError(error, 'IMAGE_IN_USE')) return false;
    throw error;
  }
}

/** Returns the images of a reference, of several platforms. */
function imagesOf({ image, platforms = [] }: ReferenceEntry): ImageId[] {
  return [...new Set([...(image === undefined ? [] : [image]), ...platforms.map((each) => each.image)])];
}

/** Names by digest stay for a tag of their repository: they go with the last. */
function goneWith(store: EventStore, id: ImageId, reference: string): string[] {
  if (reference.includes('@')) return [reference];
  const repository = repositoryOf(reference);
  const others = store.references(id).filter((each) => each !== reference && repositoryOf(each) === repository);
  return others.some((each) => !each.includes('@')) ? [reference] : [reference, ...others];
}

function checkConflict(
  store: EventStore,
  id: ImageId,
  { references, force }: { readonly references: readonly string[]; readonly force: boolean },
): void {
  if (store.children(id).length > 0) throw conflict(id, 'cannot be forced', 'image has dependent child images');
  if (references.length > 0 && !force) {
    throw conflict(id, 'must be forced', 'image is referenced in multiple repositories');
  }
}

function conflict(id: ImageId, force: string, why: string): HttpFailure {
  return new HttpFailure(409, 'DENIED', `conflict: unable to delete ${shortId(id)} (${force}) - ${why}`);
}

/**
 * Deletes an image with its references, and its parents as far as nothing needs them. `onlyNames` are
 * the references that it was seen with; undefined to delete it with any.
 * @throws {StoreError} IMAGE_NOT_FOUND, IMAGE_IN_USE, for the image itself
 */
async function deleteImage(
  store: EventStore,
  image: ImageId,
  onlyNames: readonly string[] | undefined,
  { prune, write }: Pick<RemovalOptions, 'prune' | 'write'>,
  records: Record[],
): Promise<void> {
  const { parent } = store.get(image);
  const references = store.references(image);
  const layers = await store.delete(image, { ...write, onlyNames });
  for (const reference of references) {
    // One of several platforms keeps the others.
    if (!isThere(() => store.resolve(reference))) records.push({ Untagged: familiarReference(reference) });
  }
  records.push({ Deleted: image });
  for (const { chainId } of layers) records.push({ Deleted: chainId });
  const isNeeded = (by: ImageId): boolean => store.references(by).length > 0 || store.children(by).length > 0;
  if (!prune || parent === '' || !has(store, parent) || isNeeded(parent)) return;
  await unlessGone(() => isDoneUnlessUsed(() => deleteImage(store, parent, [], { prune, write }, records)));
}

function has(store: EventStore, id: ImageId): boolean {
  return isThere(() => store.get(id));
}

function isThere(find: () => unknown): boolean {
  try {
    find();
    return true;
  } catch (error) {
    if (isStoreError(error) && error.kind === 'NotFound') return false;
    throw error;
  }
}

const PRUNE_KEYS = ['dangling', 'until', 'label', 'label!'];

/** What a prune removed. */
interface Pruned {
  readonly ImagesDeleted: readonly Record[] | null;
  readonly SpaceReclaimed: number;
}

/**
 * Removes images as `docker image prune`: those without a tag, or with `dangling=false` all, since
 * no container uses one.
 * @throws {HttpFailure} 400
 */
export async function pruneImages(
  store: EventStore,
  filters: Filters,
  { write, nowMs }: { readonly write: WriteOptions; readonly nowMs: number },
): Promise<Pruned> {
  refuseOthers(filters, PRUNE_KEYS);
  const isDanglingOnly = truthOf(filters, 'dangling') ?? true;
  const until = untilOf(filters, nowMs);
  const layers = store.layers.map();
  const entries = new Map(store.referenceEntries().map((entry) => [entry.reference, entry]));
  const records: Record[] = [];
  const options = { force: false, prune: true, write };
  for (const { id, created } of store.imageEntries()) {
    if (until !== undefined && (created === undefined || byInstant(created, until) > 0)) continue;
    // It went as the parent of another, or somebody else removed it.
    if (!has(store, id) || !fitsLabels(filters, labelsIn(store.get(id).rawJSON()) ?? {})) continue;
    const references = store.references(id);
    if (isDanglingOnly && references.some((name) => !name.includes('@'))) continue;
    if (store.children(id).length > 0 && (references.length === 0 || isDanglingOnly)) continue;
    await unlessGone(async () => {
      if (references.length === 0) await isDoneUnlessUsed(() => deleteImage(store, id, [], options, records));
      for (const reference of references) {
        const entry = store.references(id).includes(reference) ? entries.get(reference) : undefined;
        if (entry !== undefined) await removeReference(store, entry, options, records);
      }
    });
  }
  const sizes = new Map<string, number>([...layers].map(([chainId, { diffSize }]) => [chainId, diffSize]));
  const freed = records.map((record) => ('Deleted' in record ? (sizes.get(record.Deleted) ?? 0) : 0));
  return {
    ImagesDeleted: records.length === 0 ? null : records,
    SpaceReclaimed: freed.reduce((sum, bytes) => sum + bytes, 0),
  };
}

/** What is gone already needs no removal. */
async function unlessGone(remove: () => Promise<unknown>): Promise<void> {
  try {
    await remove();
  } catch (error) {
    if (!isStoreError(error) || error.kind !== 'NotFound') throw error;
  }
}
