const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
const REPLACEMENT = 0xfffd;
/** Code points turned into text at once: `String.fromCodePoint` takes them as arguments, which the stack bounds. */
const CHUNK = 4_096;

/**
 * Returns `bytes` as text. Every byte that belongs to no valid UTF-8 sequence
 * becomes one U+FFFD, as in Go; the platform's decoder gives one for a whole cut sequence.
 * A byte order mark stays.
 */
export function decodeUtf8(bytes: Uint8Array): string {
  const text = decoder.decode(bytes);
  // Valid input may hold U+FFFD itself; going over it again is rare and harmless.
  return text.includes('\ufffd') ? decodeByteByByte(bytes) : text;
}

function decodeByteByByte(bytes: Uint8Array): string {
  let text = '';
  let codes: number[] = [];
  for (let at = 0; at < bytes.length; ) {
    const length = sequenceLength(bytes, at);
    codes.push(length === 0 ? REPLACEMENT : codePointAt(bytes, at, length));
    at += length === 0 ? 1 : length;
    if (codes.length === CHUNK) {
      text += String.fromCodePoint(...codes);
      codes = [];
    }
  }
  return text + String.fromCodePoint(...codes);
}

/** Length of the valid sequence that starts at `at` (Unicode standard, table 3-7), 0 when there is none. */
function sequenceLength(bytes: Uint8Array, at: number): number {
  const lead = bytes[at] ?? 0;
  if (lead < 0x80) return 1;
  const length = lead < 0xc2 ? 0 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : lead < 0xf5 ? 4 : 0;
  for (let n = 1; n < length; n++) {
    const byte = bytes[at + n] ?? 0;
    const low = n > 1 ? 0x80 : lead === 0xe0 ? 0xa0 : lead === 0xf0 ? 0x90 : 0x80;
    const high = n > 1 ? 0xbf : lead === 0xed ? 0x9f : lead === 0xf4 ? 0x8f : 0xbf;
    if (byte < low || byte > high) return 0;
  }
  return length;
}

function codePointAt(bytes: Uint8Array, at: number, length: number): number {
  const lead = bytes[at] ?? 0;
  if (length === 1) return lead;
  let code = lead & (0xff >> (length + 1));
  for (let n = 1; n < length; n++) code = (code << 6) | ((bytes[at + n] ?? 0) & 0x3f);
  return code;
}
