import { SHORT_ID_LENGTH } from '../../src/model/texts.js';

const DIGEST = new RegExp(`(sha256:[0-9a-f]{${SHORT_ID_LENGTH}})[0-9a-f]{${64 - SHORT_ID_LENGTH}}`, 'g');

/** Shortens digests as in tables. */
export function cutDigests(text: string): string {
  return text.replaceAll(DIGEST, '$1…');
}
