const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** Returns the text whose UTF-8 `bytes` are, all of them; undefined when they are no UTF-8. */
export function decodeStrictUtf8(bytes: Uint8Array): string | undefined {
  try {
    return decoder.decode(bytes);
  } catch {
    // Only what is no UTF-8 is thrown for.
    return undefined;
  }
}
