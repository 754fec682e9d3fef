import { createViews } from '../../../projections/views.js';
import { isStoreError } from '../../errors.js';
import { hostOs } from '../../model/host.js';
import { type Image, newFromJSON } from '../../model/image.js';
import { type ImageId, isDigest } from '../../model/digest.js';
import { StoredConfig } from '../../model/stored-config.js';
import type { EventBody } from '../../model/events.js';
import { BackendPort } from './backend-port.js';
import { chainOf, imageCreated } from '../decide/create.js';
import { PARENT_KEY } from '../decide/metadata.js';
import { checkOS } from '../../model/check-os.js';
import { readClock } from '../../model/timestamp.js';
import { HeldLayers } from '../layers/held-layers.js';
import { ImageStore } from '../image-store.js';
import { nodeSha256 } from '../files/node-hash.js';
import type { LayerGetReleaser, Store, StoreBackend } from '../store.js';

/** How a store over a backend is opened. */
export interface ImageStoreOptions {
  /** The operating system that images with layers must be for; default `host`, as with Docker. */
  readonly os?: 'any' | 'host' | (string & {}) | undefined;
  readonly actor?: string | undefined;
  /** The clock, milliseconds since the epoch; default `Date.now`. */
  readonly now?: (() => number) | undefined;
}

/** What `newImageStore` of the library does, which says how. */
export async function newImageStore(
  backend: StoreBackend,
  layers: LayerGetReleaser,
  options: ImageStoreOptions = {},
): Promise<Store> {
  const { os = 'host', actor = 'imagelog' } = options;
  const now = (): number => readClock(options.now ?? Date.now);
  const policy = { os: requiredOs(os), needsLayers: false };
  const { views, fold } = createViews();
  const heldLayers = new HeldLayers(layers);
  const port = new BackendPort({ backend, views, fold, now });
  await restoreImages(backend, heldLayers, policy.os, (events) => port.fold(events));
  return new ImageStore({
    views,
    port,
    readConfig: (id) => new StoredConfig(backend.get(id)),
    readMetadata: (id, key) => unlessNotFound(() => backend.getMetadata(id, key)),
    configsOutliveImages: false,
    policy,
    heldLayers,
    actor,
    now,
    hash: nodeSha256,
  });
}

/** Returns the operating system that an `os` option asks for; undefined for any. */
export function requiredOs(os: string): string | undefined {
  if (os === 'any') return undefined;
  return os === 'host' ? hostOs() : os;
}

async function restoreImages(
  backend: StoreBackend,
  heldLayers: HeldLayers,
  os: string | undefined,
  fold: (events: readonly EventBody[]) => void,
): Promise<void> {
  const ids: ImageId[] = [];
  backend.walk((digest) => ids.push(digest as ImageId));
  const restored = new Set<ImageId>();
  for (const id of ids) {
    const config = backend.get(id);
    const image = parsedOrUndefined(config);
    if (image === undefined || !(await takeLayers(id, image, heldLayers, os))) continue;
    restored.add(id);
    fold([imageCreated({ id, config, image })]);
  }
  // Parents come second: either image may stand first in the walk.
  for (const id of restored) {
    const parent = unlessNotFound(() => backend.getMetadata(id, PARENT_KEY));
    const parentId = parent === undefined ? '' : new TextDecoder().decode(parent);
    if (isDigest(parentId) && restored.has(parentId as ImageId)) {
      fold([{ type: 'ParentSet', image: id, parent: parentId as ImageId }]);
    }
  }
}

async function takeLayers(id: ImageId, image: Image, heldLayers: HeldLayers, os: string | undefined): Promise<boolean> {
  const chainId = chainOf(image);
  if (chainId === undefined) return true;
  return (os === undefined || isFor(image, os)) && heldLayers.tryTake(id, chainId);
}

function isFor(image: Image, os: string): boolean {
  try {
    checkOS(image.operatingSystem(), os);
    return true;
  } catch (error) {
    if (isStoreError(error, 'OS_UNSUPPORTED')) return false;
    throw error;
  }
}

function parsedOrUndefined(config: Uint8Array): Image | undefined {
  try {
    return newFromJSON(config);
  } catch (error) {
    if (isStoreError(error, 'CONFIG_INVALID')) return undefined;
    throw error;
  }
}

function unlessNotFound<Value>(read: () => Value): Value | undefined {
  try {
    return read();
  } catch (error) {
    if (isStoreError(error) && error.kind === 'NotFound') return undefined;
    throw error;
  }
}
