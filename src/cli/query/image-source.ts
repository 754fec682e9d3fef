import type { ChainId } from '../../model/digest.js';
import type { LayerFacts } from '../../model/events.js';
import type { ImageReads, PastStore } from '../../store/audit/audit.js';

/** The layers of a store at one moment; empty when it keeps none. */
export type LayerTable = ReadonlyMap<ChainId, Pick<LayerFacts, 'size' | 'diffSize'>>;

/** What reading commands ask: a store of this moment or of a past one. */
export interface ImageSource extends ImageReads, Pick<PastStore, 'resolve' | 'references' | 'referenceEntries'> {
  readonly layers: { map(): LayerTable };
}
