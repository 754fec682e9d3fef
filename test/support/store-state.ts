import { isStoreError } from '../../src/errors.js';
import type { Digest, ImageId } from '../../src/model/digest.js';
import type { Image } from '../../src/model/image.js';
import type { PastStore } from '../../src/store/past/audit.js';
import type { EventStore } from '../../src/store/event-store.js';

/** All that a store answers about the present, as plain values that can be compared; no times and no seqs. */
export function stateOf(store: EventStore): Record<string, unknown> {
  return { ...pastStateOf(store), walked: walked(store) };
}

/** All that a store of the present or the past answers, without the raw side. */
export function pastStateOf(store: EventStore | PastStore): Record<string, unknown> {
  const ids = [...store.map().keys()].sort();
  return {
    images: Object.fromEntries(ids.map((id) => [id, imageState(store, id)])),
    heads: [...store.heads().keys()].sort(),
    len: store.len(),
    references: store.referenceEntries().map(({ reference, image, target }) => ({ reference, image, target })),
    erased: [...store.erasures().keys()].sort(),
    layers: [...store.layers.map().values()]
      .map(({ chainId, diffId, parent, size, diffSize }) => ({
        chainId,
        diffId,
        parent: typeof parent === 'object' ? parent.chainId : parent,
        size,
        diffSize,
      }))
      .sort((a, b) => (a.chainId < b.chainId ? -1 : 1)),
  };
}

function imageState(store: EventStore | PastStore, id: ImageId): unknown {
  const image = imageOrErased(store, id);
  if (image === ERASED) return ERASED;
  const { metadata = {} } = image.details ?? {};
  return {
    config: Buffer.from(image.rawJSON()).toString(),
    parent: image.parent,
    children: store.children(id),
    references: store.references(id),
    metadata: Object.fromEntries(Object.entries(metadata).sort()),
    builtLocally: store.isBuiltLocally(id),
    found: store.search(id.slice('sha256:'.length)),
  };
}

/** What stands for an image of the past whose config was erased since. */
export const ERASED = 'CONTENT_ERASED';

function imageOrErased(store: EventStore | PastStore, id: ImageId): Image | typeof ERASED {
  try {
    return store.get(id);
  } catch (error) {
    if (isStoreError(error, ERASED)) return ERASED;
    throw error;
  }
}

function walked(store: EventStore): Digest[] {
  const digests: Digest[] = [];
  store.backend.walk((digest) => void digests.push(digest));
  return digests;
}
