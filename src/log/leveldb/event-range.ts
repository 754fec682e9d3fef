import { EVENT_KEY_BYTES, EVENT_PREFIX, seqOfKey } from '../keys.js';

/** Seqs that events can have; `last` may be infinite. */
export interface EventRange {
  readonly first: number;
  readonly last: number;
}

/** Returns the seqs of events whose keys are between two keys, inclusive; undefined when there can be none. */
export function eventsBetween(low: Uint8Array, high: Uint8Array): EventRange | undefined {
  if ((low[0] ?? 0) > EVENT_PREFIX || (high[0] ?? 0) < EVENT_PREFIX) return undefined;
  return {
    first: isEventKey(low) ? seqOfKey(low) : 1,
    last: isEventKey(high) ? seqOfKey(high) : Number.POSITIVE_INFINITY,
  };
}

function isEventKey(key: Uint8Array): boolean {
  return key[0] === EVENT_PREFIX && key.length === EVENT_KEY_BYTES;
}
