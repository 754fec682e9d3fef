import type { ViewSet } from '../../projections/views.js';
import type { Log } from '../log/log.js';
import type { ImagePolicy } from './decide/create.js';
import type { BlobStore } from './layers/blob-store.js';
import type { HeldLayers } from './layers/held-layers.js';
import type { CheckpointKeeper } from './open/checkpoint-keeper.js';
import type { Sidecar } from './open/sidecar.js';
import type { SnapshotFolder } from './snapshots/snapshot-folder.js';
import type { Snapshotter } from './snapshots/snapshotter.js';

/** Where an event store keeps layers: with itself, elsewhere, or not at all. */
export type LayerPlace = 'own' | 'elsewhere' | 'none';

export interface EventStoreParts {
  readonly directory: string;
  readonly sidecar: Sidecar;
  readonly log: Log;
  readonly checkpoints: CheckpointKeeper;
  readonly snapshots: SnapshotFolder;
  readonly snapshotter: Snapshotter;
  /** Views that have folded the log to its head. */
  readonly viewSet: ViewSet;
  readonly blobs: BlobStore;
  readonly layerPlace: LayerPlace;
  readonly heldLayers: HeldLayers | undefined;
  readonly policy: ImagePolicy;
  readonly readOnly: boolean;
  readonly actor: string;
  /** The caller's clock: what it gives is checked each time. */
  readonly now: () => number;
  /** Told what went wrong and did no harm. */
  readonly onNotice: (notice: string) => void;
  /** Called once, when nothing is open any more: lets this process open the directory again. */
  readonly onClosed: () => void;
}
