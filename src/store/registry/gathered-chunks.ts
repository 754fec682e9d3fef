/** Sockets give 64 KiB at most: each write and each turn of a decoder costs as much as some of these. */
const GATHERED_BYTES = 256 * 1024;
/** A slow sender has no more. */
const FIRST_BYTES = 16 * 1024;

/** Joins small chunks, which their sender may reuse, into larger ones. */
export class GatheredChunks {
  #buffer = new Uint8Array(0);
  #size = 0;

  get isEmpty(): boolean {
    return this.#size === 0;
  }

  /** Returns whether there is room for `chunk`; else `rest` goes first, and what fits nowhere by itself. */
  fits(chunk: Uint8Array): boolean {
    return this.#size + chunk.length <= GATHERED_BYTES;
  }

  /** Adds a copy of a chunk that fits. */
  add(chunk: Uint8Array): void {
    const size = this.#size + chunk.length;
    if (size > this.#buffer.length) {
      const larger = new Uint8Array(Math.min(GATHERED_BYTES, Math.max(FIRST_BYTES, 2 * size)));
      larger.set(this.#buffer.subarray(0, this.#size));
      this.#buffer = larger;
    }
    this.#buffer.set(chunk, this.#size);
    this.#size = size;
  }

  /** Returns what was added since the last call, valid until the next `add`. */
  rest(): Uint8Array {
    const rest = this.#buffer.subarray(0, this.#size);
    this.#size = 0;
    return rest;
  }
}
