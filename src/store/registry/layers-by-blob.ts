import type { LayersView } from '../../../projections/layers.js';
import type { Page } from '../../../projections/projection.js';
import type { Digest } from '../../model/digest.js';
import type { LayerFacts } from '../../model/events.js';

/** The layers of a store by their files, made when first asked for. Follows the views by `note`. */
export class LayersByBlob {
  readonly #view: () => LayersView;
  #byBlob: Map<Digest, LayerFacts> | undefined;

  constructor(view: () => LayersView) {
    this.#view = view;
  }

  /** Returns the layer whose file has this digest; one of several that have the same file. */
  get(blob: Digest): LayerFacts | undefined {
    this.#byBlob ??= byBlob(this.#view().byChain.values());
    return this.#byBlob.get(blob);
  }

  /** Takes over what events, folded already, changed. */
  note(page: Page): void {
    for (const event of page) {
      if (event.type === 'LayerAdded') this.#byBlob?.set(event.blob.digest, event);
      // Another layer may have the same file.
      else if (event.type === 'LayerRemoved') this.#byBlob = undefined;
    }
  }
}

function byBlob(layers: Iterable<LayerFacts>): Map<Digest, LayerFacts> {
  const found = new Map<Digest, LayerFacts>();
  for (const facts of layers) found.set(facts.blob.digest, facts);
  return found;
}
