import { isStoreError } from '../../errors.js';
import { UPLOAD_SWEEP_INTERVAL_MS } from '../../limits.js';
import type { EventStore } from '../../store/event-store.js';
import type { ServerMetrics } from './metrics.js';

/** What the upkeep of uploads works on and reports to. */
interface Upkeep {
  readonly store: EventStore;
  readonly metrics: ServerMetrics;
  readonly onFailure: (error: unknown) => void;
  /** Ends it. */
  readonly signal: AbortSignal;
}

/** Removes uploads and staged blobs that expired, now and then, and adds metrics of the others. */
export function keepUploads(
  { store, metrics, onFailure, signal }: Upkeep,
  intervalMs: number = UPLOAD_SWEEP_INTERVAL_MS,
): void {
  const { uploads } = store.registry;
  metrics.gauge('imagelog_uploads', 'Uploads in progress.', () => uploads.used.uploads);
  metrics.gauge('imagelog_staged_blobs', 'Blobs that wait for a manifest.', () => uploads.used.blobs);
  metrics.gauge('imagelog_uploaded_bytes', 'Bytes of both.', () => uploads.used.bytes);
  const sweep = (): void =>
    void uploads.sweep().catch((error: unknown) => {
      // A store for reading has none, and one that closes first sweeps when it opens.
      if (!isStoreError(error, 'STORE_READ_ONLY') && !isStoreError(error, 'STORE_CLOSED')) onFailure(error);
    });
  const timer = setInterval(sweep, intervalMs).unref();
  signal.addEventListener('abort', () => clearInterval(timer), { once: true });
}
