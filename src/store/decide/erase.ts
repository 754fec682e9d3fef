import { StoreError } from '../../errors.js';
import type { Digest } from '../../model/digest.js';
import { contentErased } from '../erase/erased.js';
import type { LayerMetadata } from '../store.js';
import type { ContentUsers } from './content-users.js';
import type { Decide } from './decision.js';
import { removeLayers } from './release.js';

/** What is kept under a digest, as of the decision. Sizes are bytes. */
export interface KeptBytes {
  readonly contentSize: () => number | undefined;
  readonly blobSize: () => number | undefined;
  /** Whether somebody reads the blob or brings it just now. */
  readonly isBlobHeld: () => boolean;
  /** Names of damaged logs that are to stay. */
  readonly damagedLogs: readonly string[];
}

/** What an erasure comes to. */
export interface ErasureOutcome {
  readonly size: number;
  readonly layers: readonly LayerMetadata[];
}

/**
 * Decides `erase`: layers of the blob that nothing uses go, then the content.
 * @throws {StoreError} as a decision: CONTENT_NOT_FOUND, CONTENT_ERASED, CONTENT_IN_USE,
 *   DAMAGED_LOG_KEPT
 */
export function decideErase(digest: Digest, kept: KeptBytes): Decide<ErasureOutcome> {
  return (state) => {
    const users = state.usersOf(digest);
    refuseUsed(digest, { ...users, layers: users.layers.filter(({ chainId }) => state.usesOf(chainId) > 0) });
    const erasure = state.erasure(digest);
    if (erasure !== undefined) throw contentErased(erasure);
    const contentSize = kept.contentSize();
    const size = contentSize ?? kept.blobSize();
    if (size === undefined) throw contentNotFound(digest);
    if (contentSize === undefined && kept.isBlobHeld()) throw blobHeld(digest);
    if (contentSize !== undefined) refuseDamagedLogs([digest], kept.damagedLogs);
    const removed = removeLayers(
      state,
      users.layers.map(({ chainId }) => chainId),
    );
    return {
      events: [...removed.events, { type: 'ContentErased', digest, size }],
      content: contentSize === undefined ? undefined : new Map([[digest, undefined]]),
      result: { size, layers: removed.layers },
    };
  };
}

/**
 * Refuses to erase content while logs stay that may hold it too: layers are in none.
 * @throws {StoreError} DAMAGED_LOG_KEPT
 */
export function refuseDamagedLogs(digests: readonly Digest[], damagedLogs: readonly string[]): void {
  const [digest] = digests;
  if (digest === undefined || damagedLogs.length === 0) return;
  const what = digests.length === 1 ? digest : `${digest} and ${digests.length - 1} more`;
  const logs = damagedLogs.join(', ');
  throw new StoreError(
    'DAMAGED_LOG_KEPT',
    `cannot erase ${what}: ${logs}, which a rebuild put aside, may hold the same bytes; move it away or have it removed`,
    { data: { digests, damagedLogs } },
  );
}

function refuseUsed(digest: Digest, { images, references, layers }: ContentUsers): void {
  const chains = layers.map(({ chainId }) => chainId);
  const users = [
    ...images.map((image) => `the image ${image}`),
    ...references.map((reference) => `the reference ${reference}`),
    ...chains.map((chainId) => `the layer chain ${chainId}`),
  ];
  const [first] = users;
  if (first === undefined) return;
  const more = users.length === 1 ? '' : ` and ${users.length - 1} more`;
  const verb = users.length === 1 ? 'needs' : 'need';
  throw new StoreError('CONTENT_IN_USE', `cannot erase ${digest}: ${first}${more} ${verb} it`, {
    data: { digest, images, references, layers: chains },
  });
}

function blobHeld(digest: Digest): StoreError {
  return new StoreError('CONTENT_IN_USE', `cannot erase ${digest}: a load or a save under way has its file`, {
    data: { digest, images: [], references: [], layers: [] },
  });
}

function contentNotFound(digest: Digest): StoreError {
  return new StoreError('CONTENT_NOT_FOUND', `nothing of the digest ${digest} is in the store`, { data: { digest } });
}
