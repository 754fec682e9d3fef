import { isStoreError } from '../errors.js';
import type { ChainId, DiffId, ImageId } from '../model/digest.js';
import type { Image } from '../model/image.js';
import type { Timestamp } from '../model/timestamp.js';
import { BUILT_LOCALLY_KEY, LAST_UPDATED_KEY, PARENT_KEY } from '../store/commands/metadata.js';
import { metadataText } from '../log/event-json.js';
import { configTimeText, type LayerTable } from '../model/build-steps.js';
import type { ImageSource } from './query.js';
import { utcText } from '../model/texts.js';

/** An image in `images --json`: one object a line, missing facts null. */
export interface ImageFacts {
  readonly id: ImageId;
  /** Canonical, sorted. */
  readonly references: readonly string[];
  readonly parent: ImageId | null;
  readonly children: readonly ImageId[];
  readonly chainId: ChainId | null;
  /** Diff ids, bottom to top. */
  readonly layers: readonly DiffId[];
  /** Total bytes of regular files in all layers; null if the store does not keep layers. */
  readonly size: number | null;
  readonly os: string;
  readonly architecture: string;
  readonly variant: string | null;
  /** In UTC, from the config. */
  readonly created: Timestamp | null;
  /** Whether the image has no children. */
  readonly head: boolean;
  /** By key, sorted, without Docker's keys. */
  readonly metadata: MetadataFacts;
  /** Set for a past image whose config was erased since; its config facts are unknown. */
  readonly erased?: true;
}

/** Metadata by key: the text, or, for bytes that are no printable UTF-8, their base64. */
type MetadataFacts = Readonly<Record<string, string | { readonly base64: string }>>;

/** Keys of Docker's own, which are shown by their meaning and not set as metadata. */
export const DOCKER_KEYS: ReadonlySet<string> = new Set([PARENT_KEY, LAST_UPDATED_KEY, BUILT_LOCALLY_KEY]);

function metadataFacts(source: ImageSource, id: ImageId): MetadataFacts {
  const own = [...source.metadata(id)].filter(([key]) => !DOCKER_KEYS.has(key));
  return Object.fromEntries(
    own.map(([key, value]) => [key, metadataText(value) ?? { base64: Buffer.from(value).toString('base64') }]),
  );
}

/** Returns what an image has under Docker's keys, by its meaning: an id, a time, or `true`. */
export function dockerMetadata(source: ImageSource, id: ImageId): ReadonlyMap<string, string> {
  const parent = parentOf(source, id);
  const updated = source.getLastUpdated(id);
  return new Map([
    ...(parent === null ? [] : [[PARENT_KEY, parent] as const]),
    ...(updated === undefined ? [] : [[LAST_UPDATED_KEY, utcText(updated.getTime())] as const]),
    ...(source.isBuiltLocally(id) ? [[BUILT_LOCALLY_KEY, 'true'] as const] : []),
  ]);
}

/** Returns the facts of one image; `layers` is the source's table, shared across images. */
export function imageFacts(source: ImageSource, image: Image, layers: LayerTable): ImageFacts {
  const id = image.id();
  const children = source.children(id);
  const chainId = image.rootFS.chainID() || undefined;
  const { os, architecture, variant } = image.platform();
  return {
    id,
    references: source.references(id),
    parent: image.parent === '' ? null : image.parent,
    children,
    chainId: chainId ?? null,
    layers: image.rootFS.diffIds,
    size: chainId === undefined ? 0 : (layers.get(chainId)?.size ?? null),
    os,
    architecture,
    variant: variant ?? null,
    created: configTimeText(image),
    head: children.length === 0,
    metadata: metadataFacts(source, id),
  };
}

/** Returns the facts of a past image whose config was erased since. */
export function erasedFacts(source: ImageSource, id: ImageId): ImageFacts {
  const children = source.children(id);
  return {
    id,
    references: source.references(id),
    parent: parentOf(source, id),
    children,
    chainId: null,
    layers: [],
    size: null,
    os: '',
    architecture: '',
    variant: null,
    created: null,
    head: children.length === 0,
    metadata: metadataFacts(source, id),
    erased: true,
  };
}

function parentOf(source: ImageSource, id: ImageId): ImageId | null {
  try {
    return source.getParent(id);
  } catch (error) {
    if (isStoreError(error, 'METADATA_NOT_FOUND')) return null;
    throw error;
  }
}
