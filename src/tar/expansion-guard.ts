import { StoreError } from '../errors.js';
import { COMPRESSION_RATIO_FREE_BYTES, MAX_COMPRESSION_RATIO, MAX_LAYER_BYTES } from '../limits.js';

/** How far bytes may expand; plain ones come out as they go in. Sizes are decompressed bytes. */
export interface ExpansionLimits {
  /** All that may come out. */
  readonly maxBytes: number;
  /** Bytes out per byte in. */
  readonly maxRatio: number;
  /** Bytes that may come out whatever the ratio. */
  readonly ratioFreeBytes: number;
}

/** The limits of one layer. */
const LAYER_EXPANSION: ExpansionLimits = {
  maxBytes: MAX_LAYER_BYTES,
  maxRatio: MAX_COMPRESSION_RATIO,
  ratioFreeBytes: COMPRESSION_RATIO_FREE_BYTES,
};

/** The limits of an archive compressed as a whole: its layers have their own, so only the ratio counts. */
export const ARCHIVE_EXPANSION: ExpansionLimits = { ...LAYER_EXPANSION, maxBytes: Number.MAX_SAFE_INTEGER };

/** Counts what goes into and comes out of a decoder, or passes by as it is, and refuses what expands like a bomb. */
export class ExpansionGuard {
  readonly #limits: ExpansionLimits;
  #bytesIn = 0;
  #bytesOut = 0;

  constructor(limits: ExpansionLimits = LAYER_EXPANSION) {
    this.#limits = limits;
  }

  /** Notes that `bytes` compressed bytes went in. */
  fed(bytes: number): void {
    this.#bytesIn += bytes;
  }

  /**
   * Notes that `bytes` came out.
   * @throws {StoreError} ARCHIVE_LIMIT_EXCEEDED when that is more than the limits allow
   */
  produced(bytes: number): void {
    this.#bytesOut += bytes;
    const { maxBytes, maxRatio, ratioFreeBytes } = this.#limits;
    if (this.#bytesOut > maxBytes) throw this.#exceeded(`at most ${maxBytes} bytes`);
    if (this.#bytesOut <= ratioFreeBytes || this.#bytesOut <= this.#bytesIn * maxRatio) return;
    throw this.#exceeded(`at most ${maxRatio} bytes for each compressed byte`);
  }

  #exceeded(expected: string): StoreError {
    return new StoreError(
      'ARCHIVE_LIMIT_EXCEEDED',
      `cannot read further: expected ${expected}, found ${this.#bytesOut} bytes from ${this.#bytesIn}`,
      { data: { ...this.#limits, bytesIn: this.#bytesIn, bytesOut: this.#bytesOut } },
    );
  }
}
