const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
/** U+FFFD in UTF-8. */
const REPLACEMENT = Uint8Array.of(0xef, 0xbf, 0xbd);

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
  // All replaced at once: a string that is put together from millions of parts takes ten times as long.
  const valid = new Uint8Array(bytes.length * REPLACEMENT.length);
  let end = 0;
  for (let at = 0; at < bytes.length; ) {
    const length = sequenceLength(bytes, at);
    if (length === 0) {
      valid.set(REPLACEMENT, end);
      end += REPLACEMENT.length;
      at++;
    } else {
      for (const last = at + length; at < last; at++) valid[end++] = bytes[at] ?? 0;
    }
  }
  return decoder.decode(valid.subarray(0, end));
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
