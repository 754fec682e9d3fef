import { childrenOf, parentOf } from '../../projections/children.js';
import { headsOf } from '../../projections/heads.js';
import type { ImageIds } from '../../projections/image-ids.js';
import { searchImage } from '../../projections/search.js';
import type { Views } from '../../projections/views.js';
import { StoreError } from '../errors.js';
import type { Details } from '../model/details.js';
import type { ImageId } from '../model/digest.js';
import type { Image } from '../model/image.js';
import type { StoredConfig } from '../model/stored-config.js';
import { storedImage } from '../model/stored-image.js';
import { mustBeString } from './argument-types.js';
import { BUILT_LOCALLY_KEY, LAST_UPDATED_KEY } from './decide/metadata.js';
import { imageNotFound } from './decide/need.js';
import { noParent } from './decide/parent.js';
import { LazyImageMap } from './lazy-image-map.js';
import type { ImageReads } from './audit/audit.js';

/** What the reading of images stands on: views, and where the bytes are. */
export interface ImageReaderParts {
  readonly views: Views;
  /** Reads a config that the views know. */
  readonly readConfig: (id: ImageId) => StoredConfig;
  readonly readMetadata: (id: ImageId, key: string) => Uint8Array | undefined;
  /** What the store knows of an image beside its config; absent where nothing more is known. */
  readonly details?: ((id: ImageId) => Details) | undefined;
  /** Whether a config can be read after its image is deleted, so that a map may read it late. */
  readonly configsOutliveImages: boolean;
}

/** The reading half of an image store, of the present and of the past: they differ only in the views they pass. */
export class ImageReader implements ImageReads {
  readonly #parts: ImageReaderParts;

  constructor(parts: ImageReaderParts) {
    this.#parts = parts;
  }

  get(id: ImageId): Image {
    mustBeString('id', id);
    if (!this.#parts.views.images.has(id)) throw imageNotFound(id);
    return this.#read(id);
  }

  search(partial: string): ImageId {
    mustBeString('partial', partial);
    return searchImage(this.#parts.views.images, partial);
  }

  getParent(id: ImageId): ImageId {
    mustBeString('id', id);
    const { views } = this.#parts;
    const parent = parentOf(views.images, id);
    if (parent !== undefined) return parent;
    throw views.images.has(id) ? noParent(id) : imageNotFound(id);
  }

  getLastUpdated(id: ImageId): Date | undefined {
    const value = this.#metadata(id, LAST_UPDATED_KEY);
    if (value === undefined) return undefined;
    const text = new TextDecoder().decode(value);
    const time = new Date(text);
    if (!Number.isNaN(time.getTime())) return time;
    throw new StoreError(
      'CONTENT_CORRUPT',
      `the image ${id} was last updated at ${JSON.stringify(text)}, which is no time`,
      {
        data: { image: id, value: text },
      },
    );
  }

  isBuiltLocally(id: ImageId): boolean {
    return this.#metadata(id, BUILT_LOCALLY_KEY)?.[0] === 1;
  }

  children(id: ImageId): ImageId[] {
    mustBeString('id', id);
    return childrenOf(this.#parts.views.images, id);
  }

  map(): ReadonlyMap<ImageId, Image> {
    return this.#imagesOf(this.#parts.views.images.ids());
  }

  heads(): ReadonlyMap<ImageId, Image> {
    return this.#imagesOf(headsOf(this.#parts.views.images));
  }

  len(): number {
    return this.#parts.views.images.size;
  }

  #read(id: ImageId): Image {
    const { views, readConfig, details } = this.#parts;
    const parent = parentOf(views.images, id);
    return storedImage(readConfig(id), { id, parent, details: details && (() => details(id)) });
  }

  #imagesOf(ids: ImageIds): ReadonlyMap<ImageId, Image> {
    const images = new LazyImageMap(ids, (id) => this.#read(id));
    return this.#parts.configsOutliveImages ? images : new Map(images);
  }

  // As Docker answers: an image that is not there was never updated and not built here.
  #metadata(id: ImageId, key: string): Uint8Array | undefined {
    mustBeString('id', id);
    return this.#parts.views.images.has(id) ? this.#parts.readMetadata(id, key) : undefined;
  }
}
