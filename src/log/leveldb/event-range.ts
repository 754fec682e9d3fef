import { EVENT_KEY_BYTES, EVENT_PREFIX, seqOfKey } from '../keys.js';

/** Seqs that events can have; `last` may be infinite. */
export interface EventRange {
  readonly first: number;
  readonly last: number;
}

/** LevelDB's own number and kind of an entry follow its key. */
const INTERNAL_BYTES = 8;

/** Returns the seqs of events whose keys are between two keys of a table, inclusive; undefined when there can be none. */
export function eventsBetween(smallest: Uint8Array, largest: Uint8Array): EventRange | undefined {
  const [low, high] = [userKey(smallest), userKey(largest)];
  if ((low[0] ?? 0) > EVENT_PREFIX || (high[0] ?? 0) < EVENT_PREFIX) return undefined;
  return {
    first: isEventKey(low) ? seqOfKey(low) : 1,
    last: isEventKey(high) ? seqOfKey(high) : Number.POSITIVE_INFINITY,
  };
}

function userKey(key: Uint8Array): Uint8Array {
  return key.subarray(0, Math.max(0, key.length - INTERNAL_BYTES));
}

function isEventKey(key: Uint8Array): boolean {
  return key[0] === EVENT_PREFIX && key.length === EVENT_KEY_BYTES;
}
