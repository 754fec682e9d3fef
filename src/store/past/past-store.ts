import type { Erasure } from '../../../projections/content.js';
import type { Views } from '../../../projections/views.js';
import type { Log } from '../../log/log.js';
import type { ChainId, Digest, ImageId } from '../../model/digest.js';
import type { LayerFacts } from '../../model/events.js';
import type { Image } from '../../model/image.js';
import type { StoredConfig } from '../../model/stored-image.js';
import type { Platform } from '../../model/platform.js';
import { mustBeString } from '../argument-types.js';
import { layerNotFound } from '../commands/register.js';
import { imageDetails, ImageReader, storedMetadata } from '../images.js';
import { ReferenceReader } from '../references.js';
import type { ReferenceEntry } from '../event-store.js';
import type { PastStore } from './audit.js';

interface PastStoreParts {
  /** The views as of one event; nothing folds into them any more. */
  readonly views: Views;
  readonly seq: number;
  readonly log: Log;
  readonly readConfig: (id: ImageId) => StoredConfig;
  /** Throws STORE_CLOSED when the store is. */
  readonly checkOpen: () => void;
}

/** A store as of one event: the members of the present one over other views. */
export class ViewedPast implements PastStore {
  readonly seq: number;
  readonly time: number;
  readonly layers: PastStore['layers'];
  readonly #checkOpen: () => void;
  readonly #views: Views;
  readonly #images: ImageReader;
  readonly #references: ReferenceReader;

  constructor({ views, seq, log, readConfig, checkOpen }: PastStoreParts) {
    this.seq = seq;
    this.time = log.event(seq)?.time ?? 0;
    this.#checkOpen = checkOpen;
    this.#views = views;
    this.#images = new ImageReader({
      views,
      readConfig,
      readMetadata: (id, key) => views.metadata.get(id)?.get(key),
      details: (id) => imageDetails(views, id),
      configsOutliveImages: true,
    });
    this.#references = new ReferenceReader({
      view: () => views.references,
      platformOf: (id) => this.#images.get(id).platform(),
    });
    this.layers = {
      get: (chainId) => this.#layer(chainId),
      map: () => {
        checkOpen();
        return new Map(views.layers.byChain);
      },
    };
  }

  get(id: ImageId): Image {
    this.#checkOpen();
    return this.#images.get(id);
  }

  search(partial: string): ImageId {
    this.#checkOpen();
    return this.#images.search(partial);
  }

  getParent(id: ImageId): ImageId {
    this.#checkOpen();
    return this.#images.getParent(id);
  }

  getLastUpdated(id: ImageId): Date | undefined {
    this.#checkOpen();
    return this.#images.getLastUpdated(id);
  }

  isBuiltLocally(id: ImageId): boolean {
    this.#checkOpen();
    return this.#images.isBuiltLocally(id);
  }

  children(id: ImageId): ImageId[] {
    this.#checkOpen();
    return this.#images.children(id);
  }

  map(): ReadonlyMap<ImageId, Image> {
    this.#checkOpen();
    return this.#images.map();
  }

  heads(): ReadonlyMap<ImageId, Image> {
    this.#checkOpen();
    return this.#images.heads();
  }

  len(): number {
    this.#checkOpen();
    return this.#images.len();
  }

  getMetadata(id: ImageId, key: string): Uint8Array {
    this.#checkOpen();
    return storedMetadata(this.#views, id, key);
  }

  resolve(reference: string, options: { readonly platform?: Platform | string | undefined } = {}): ImageId {
    this.#checkOpen();
    return this.#references.resolve(reference, options.platform);
  }

  references(id: ImageId): string[] {
    this.#checkOpen();
    return this.#references.references(id);
  }

  referenceEntries(): ReferenceEntry[] {
    this.#checkOpen();
    return this.#references.entries();
  }

  erasures(): ReadonlyMap<Digest, Erasure> {
    this.#checkOpen();
    return new Map(this.#views.erasures);
  }

  #layer(chainId: ChainId): LayerFacts {
    this.#checkOpen();
    mustBeString('chainId', chainId);
    const facts = this.#views.layers.byChain.get(chainId);
    if (facts === undefined) throw layerNotFound(chainId);
    return facts;
  }
}
