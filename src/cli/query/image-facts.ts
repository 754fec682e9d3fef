import { isStoreError } from '../../errors.js';
import type { ChainId, DiffId, ImageId } from '../../model/digest.js';
import type { Image } from '../../model/image.js';
import type { ImageSource, LayerTable } from './image-source.js';

/** What `images --json` tells of an image: one object a line, absent facts null. */
export interface ImageFacts {
  readonly id: ImageId;
  /** Canonical, sorted. */
  readonly references: readonly string[];
  readonly parent: ImageId | null;
  readonly children: readonly ImageId[];
  readonly chainId: ChainId | null;
  /** Diff ids from the bottom up. */
  readonly layers: readonly DiffId[];
  /** Bytes of the regular files of all layers; null when the store does not keep layers. */
  readonly size: number | null;
  readonly os: string;
  readonly architecture: string;
  readonly variant: string | null;
  /** RFC 3339 in UTC, from the config. */
  readonly created: string | null;
  /** Whether no image has it as its parent. */
  readonly head: boolean;
  /** Only of an image of the past whose config was erased since: then nothing is known that its config says. */
  readonly erased?: true;
}

// What Go writes for a time that was never set.
const ZERO_TIME = '0001-01-01T00:00:00Z';

/** Returns the facts of every image, the newest first, then by reference and id: an order that never wavers. */
export function allImageFacts(source: ImageSource): ImageFacts[] {
  const layers = source.layers.map();
  const facts = [...source.map().keys()].map((id) => {
    try {
      return imageFacts(source, source.get(id), layers);
    } catch (error) {
      if (isStoreError(error, 'CONTENT_ERASED')) return erasedFacts(source, id);
      throw error;
    }
  });
  return facts.sort((a, b) => createdMs(b) - createdMs(a) || compare(sortName(a), sortName(b)) || compare(a.id, b.id));
}

/** Returns the facts of one image; `layers` is the source's table, read once for many images. */
export function imageFacts(source: ImageSource, image: Image, layers: LayerTable): ImageFacts {
  const id = image.id();
  const children = source.children(id);
  const chainId = chainOf(image);
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
    created: createdText(image),
    head: children.length === 0,
  };
}

function erasedFacts(source: ImageSource, id: ImageId): ImageFacts {
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

/** Returns the chain id of an image's layers; undefined when it has none. */
function chainOf(image: Image): ChainId | undefined {
  return image.rootFS.chainID() || undefined;
}

/** Returns when an image was made by its config, ms since the epoch; 0 when it does not say. */
export function createdMs({ created }: Pick<ImageFacts, 'created'>): number {
  const time = created === null ? Number.NaN : Date.parse(created);
  return Number.isNaN(time) ? 0 : time;
}

function createdText({ created }: Image): string | null {
  if (created === undefined || created === ZERO_TIME) return null;
  if (created.endsWith('Z')) return created;
  // The text of the config has nanoseconds, which a Date does not.
  const fraction = /\.\d+/.exec(created)?.[0] ?? '';
  const seconds = new Date(created.replace(fraction, '')).toISOString().slice(0, -'.000Z'.length);
  return `${seconds}${fraction}Z`;
}

function sortName({ references }: ImageFacts): string {
  // Images without a name come last.
  return references[0] ?? '\uffff';
}

function compare(a: string, b: string): number {
  return a < b ? -1 : Number(a > b);
}
