/** Largest input of one LZMA2 chunk, and its largest output. */
const MAX_CHUNK_INPUT_BYTES = 0x10000;
const MAX_CHUNK_OUTPUT_BYTES = 0x200000;
/** One symbol reads fewer bytes: reading past the input is noticed after the symbol. */
const SYMBOL_BYTES = 64;

/** Models in one array, at fixed offsets. Tree models use their index 0 for nothing. */
const IS_MATCH = 0;
const IS_REP0_LONG = IS_MATCH + (12 << 4);
const IS_REP = IS_REP0_LONG + (12 << 4);
const IS_REP0 = IS_REP + 12;
const IS_REP1 = IS_REP0 + 12;
const IS_REP2 = IS_REP1 + 12;
const SLOTS = IS_REP2 + 12;
const DISTANCES = SLOTS + (4 << 6);
const ALIGN = DISTANCES + 128;
const MATCH_LENGTH = ALIGN + 16;
/** A length: two choices, low and middle trees for 16 positions, one high tree. */
const LENGTH_MIDDLE = 2 + (16 << 3);
const LENGTH_HIGH = LENGTH_MIDDLE + (16 << 3);
const REP_LENGTH = MATCH_LENGTH + LENGTH_HIGH + 256;
const LITERALS = REP_LENGTH + LENGTH_HIGH + 256;
const LITERAL_MODELS = 0x300;
/** LZMA2 allows at most 4 bits of literal context. */
const MODELS = LITERALS + (LITERAL_MODELS << 4);

/** Ints are signed in JavaScript: with this bit changed, they compare as if they were not. */
const SIGN = 0x80000000 | 0;
const TOP_BYTE = 0xff000000 | 0;

/**
 * Decodes the chunks of LZMA2, each of which is in memory as a whole: input up to 64 KiB, output up
 * to 2 MiB. Memory: the dictionary and a quarter, touched only as far as there is output.
 *
 * Source: the LZMA specification of the LZMA SDK, and for the chunks the .xz file format 1.2.1.
 */
export class LzmaDecoder {
  readonly #models = new Uint16Array(MODELS);
  readonly #input = new Uint8Array(MAX_CHUNK_INPUT_BYTES + SYMBOL_BYTES);
  #inputAt = 0;
  #range = 0;
  #code = 0;
  /** Output with the dictionary before it. */
  #window = new Uint8Array(0);
  #dictionaryBytes = 0;
  /** Index of the oldest byte since the dictionary was reset, and of the next byte. */
  #oldest = 0;
  #at = 0;
  #state = 0;
  #rep0 = 0;
  #rep1 = 0;
  #rep2 = 0;
  #rep3 = 0;
  #literalContextBits = 0;
  #literalPositionMask = 0;
  #positionMask = 0;

  /** Starts a block. */
  reset(dictionaryBytes: number): void {
    this.#dictionaryBytes = dictionaryBytes;
    const bytes = dictionaryBytes + Math.max(2 * MAX_CHUNK_OUTPUT_BYTES, dictionaryBytes >> 2);
    if (this.#window.length < bytes) this.#window = new Uint8Array(bytes);
    this.resetDictionary();
  }

  resetDictionary(): void {
    this.#at = 0;
    this.#oldest = 0;
  }

  /** @throws {Error} for what LZMA2 does not allow */
  setProperties(byte: number): void {
    const literalContextBits = byte % 9;
    const literalPositionBits = Math.floor(byte / 9) % 5;
    const positionBits = Math.floor(byte / 45);
    if (positionBits > 4 || literalContextBits + literalPositionBits > 4) throw new Error('bad LZMA properties');
    this.#literalContextBits = literalContextBits;
    this.#literalPositionMask = (1 << literalPositionBits) - 1;
    this.#positionMask = (1 << positionBits) - 1;
  }

  resetState(): void {
    this.#models.fill(1024);
    this.#state = 0;
    this.#rep0 = 0;
    this.#rep1 = 0;
    this.#rep2 = 0;
    this.#rep3 = 0;
  }

  /** Takes an uncompressed chunk. Returns the bytes in the window, which the next call overwrites. */
  store(bytes: Uint8Array): Uint8Array {
    this.#makeRoom(bytes.length);
    this.#window.set(bytes, this.#at);
    return this.#output(this.#at + bytes.length);
  }

  /** Decodes a chunk to `bytes` of output, which the next call overwrites. @throws {Error} if corrupt */
  decode(input: Uint8Array, bytes: number): Uint8Array {
    this.#input.set(input);
    this.#input.fill(0, input.length, input.length + SYMBOL_BYTES);
    if (input.length < 5 || input[0] !== 0) throw new Error('bad start of an LZMA chunk');
    this.#inputAt = 5;
    this.#range = -1;
    this.#code = new DataView(input.buffer, input.byteOffset).getInt32(1);
    this.#makeRoom(bytes);
    const end = this.#at + bytes;
    let at = this.#at;
    while (at < end) {
      at = this.#symbol(at, end);
      if (this.#inputAt > input.length) break;
    }
    if ((this.#range & TOP_BYTE) === 0) this.#normalize();
    if (at !== end || this.#inputAt !== input.length || this.#code !== 0) throw new Error('corrupt LZMA chunk');
    return this.#output(end);
  }

  #output(end: number): Uint8Array {
    const output = this.#window.subarray(this.#at, end);
    this.#at = end;
    return output;
  }

  /** Moves the dictionary to the front if `bytes` do not fit behind it. */
  #makeRoom(bytes: number): void {
    if (this.#at + bytes <= this.#window.length) return;
    // Models depend on the last four bits of the position.
    const moved = (this.#at - this.#dictionaryBytes) & ~15;
    this.#window.copyWithin(0, moved, this.#at);
    this.#at -= moved;
    this.#oldest = Math.max(0, this.#oldest - moved);
  }

  /** Decodes a literal or a match to `at`; returns the index after it. */
  #symbol(at: number, end: number): number {
    const position = at & this.#positionMask;
    const state = this.#state;
    if (this.#bit(IS_MATCH + (state << 4) + position) === 0) {
      this.#window[at] = this.#literal(at);
      this.#state = state < 4 ? 0 : state < 10 ? state - 3 : state - 6;
      return at + 1;
    }
    if (this.#bit(IS_REP + state) === 0) {
      const length = this.#length(MATCH_LENGTH, position);
      this.#rep3 = this.#rep2;
      this.#rep2 = this.#rep1;
      this.#rep1 = this.#rep0;
      this.#rep0 = this.#distance(length);
      this.#state = state < 7 ? 7 : 10;
      return this.#copy(at, length, end);
    }
    if (this.#bit(IS_REP0 + state) === 1) this.#repeatOlder(state);
    else if (this.#bit(IS_REP0_LONG + (state << 4) + position) === 0) {
      this.#state = state < 7 ? 9 : 11;
      return this.#copy(at, 1, end);
    }
    this.#state = state < 7 ? 8 : 11;
    return this.#copy(at, this.#length(REP_LENGTH, position), end);
  }

  /** Makes the second, third or fourth last distance the last one. */
  #repeatOlder(state: number): void {
    let distance = this.#rep1;
    if (this.#bit(IS_REP1 + state) === 1) {
      if (this.#bit(IS_REP2 + state) === 0) distance = this.#rep2;
      else {
        distance = this.#rep3;
        this.#rep3 = this.#rep2;
      }
      this.#rep2 = this.#rep1;
    }
    this.#rep1 = this.#rep0;
    this.#rep0 = distance;
  }

  #copy(at: number, length: number, end: number): number {
    const from = at - this.#rep0 - 1;
    if (this.#rep0 < 0 || from < this.#oldest || this.#rep0 >= this.#dictionaryBytes) {
      throw new Error('an LZMA match before the dictionary');
    }
    if (at + length > end) throw new Error('an LZMA match beyond its chunk');
    const window = this.#window;
    for (let n = 0; n < length; n++) window[at + n] = window[from + n] ?? 0;
    return at + length;
  }

  #length(models: number, position: number): number {
    if (this.#bit(models) === 0) return 2 + this.#tree(models + 2 + (position << 3), 3);
    if (this.#bit(models + 1) === 0) return 10 + this.#tree(models + LENGTH_MIDDLE + (position << 3), 3);
    return 18 + this.#tree(models + LENGTH_HIGH, 8);
  }

  /** A distance less one, as a signed int: one of more than 2 GiB is negative. */
  #distance(length: number): number {
    const slot = this.#tree(SLOTS + (Math.min(length - 2, 3) << 6), 6);
    if (slot < 4) return slot;
    const bits = (slot >> 1) - 1;
    const distance = (2 | (slot & 1)) << bits;
    if (slot < 14) return distance + this.#reverseTree(DISTANCES + distance - slot, bits);
    return (distance + (this.#direct(bits - 4) << 4) + this.#reverseTree(ALIGN, 4)) | 0;
  }

  /** A byte by the bits before it; after a match, also by the byte that another match would give. */
  #literal(at: number): number {
    const bits = this.#literalContextBits;
    const before = at > this.#oldest ? (this.#window[at - 1] ?? 0) : 0;
    const context = ((at & this.#literalPositionMask) << bits) + (before >> (8 - bits));
    const models = LITERALS + LITERAL_MODELS * context;
    if (this.#state < 7) return this.#tree(models, 8);
    let expected = this.#window[at - this.#rep0 - 1] ?? 0;
    let symbol = 1;
    while (symbol < 0x100) {
      const expectedBit = (expected >> 7) & 1;
      expected <<= 1;
      const bit = this.#bit(models + ((1 + expectedBit) << 8) + symbol);
      symbol = (symbol << 1) | bit;
      if (bit !== expectedBit) break;
    }
    while (symbol < 0x100) symbol = (symbol << 1) | this.#bit(models + symbol);
    return symbol & 0xff;
  }

  #reverseTree(models: number, bits: number): number {
    let index = 1;
    let value = 0;
    for (let n = 0; n < bits; n++) {
      const bit = this.#bit(models + index);
      index = (index << 1) | bit;
      value |= bit << n;
    }
    return value;
  }

  /** Bits without a model. */
  #direct(bits: number): number {
    let value = 0;
    for (let n = 0; n < bits; n++) {
      if ((this.#range & TOP_BYTE) === 0) this.#normalize();
      this.#range >>>= 1;
      const isOne = (this.#code ^ SIGN) >= (this.#range ^ SIGN);
      if (isOne) this.#code = (this.#code - this.#range) | 0;
      value = (value << 1) | (isOne ? 1 : 0);
    }
    return value;
  }

  /**
   * `bits` bits, the highest first, each with a model for the bits before it. Most bits are read
   * here: local variables make it faster than calls of `#bit`.
   */
  #tree(models: number, bits: number): number {
    const chances = this.#models;
    const end = 1 << bits;
    let range = this.#range;
    let code = this.#code;
    let symbol = 1;
    while (symbol < end) {
      if ((range & TOP_BYTE) === 0) {
        range <<= 8;
        code = (code << 8) | (this.#input[this.#inputAt] ?? 0);
        this.#inputAt += 1;
      }
      const chance = chances[models + symbol] ?? 0;
      const bound = Math.imul(range >>> 11, chance);
      if ((code ^ SIGN) < (bound ^ SIGN)) {
        range = bound;
        chances[models + symbol] = chance + ((2048 - chance) >> 5);
        symbol <<= 1;
      } else {
        range = (range - bound) | 0;
        code = (code - bound) | 0;
        chances[models + symbol] = chance - (chance >> 5);
        symbol = (symbol << 1) | 1;
      }
    }
    this.#range = range;
    this.#code = code;
    return symbol - end;
  }

  #bit(model: number): number {
    if ((this.#range & TOP_BYTE) === 0) this.#normalize();
    const chance = this.#models[model] ?? 0;
    const bound = Math.imul(this.#range >>> 11, chance);
    if ((this.#code ^ SIGN) < (bound ^ SIGN)) {
      this.#range = bound;
      this.#models[model] = chance + ((2048 - chance) >> 5);
      return 0;
    }
    this.#range = (this.#range - bound) | 0;
    this.#code = (this.#code - bound) | 0;
    this.#models[model] = chance - (chance >> 5);
    return 1;
  }

  #normalize(): void {
    this.#range <<= 8;
    this.#code = (this.#code << 8) | (this.#input[this.#inputAt] ?? 0);
    this.#inputAt += 1;
  }
}
