import type { Views } from '../../../projections/views.js';
import type { ChainId, Digest } from '../../model/digest.js';
import type { StoredEvent } from '../../model/events.js';
import { neededContent } from '../decide/content-users.js';
import type { PruneCandidates } from '../decide/prune.js';
import type { PrunedContent } from './erasing.js';

/**
 * Finds what nothing has needed since some event: of what the events up to it name, all that the store did not need then and
 * that no event has named since. Give it the events up to that one, then the views as they were there, then the events after.
 */
export class PruneScan implements PruneCandidates {
  readonly contents = new Map<Digest, Omit<PrunedContent, 'digest'>>();
  readonly chains = new Set<ChainId>();

  /** Takes an event up to the point in time. */
  addBefore(event: StoredEvent): void {
    switch (event.type) {
      case 'ImageCreated':
        this.#name(event.image, { kind: 'config', size: event.size, image: event.image });
        break;
      case 'ManifestAdded': {
        const { digest, size } = event.manifest;
        this.#name(digest, { kind: 'manifest', size, image: event.image });
        break;
      }
      case 'ReferenceSet': {
        const { target, platforms } = event;
        // The target of one image is its manifest, which stands under that already.
        if (target === undefined || this.contents.has(target.digest)) break;
        this.#name(target.digest, { kind: platforms === undefined ? 'manifest' : 'index', size: target.size });
        break;
      }
      case 'ContentErased':
        this.contents.delete(event.digest);
        break;
      default:
    }
  }

  /** Takes the views at the point in time. */
  addViews({ images, layers, manifests, references }: Views): void {
    for (const digest of neededContent({ images, manifests, references })) this.contents.delete(digest);
    for (const chainId of layers.byChain.keys()) {
      if (images.usesOfChain(chainId) === 0 && !layers.childrenOf.has(chainId)) this.chains.add(chainId);
    }
  }

  /** Takes an event after the point in time: what it names was needed since. */
  addAfter(event: StoredEvent): void {
    switch (event.type) {
      case 'ImageCreated':
        this.contents.delete(event.image);
        if (event.chainId !== undefined) this.chains.delete(event.chainId);
        break;
      case 'ManifestAdded':
        this.contents.delete(event.manifest.digest);
        break;
      case 'ReferenceSet':
        if (event.target !== undefined) this.contents.delete(event.target.digest);
        break;
      case 'ContentErased':
        this.contents.delete(event.digest);
        break;
      case 'LayerAdded':
        this.chains.delete(event.chainId);
        if (event.parent !== undefined) this.chains.delete(event.parent);
        break;
      case 'LayerRemoved':
        this.chains.delete(event.chainId);
        break;
      default:
    }
  }

  // In the order of the last time that it came.
  #name(digest: Digest, facts: Omit<PrunedContent, 'digest'>): void {
    this.contents.delete(digest);
    this.contents.set(digest, facts);
  }
}
