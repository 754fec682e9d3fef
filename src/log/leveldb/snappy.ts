/**
 * Returns what a block was before Snappy compressed it (google/snappy, format_description.txt), or undefined when the bytes are not what
 * Snappy writes, or stand for more than `limit` bytes.
 */
export function unsnappy(bytes: Uint8Array, limit: number): Uint8Array | undefined {
  const header = parseSize(bytes);
  if (header === undefined || header.size > limit) return undefined;
  const { size } = header;
  const output = new Uint8Array(size);
  let from = header.end;
  let to = 0;
  // One loop without objects: a reader of tables spends half of its time here.
  while (from < bytes.length) {
    const tag = bytes[from++] as number;
    const kind = tag & 3;
    const extra = kind === 0 ? Math.max(0, (tag >>> 2) - 59) : kind === 3 ? 4 : kind;
    if (from + extra > bytes.length) return undefined;
    let number = 0;
    for (let at = extra - 1; at >= 0; at--) number = number * 256 + (bytes[from + at] as number);
    from += extra;
    if (kind === 0) {
      const length = (extra === 0 ? tag >>> 2 : number) + 1;
      if (from + length > bytes.length || to + length > size) return undefined;
      if (length <= 16) for (let at = 0; at < length; at++) output[to + at] = bytes[from + at] as number;
      else output.set(bytes.subarray(from, from + length), to);
      from += length;
      to += length;
      continue;
    }
    const length = kind === 1 ? ((tag >>> 2) & 7) + 4 : (tag >>> 2) + 1;
    const offset = kind === 1 ? (tag >>> 5) * 256 + number : number;
    if (offset === 0 || offset > to || to + length > size) return undefined;
    // A copy may reach into what it gives itself.
    for (const end = to + length; to < end; to++) output[to] = output[to - offset] as number;
  }
  return to === size ? output : undefined;
}

/** The size in front: a varint of 32 bits. */
function parseSize(bytes: Uint8Array): { readonly size: number; readonly end: number } | undefined {
  let size = 0;
  for (let at = 0; at < 5; at++) {
    const byte = bytes[at];
    if (byte === undefined) return undefined;
    size += (byte & 0x7f) * 2 ** (7 * at);
    if (byte < 0x80) return { size, end: at + 1 };
  }
  return undefined;
}
