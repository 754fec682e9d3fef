/** Returns `bytes` in the base64 of RFC 4648, section 4, padded. */
export function bytesToBase64(bytes: Uint8Array): string {
  let binary = '';
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary);
}

/** Returns the bytes that `text` writes; undefined unless `bytesToBase64` writes them in just this way. */
export function base64ToBytes(text: string): Uint8Array | undefined {
  let binary: string;
  try {
    binary = atob(text);
  } catch {
    // Not base64 at all: as what is not canonical.
    return undefined;
  }
  // `atob` passes over spaces, missing padding and stray bits.
  if (btoa(binary) !== text) return undefined;
  return Uint8Array.from(binary, (letter) => letter.charCodeAt(0));
}
