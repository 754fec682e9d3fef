const UTF16 = "UTF-16 text, as PowerShell's > writes: write the archive with docker save -o";

/** Bytes at the start of a file that is not a tar, what they stand for, and what to do about it. */
const MAGICS: readonly (readonly [hex: string, name: string])[] = [
  ['04224d18', 'an lz4 file: decompress it first (lz4 -d)'],
  ['4c5a4950', 'an lzip file: decompress it first (lzip -d)'],
  ['5d0000', 'an lzma file: decompress it first (xz --format=lzma -d)'],
  ['1f9d', 'a file of compress: decompress it first (gzip -d)'],
  ['1f8b', 'gzip inside gzip: decompress it once first (gzip -d)'],
  ['28b52ffd', 'zstd inside another compression: decompress it once first'],
  ['fd377a585a00', 'xz inside another compression: decompress it once first'],
  ['425a68', 'bzip2 inside another compression: decompress it once first'],
  ['377abcaf271c', 'a 7z file: unpack it first (7z x)'],
  ['504b0304', 'a zip file: unpack it first (unzip)'],
  ['504b0506', 'an empty zip file'],
  ['526172211a07', 'a rar file: unpack it first'],
  ['fffe', UTF16],
  ['feff', UTF16],
];

/**
 * Names the format of a file that is not a tar by its first bytes, which are those after one
 * decompression; undefined if unknown.
 */
export function nameForeign(start: Uint8Array): string | undefined {
  const hex = Buffer.from(start).toString('hex');
  const found = MAGICS.find(([magic]) => hex.startsWith(magic))?.[1];
  if (found !== undefined) return found;
  const text = Buffer.from(start).toString('latin1').trimStart().toLowerCase();
  return text.startsWith('<!doctype html') || text.startsWith('<html')
    ? 'an HTML page: was it a download that failed?'
    : undefined;
}
