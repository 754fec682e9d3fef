const decoder = new TextDecoder('utf-8', { ignoreBOM: true });
const utf16Decoder = new TextDecoder('utf-16le', { ignoreBOM: true });
const REPLACEMENT = 0xfffd;

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
  // Turned into text all at once: put together from pieces, one of millions of invalid bytes takes ten times as long.
  const units = new DataView(new ArrayBuffer(2 * bytes.length));
  let end = 0;
  const add = (unit: number): void => {
    units.setUint16(end, unit, true);
    end += 2;
  };
  for (let at = 0; at < bytes.length; ) {
    const length = sequenceLength(bytes, at);
    const code = length === 0 ? REPLACEMENT : codePointAt(bytes, at, length);
    if (code < 0x10000) {
      add(code);
    } else {
      add(0xd7c0 + (code >> 10));
      add(0xdc00 + (code & 0x3ff));
    }
    at += length === 0 ? 1 : length;
  }
  return utf16Decoder.decode(units.buffer.slice(0, end));
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
