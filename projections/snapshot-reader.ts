import type { Digest } from '../src/model/digest.js';
import { SnapshotDamage } from './snapshot-damage.js';
import type { SnapshotTables } from './snapshot-tables.js';

// `ignoreBOM` keeps a byte order mark, which is text here like any other.
const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/**
 * Reads what a SnapshotWriter wrote. Each digest is one string wherever it stands, so that views read from a snapshot take no
 * more memory than folded ones. Every read throws SnapshotDamage when the bytes end before it or are not its kind.
 */
export class SnapshotReader {
  readonly #bytes: Uint8Array;
  readonly #tables: SnapshotTables;
  #at = 0;

  constructor(bytes: Uint8Array, tables: SnapshotTables) {
    // Of a Buffer, `slice` would be no copy and `subarray` slow.
    this.#bytes = new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#tables = tables;
  }

  uint(): number {
    let value = 0;
    for (let unit = 1; ; unit *= 0x80) {
      const byte = this.#bytes[this.#at++];
      if (byte === undefined) throw new SnapshotDamage('it ends in the middle of a number');
      value += (byte & 0x7f) * unit;
      if (byte < 0x80) break;
      if (unit > 2 ** 48) throw new SnapshotDamage('it has a number that is too large');
    }
    if (value <= Number.MAX_SAFE_INTEGER) return value;
    throw new SnapshotDamage('it has a number that is too large');
  }

  /** Reads how many rows follow, each of which takes a byte at least: so nothing is made for rows that are not there. */
  count(): number {
    const count = this.uint();
    if (count <= this.#bytes.length - this.#at) return count;
    throw new SnapshotDamage(`it ends before ${count} rows`);
  }

  /** Reads bytes; they are the caller's own. */
  bytes(): Uint8Array {
    return this.#next(this.uint()).slice();
  }

  text(): string {
    const bytes = this.#next(this.uint());
    try {
      return utf8.decode(bytes);
    } catch {
      throw new SnapshotDamage('it has a text that is no UTF-8');
    }
  }

  word(): string {
    return this.#tables.word(this.uint());
  }

  digest<Id extends Digest>(): Id {
    return this.#tables.digest(this.#tables.checked(this.uint())) as Id;
  }

  /** Reads a digest, or undefined where none was written. */
  optionalDigest<Id extends Digest>(): Id | undefined {
    const number = this.uint();
    return number === 0 ? undefined : (this.#tables.digest(this.#tables.checked(number)) as Id);
  }

  /** Reads a value by `read`, or undefined where none was written. */
  optional<Value>(read: () => Value): Value | undefined {
    const is = this.uint();
    if (is > 1) throw new SnapshotDamage('it has neither a value nor none');
    return is === 0 ? undefined : read();
  }

  /** Throws when something is left. */
  end(): void {
    if (this.#at < this.#bytes.length) throw new SnapshotDamage(`${this.#bytes.length - this.#at} bytes are left over`);
  }

  /** Passes over rows of `length` bytes each, and returns them. */
  rows(count: number, length: number): Uint8Array {
    return this.#next(count * length);
  }

  #next(length: number): Uint8Array {
    const start = this.#skip(length);
    return this.#bytes.subarray(start, start + length);
  }

  /** Passes over `length` bytes, and returns where they begin. */
  #skip(length: number): number {
    const start = this.#at;
    if (length > this.#bytes.length - start) throw new SnapshotDamage('it ends in the middle of a value');
    this.#at = start + length;
    return start;
  }
}
