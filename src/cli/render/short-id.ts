import { digestHex, type Digest } from '../../model/digest.js';

/** Hex digits of an id in a table, as Docker shows them. */
export const SHORT_ID_LENGTH = 12;

/** Returns the first hex digits of `digest`, as Docker shows an id. */
export function shortId(digest: Digest): string {
  return digestHex(digest).slice(0, SHORT_ID_LENGTH);
}
