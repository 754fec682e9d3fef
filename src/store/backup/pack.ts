import { digestOf, type Digest, digestFromHash, digestHex, HASH_BYTES, putHash } from '../../model/digest.js';
import { compareBytes, startsWithBytes } from '../../model/bytes.js';
import { MAX_PACK_BYTES, MAX_PACKED_CONTENT_BYTES } from '../../limits.js';

/*
 * A pack: many small contents in one file. Its head lists digest and size of each, in the order of
 * the digests, which is that of their bytes after it. The file is named after the digest of the
 * head, so name and head vouch for each content, and none needs the others to be checked.
 */

/** Begins each pack, and names its format. */
const MAGIC = new TextEncoder().encode('imagelog pack 1\n');
const COUNT_BYTES = 4;
const SIZE_BYTES = 4;
const ROW_BYTES = HASH_BYTES + SIZE_BYTES;

/** Bytes that say how long the rest of a head is. */
export const PACK_START_BYTES = MAGIC.length + COUNT_BYTES;

/** One content in a pack. Sizes and offsets are bytes; offsets are those in the file. */
export interface PackedContent {
  readonly digest: Digest;
  readonly offset: number;
  readonly size: number;
}

/** The head of a pack, kept as its bytes: 36 for each content. */
export class PackHead {
  readonly bytes: Uint8Array;
  /** Size of the whole file. */
  readonly fileBytes: number;

  private constructor(bytes: Uint8Array) {
    this.bytes = bytes;
    let end = bytes.length;
    for (const { size } of this.contents()) end += size;
    this.fileBytes = end;
  }

  /** Makes the head of a pack of `contents`, which are in ascending order of digests. */
  static of(contents: readonly Pick<PackedContent, 'digest' | 'size'>[]): PackHead {
    const bytes = new Uint8Array(PACK_START_BYTES + contents.length * ROW_BYTES);
    const view = new DataView(bytes.buffer);
    bytes.set(MAGIC);
    view.setUint32(MAGIC.length, contents.length);
    for (const [at, { digest, size }] of contents.entries()) {
      const row = PACK_START_BYTES + at * ROW_BYTES;
      putHash(digest, bytes.subarray(row, row + HASH_BYTES));
      view.setUint32(row + HASH_BYTES, size);
    }
    return new PackHead(bytes);
  }

  /** Parses a head of `headBytes` bytes. @throws {Error} that says what is wrong */
  static parse(bytes: Uint8Array, name: Digest): PackHead {
    if (bytes.length !== headBytes(bytes)) throw new Error('its head is cut short');
    if (digestOf(bytes) !== name) throw new Error('its head has another digest than its name');
    const head = new PackHead(bytes);
    head.#check();
    return head;
  }

  /** The name of the file, as a digest. */
  get name(): Digest {
    return digestOf(this.bytes);
  }

  *contents(): Generator<PackedContent> {
    const view = new DataView(this.bytes.buffer, this.bytes.byteOffset, this.bytes.length);
    let offset = this.bytes.length;
    for (let row = PACK_START_BYTES; row < this.bytes.length; row += ROW_BYTES) {
      const size = view.getUint32(row + HASH_BYTES);
      yield { digest: digestFromHash(this.bytes, row), offset, size };
      offset += size;
    }
  }

  // A hostile head has the digest of its name too.
  #check(): void {
    const { bytes, fileBytes } = this;
    const hashAt = (row: number): Uint8Array => bytes.subarray(row, row + HASH_BYTES);
    for (let row = PACK_START_BYTES + ROW_BYTES; row < bytes.length; row += ROW_BYTES) {
      if (compareBytes(hashAt(row - ROW_BYTES), hashAt(row)) >= 0) throw new Error('its contents are out of order');
    }
    for (const { digest, size } of this.contents()) {
      if (size > MAX_PACKED_CONTENT_BYTES) throw new Error(`its content ${digest} has ${size} bytes`);
    }
    if (fileBytes > MAX_PACK_BYTES) throw new Error(`its contents have ${fileBytes} bytes, expected fewer`);
  }
}

/** Returns the length of a head from its first PACK_START_BYTES. @throws {Error} when it is none */
export function headBytes(start: Uint8Array): number {
  if (start.length < PACK_START_BYTES || !startsWithBytes(start, MAGIC)) throw new Error('it is not a pack');
  const count = new DataView(start.buffer, start.byteOffset).getUint32(MAGIC.length);
  const length = PACK_START_BYTES + count * ROW_BYTES;
  if (length > MAX_PACK_BYTES) throw new Error(`it says that it has ${count} contents`);
  return length;
}

/** Bytes that a content of `size` bytes takes in a pack. */
export function bytesInPack(size: number): number {
  return ROW_BYTES + size;
}

/** Collects contents in ascending order of digests, up to a whole pack. */
export class PackBuild {
  readonly #contents: { readonly digest: Digest; readonly size: number }[] = [];
  readonly #bytes: Uint8Array[] = [];
  #size = PACK_START_BYTES;

  get isEmpty(): boolean {
    return this.#contents.length === 0;
  }

  /** Whether a content of `size` bytes still fits. */
  hasRoomFor(size: number): boolean {
    return this.#size + bytesInPack(size) <= MAX_PACK_BYTES;
  }

  add(digest: Digest, bytes: Uint8Array): void {
    this.#contents.push({ digest, size: bytes.length });
    this.#bytes.push(bytes);
    this.#size += bytesInPack(bytes.length);
  }

  /** Returns the name and the bytes of the pack. */
  finish(): { readonly name: string; readonly bytes: Uint8Array } {
    const head = PackHead.of(this.#contents);
    return { name: digestHex(head.name), bytes: new Uint8Array(Buffer.concat([head.bytes, ...this.#bytes])) };
  }
}
