import { decodeStrictUtf8 } from './strict-utf8.js';

/** Texts that are remembered. A power of two. */
const SLOTS = 1_024;
/** Length of the texts that are remembered: names of systems, actors, media types, most references. */
const MAX_LENGTH = 64;

const texts: string[] = new Array<string>(SLOTS).fill('');

/**
 * Returns the text whose UTF-8 stands in `bytes` from `start` to before `end`, which must be there; undefined when it is none. A short
 * one that was met lately is the same string as the last time: comparing it costs a third of making another.
 */
export function internedText(bytes: Uint8Array, start: number, end: number): string | undefined {
  if (end - start > MAX_LENGTH) return decodeStrictUtf8(bytes.subarray(start, end));
  let mixed = end - start;
  for (let at = start; at < end; at++) mixed = (Math.imul(mixed, 31) + (bytes[at] as number)) | 0;
  const slot = (mixed ^ (mixed >>> 15)) & (SLOTS - 1);
  const known = texts[slot] as string;
  if (isTextAt(known, bytes, start, end)) return known;
  const text = decodeStrictUtf8(bytes.subarray(start, end));
  if (text !== undefined) texts[slot] = text;
  return text;
}

/** Whether the bytes are those of `text`, each a letter by itself: one that is none of ASCII is never found, and is decoded again. */
function isTextAt(text: string, bytes: Uint8Array, start: number, end: number): boolean {
  if (text.length !== end - start) return false;
  for (let at = start; at < end; at++) {
    const byte = bytes[at] as number;
    if (byte > 0x7f || text.charCodeAt(at - start) !== byte) return false;
  }
  return true;
}
