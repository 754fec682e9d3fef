import { isStoreError, StoreError } from '../../errors.js';
import type { Digest, ImageId } from '../../model/digest.js';
import { familiarReference } from '../../model/reference.js';
import type { EventStore } from '../../store/event-store.js';
import type { Grammar } from '../command.js';
import { type CommandContext, writeJson } from '../context.js';
import { openFor } from '../open-for.js';
import { option } from '../option-values.js';
import { findNamed, type LayerIds, layerIds, referenceEntry } from '../query.js';
import { countText, printable } from '../../model/texts.js';

/** `imagelog rm`: removes names independently, like `docker rmi`; fails with the first error. */
export const rmGrammar: Grammar = () => ({
  about:
    'By reference: removes the reference, and the image when that was its last one and it has no children. ' +
    'By id: removes the image and its reference; refused when it has children or several references, unless --force. ' +
    'Artifacts that nothing else holds go with it. By digest: removes an artifact or index; refused when something ' +
    'holds it, unless --force. ' +
    'The log keeps what was there.',
  examples: [
    ['imagelog rm shop/app:1.0', 'remove a reference, and the image that only it named'],
    ['imagelog rm --reason "CVE-2026-1234" cb4c372bec4c', 'remove an image, and keep why'],
    ['imagelog rm --force cb4c372bec4c', 'remove an image that others were made from'],
    ['imagelog rm $(imagelog images --quiet --filter dangling=true)', 'remove what nothing names or uses'],
  ],
  arguments: [['references, ids, or the first digits of ids or digests']],
  options: [option('--force', 'also when it has children or other references, or is held')],
  action: rm,
});

type Removal =
  | { readonly untagged: string; readonly image: ImageId | null; readonly artifact?: Digest | undefined }
  | { readonly removed: Digest; readonly artifactType: string | null }
  | ({ readonly deleted: ImageId } & LayerIds);

async function rm(
  context: CommandContext,
  names: readonly string[],
  { force = false }: { readonly force?: boolean },
): Promise<void> {
  await using store = await openFor(context, 'free');
  const failures: unknown[] = [];
  for (const name of names) {
    try {
      await remove(context, store, name, force);
    } catch (error) {
      context.signal.throwIfAborted();
      if (!(error instanceof StoreError)) throw error;
      failures.push(error);
    }
  }
  if (failures.length > 0) throw new AggregateError(failures, 'some names could not be removed');
}

async function remove(context: CommandContext, store: EventStore, name: string, force: boolean): Promise<void> {
  const found = findNamed(store, name);
  const { reference } = found;
  const before = store.artifacts();
  // The digest of an index stands for the index, not for its images.
  const digest = found.entry === undefined ? found.via?.digest : found.entry.artifact.digest;
  if (reference !== undefined) await removeReference(context, store, reference, force);
  else if (digest !== undefined && before.some(({ artifact }) => artifact.digest === digest)) {
    await removeArtifact(context, store, digest, force);
  } else if (found.entry === undefined) await removeById(context, store, found.id, force);
  const left = new Set(store.artifacts().map(({ artifact }) => artifact.digest));
  for (const { artifact, artifactType, contains } of before) {
    if (left.has(artifact.digest)) continue;
    const kind = contains.length > 0 ? 'index' : 'artifact';
    await tell(context, { removed: artifact.digest, artifactType: artifactType === '' ? null : artifactType }, kind);
  }
}

async function removeArtifact(
  context: CommandContext,
  store: EventStore,
  digest: Digest,
  force: boolean,
): Promise<void> {
  const names = store.referenceEntries().filter(({ target }) => target?.digest === digest);
  await store.deleteArtifact(digest, { ...context.write, force });
  for (const { reference, image = null } of names) {
    await tell(context, { untagged: reference, image, ...(image === null ? { artifact: digest } : {}) });
  }
}

async function removeById(context: CommandContext, store: EventStore, id: ImageId, force: boolean): Promise<void> {
  const children = store.children(id);
  const references = store.references(id);
  if (!force && children.length > 0) {
    throw inUse(id, `${children.length} other image${children.length === 1 ? ' was' : 's were'} made from it`);
  }
  if (!force && references.length > 1) throw inUse(id, `it has ${references.length} references`);
  await deleteImage(context, store, id, force ? undefined : references);
}

async function removeReference(
  context: CommandContext,
  store: EventStore,
  reference: string,
  force: boolean,
): Promise<void> {
  const entry = referenceEntry(store, reference);
  const images = new Set((entry?.platforms ?? []).map(({ image }) => image));
  if (entry?.image !== undefined) images.add(entry.image);
  const isLast = (id: ImageId): boolean => store.references(id).every((each) => each === reference);
  const orphans = [...images].filter((id) => isLast(id) && (force || store.children(id).length === 0));
  const [only] = orphans;
  const left: readonly string[] | undefined = force ? undefined : [];
  if (images.size === 1 && only !== undefined) {
    // One transaction, so that no reader sees the image without its name.
    if (await isDeleted(context, store, only, left?.concat(reference))) return;
  }
  await store.untag(reference, { ...context.write, removeArtifacts: true });
  const { image = null, target } = entry ?? {};
  await tell(context, { untagged: reference, image, ...(image === null ? { artifact: target?.digest } : {}) });
  for (const id of orphans) await isDeleted(context, store, id, left);
}

/** Deletes an image unless it got a name or a child meanwhile, through a server: then it stays. */
async function isDeleted(...[context, store, id, onlyNames]: Parameters<typeof deleteImage>): Promise<boolean> {
  try {
    await deleteImage(context, store, id, onlyNames);
    return true;
  } catch (error) {
    if (isStoreError(error, 'IMAGE_IN_USE')) return false;
    throw error;
  }
}

/** `onlyNames` are the references that it was seen with; undefined to delete it with any. */
async function deleteImage(
  context: CommandContext,
  store: EventStore,
  id: ImageId,
  onlyNames: readonly string[] | undefined,
): Promise<void> {
  const references = store.references(id);
  const layers = await store.delete(id, { ...context.write, onlyNames });
  for (const reference of references) await tell(context, { untagged: reference, image: id });
  await tell(context, { deleted: id, ...layerIds(layers) });
}

async function tell(context: CommandContext, removal: Removal, kind: 'artifact' | 'index' = 'artifact'): Promise<void> {
  if (context.json) return await writeJson(context, removal);
  if ('untagged' in removal) {
    if (!context.quiet) await context.out.line(`untagged ${printable(familiarReference(removal.untagged))}`);
    return;
  }
  if ('removed' in removal) {
    const { removed, artifactType } = removal;
    if (context.quiet) return await context.out.line(removed);
    const type = artifactType === null ? '' : ` (${printable(artifactType)})`;
    return await context.out.line(`removed the ${kind} ${context.colors.yellow(removed)}${type}`);
  }
  if (context.quiet) return await context.out.line(removal.deleted);
  const { length } = removal.layers;
  const freed = length === 0 ? '' : `, and ${countText(length, 'layer')} that nothing else used`;
  await context.out.line(`deleted ${context.colors.yellow(removal.deleted)}${freed}`);
}

function inUse(id: ImageId, why: string): StoreError {
  return new StoreError('IMAGE_IN_USE', `cannot remove the image ${id}: ${why}`, { data: { image: id } });
}
