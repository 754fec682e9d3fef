import type { Erasure, ErasuresView } from '../../../projections/erasures.js';
import { StoreError } from '../../errors.js';
import type { Digest } from '../../model/digest.js';

/** Refuses content that was erased, with when, by whom and why. @throws {StoreError} CONTENT_ERASED */
export function refuseErased(erasures: ErasuresView, digest: Digest): void {
  const erasure = erasures.get(digest);
  if (erasure !== undefined) throw contentErased(erasure);
}

/** Returns the error of a look for something that was erased. */
export function contentErased({ digest, size, seq, time, actor, reason }: Erasure): StoreError {
  const at = new Date(time).toISOString();
  const why = reason === undefined ? '' : `: ${reason}`;
  return new StoreError('CONTENT_ERASED', `${digest} was erased at ${at} by ${actor} (event ${seq})${why}`, {
    data: { digest, size, seq, time, actor, reason },
  });
}
