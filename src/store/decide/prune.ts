import type { ChainId, Digest } from '../../model/digest.js';
import type { ContentErased, EventBody } from '../../model/events.js';
import type { PrunedContent } from '../erase/erasing.js';
import type { LayerMetadata } from '../store.js';
import type { Decide, DecisionState } from './decision.js';
import { refuseDamagedLogs } from './erase.js';
import { type RemovedLayers, removeLayers } from './release.js';

/** What nothing has needed for long, as far as events tell up to the decision. */
export interface PruneCandidates {
  /** In the order in which they came. */
  readonly contents: ReadonlyMap<Digest, Omit<PrunedContent, 'digest'>>;
  readonly chains: ReadonlySet<ChainId>;
}

/** What a prune comes to. */
export interface PruneOutcome {
  readonly contents: readonly PrunedContent[];
  readonly layers: readonly LayerMetadata[];
}

/** What a prune is decided with. */
export interface PruneParts {
  readonly candidates: () => PruneCandidates;
  readonly contentSize: (digest: Digest) => number | undefined;
  /** Names of damaged logs that are to stay and keep content from being erased. */
  readonly damagedLogs: readonly string[];
}

/**
 * Decides `prune`: of the candidates, those go that are there and that nothing needs now.
 * @throws {StoreError} as a decision: DAMAGED_LOG_KEPT
 */
export function decidePrune({ candidates, contentSize, damagedLogs }: PruneParts): Decide<PruneOutcome> {
  return (state) => {
    const { contents, chains } = candidates();
    const removed = removeLayers(state, chains);
    const pruned = [...unneeded(state, contents, contentSize), ...freedBlobs(state, removed)];
    const erased = pruned.map(({ digest, size }): ContentErased => ({ type: 'ContentErased', digest, size }));
    const events: EventBody[] = [...removed.events, ...erased];
    const ofLog = pruned.filter(({ kind }) => kind !== 'blob').map(({ digest }) => digest);
    refuseDamagedLogs(ofLog, damagedLogs);
    const rows = ofLog.map((digest) => [digest, undefined] as const);
    return { events, content: new Map(rows), result: { contents: pruned, layers: removed.layers } };
  };
}

function* unneeded(
  state: DecisionState,
  contents: PruneCandidates['contents'],
  contentSize: (digest: Digest) => number | undefined,
): Generator<PrunedContent> {
  const needed = state.needed(new Set(contents.keys()));
  for (const [digest, facts] of contents) {
    const size = contentSize(digest);
    // Content that is missing is for verification to tell, and not for an event that says it was erased.
    if (size === undefined || needed.has(digest)) continue;
    yield { digest, ...facts, size };
  }
}

function* freedBlobs(state: DecisionState, { events }: RemovedLayers): Generator<PrunedContent> {
  const freed = new Map<Digest, number>();
  for (const { blob } of events) {
    const uses = (freed.get(blob.digest) ?? 0) + 1;
    freed.set(blob.digest, uses);
    if (uses === state.usesOfBlob(blob.digest)) yield { digest: blob.digest, kind: 'blob', size: blob.size };
  }
}
