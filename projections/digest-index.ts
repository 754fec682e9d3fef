import { type Digest, digestFromHash, HASH_BYTES, parseDigest } from '../src/model/digest.js';
import { SnapshotDamage } from './snapshot-format.js';

type Column = Uint8Array<ArrayBuffer> | Uint32Array<ArrayBuffer> | Float64Array<ArrayBuffer>;

/** Returns a copy of `column` with room for `length` values, padded with 0. */
export function grown<Grown extends Column>(column: Grown, length: number): Grown {
  const larger = new (column.constructor as new (length: number) => Grown)(length);
  larger.set(column);
  return larger;
}

/** Returns a capacity of 1.5 times `rows`: on average a row is copied at most three times. */
export function roomFor(rows: number): number {
  return rows + (rows >>> 1) + 16;
}

const SHA256 = 'sha256:';
const KEY_DIGITS = 8;
const DIGEST_LENGTH = SHA256.length + 2 * HASH_BYTES;
/** Value of a character that is not a hex digit: a bit no digit has. */
const NO_DIGIT = 0x10;
const CODES = 128;
const VALUE_OF_CODE = new Uint8Array(CODES).fill(NO_DIGIT);
for (let value = 0; value < 16; value++) VALUE_OF_CODE[value.toString(16).charCodeAt(0)] = value;

/** A digest or digest prefix to look up, as bytes. Reused, so that a lookup allocates nothing. */
class DigestProbe {
  /** The digits read, zero-padded. */
  readonly bytes = new Uint8Array(HASH_BYTES);
  /** `bytes` in machine byte order, for fast equality checks. */
  readonly words = new Uint32Array(this.bytes.buffer);
  #digits = 0;

  /** Number of hex digits read. */
  get digits(): number {
    return this.#digits;
  }

  /** Reads a whole digest; returns false for other text. */
  readDigest(text: string): boolean {
    return text.length === DIGEST_LENGTH && text.startsWith(SHA256) && this.#read(text, SHA256.length);
  }

  /** Reads a digest prefix, 1 to 64 digits with or without `sha256:`; false for other text. */
  readPrefix(text: string): boolean {
    return this.#read(text, text.startsWith(SHA256) ? SHA256.length : 0);
  }

  #read(text: string, start: number): boolean {
    const digits = text.length - start;
    if (digits < 1 || digits > 2 * HASH_BYTES) return false;
    const { bytes } = this;
    const whole = digits >>> 1;
    // Check all values at the end; check the codes too, as the table covers only ASCII.
    let values = 0;
    let codes = 0;
    for (let at = 0; at < whole; at++) {
      const highCode = text.charCodeAt(start + 2 * at);
      const lowCode = text.charCodeAt(start + 2 * at + 1);
      const high = VALUE_OF_CODE[highCode % CODES] as number;
      const low = VALUE_OF_CODE[lowCode % CODES] as number;
      bytes[at] = (high << 4) | low;
      values |= high | low;
      codes |= highCode | lowCode;
    }
    if (whole < HASH_BYTES) bytes.fill(0, whole);
    if (digits % 2 === 1) {
      const code = text.charCodeAt(text.length - 1);
      const high = VALUE_OF_CODE[code % CODES] as number;
      bytes[whole] = high << 4;
      values |= high;
      codes |= code;
    }
    this.#digits = digits;
    return values < NO_DIGIT && codes < CODES;
  }
}

/** Returns the first 32 bits of a digest; arbitrary bits for any other text. */
function keyOfText(text: string): number {
  let key = 0;
  for (let at = SHA256.length; at < SHA256.length + KEY_DIGITS; at++) {
    key = (key << 4) | ((VALUE_OF_CODE[text.charCodeAt(at) % CODES] as number) & 0xf);
  }
  return key >>> 0;
}

const NO_KEY = -1;

/** Returns the first `count` digits, at most 8, as the high bits of a key; NO_KEY if not hex. */
function keyOfDigits(text: string, start: number, count: number): number {
  let key = 0;
  let bits = 0;
  for (let at = start; at < start + count; at++) {
    const code = text.charCodeAt(at);
    const value = VALUE_OF_CODE[code % CODES] as number;
    key = (key << 4) | (value & 0xf);
    bits |= value | (code & ~(CODES - 1));
  }
  return bits < NO_DIGIT ? (key << (4 * (KEY_DIGITS - count))) >>> 0 : NO_KEY;
}

const HASH_WORDS = HASH_BYTES / Uint32Array.BYTES_PER_ELEMENT;

const HEX = '0123456789abcdef';
const HIGH_DIGIT = Uint8Array.from({ length: 256 }, (_, byte) => HEX.charCodeAt(byte >>> 4));
const LOW_DIGIT = Uint8Array.from({ length: 256 }, (_, byte) => HEX.charCodeAt(byte & 0xf));

/**
 * Append-only digests, numbered from 0, 32 bytes each. Rows never change, so a row count is a
 * snapshot. A digest becomes a string on first access (0.3 microseconds, more than the rest of a
 * lookup) and keeps it: 96 bytes more for each digest accessed.
 */
export class DigestRows {
  #hashes: Uint8Array<ArrayBuffer>;
  #words: Uint32Array<ArrayBuffer>;
  readonly #strings: (Digest | undefined)[];
  #length: number;
  readonly #probe = new DigestProbe();

  /** Takes ownership of the hashes of the first `length` digests, and the room behind them. */
  constructor(hashes: Uint8Array<ArrayBuffer> = new Uint8Array(0), length = hashes.length / HASH_BYTES) {
    this.#hashes = hashes;
    this.#words = new Uint32Array(hashes.buffer);
    this.#length = length;
    this.#strings = new Array<Digest | undefined>(this.#length).fill(undefined);
  }

  get length(): number {
    return this.#length;
  }

  /** Number of digests there is room for. */
  get room(): number {
    return this.#hashes.length / HASH_BYTES;
  }

  /** All digests, 32 bytes each, concatenated; never changed, even when more are added. */
  get hashes(): Uint8Array<ArrayBuffer> {
    return this.#hashes.subarray(0, this.#length * HASH_BYTES);
  }

  /** Appends a digest, returns its row. @throws {StoreError} DIGEST_INVALID */
  push(digest: Digest): number {
    if (!this.#probe.readDigest(digest)) parseDigest(digest);
    const row = this.#makeRow();
    this.#hashes.set(this.#probe.bytes, row * HASH_BYTES);
    return row;
  }

  #makeRow(): number {
    const row = this.#length++;
    if (row * HASH_BYTES === this.#hashes.length) {
      this.#hashes = grown(this.#hashes, roomFor(row) * HASH_BYTES);
      this.#words = new Uint32Array(this.#hashes.buffer);
    }
    this.#strings.push(undefined);
    return row;
  }

  /** Appends the hash of 32 bytes at `start` of `hashes`, returns its row. */
  pushHash(hashes: Uint8Array, start: number): number {
    const row = this.#makeRow();
    const to = row * HASH_BYTES;
    for (let at = 0; at < HASH_BYTES; at++) this.#hashes[to + at] = hashes[start + at] as number;
    return row;
  }

  /** Returns the digest of a row, always the same string. */
  digest(row: number): Digest {
    const known = this.#strings[row];
    if (known !== undefined) return known;
    const digest = digestFromHash(this.#hashes, row * HASH_BYTES);
    this.#strings[row] = digest;
    return digest;
  }

  /** Whether a row's digest is `text`. */
  isText(row: number, text: string): boolean {
    const known = this.#strings[row];
    if (known !== undefined) return known === text;
    if (text.length !== DIGEST_LENGTH || !text.startsWith(SHA256)) return false;
    const start = row * HASH_BYTES;
    for (let at = 0; at < HASH_BYTES; at++) {
      const byte = this.#hashes[start + at] as number;
      const digits = SHA256.length + 2 * at;
      if (text.charCodeAt(digits) !== HIGH_DIGIT[byte] || text.charCodeAt(digits + 1) !== LOW_DIGIT[byte]) return false;
    }
    return true;
  }

  /** Whether the digits of a row from digit `first` (even) on begin with `text` from `start` on. */
  continues(row: number, first: number, text: string, start: number): boolean {
    let at = row * HASH_BYTES + (first >>> 1);
    for (let digit = start; digit < text.length; digit += 2, at++) {
      const byte = this.#hashes[at] as number;
      if (text.charCodeAt(digit) !== HIGH_DIGIT[byte]) return false;
      if (digit + 1 < text.length && text.charCodeAt(digit + 1) !== LOW_DIGIT[byte]) return false;
    }
    return true;
  }

  /** Returns the 32 bytes of a row, as a view. */
  hash(row: number): Uint8Array {
    return this.#hashes.subarray(row * HASH_BYTES, (row + 1) * HASH_BYTES);
  }

  /** Returns the first 32 bits of a row. */
  key(row: number): number {
    return keyAt(this.#hashes, row * HASH_BYTES);
  }

  /** Whether a row is the hash of 32 bytes at `start` of `hashes`. */
  isHash(row: number, hashes: Uint8Array, start: number): boolean {
    return compareHashes(this.#hashes, row * HASH_BYTES, hashes, start) === 0;
  }

  /** Whether a row equals the probe. */
  equals(row: number, { words }: DigestProbe): boolean {
    const start = row * HASH_WORDS;
    for (let at = 0; at < HASH_WORDS; at++) if (this.#words[start + at] !== words[at]) return false;
    return true;
  }

  /** Whether a row begins with the probe's digits. */
  startsWith(row: number, { bytes, digits }: DigestProbe): boolean {
    const start = row * HASH_BYTES;
    const whole = digits >>> 1;
    for (let at = 0; at < whole; at++) if (this.#hashes[start + at] !== bytes[at]) return false;
    return digits % 2 === 0 || (this.#hashes[start + whole] as number) >>> 4 === (bytes[whole] as number) >>> 4;
  }

  /** Compares a row with the hash `bytes`: negative, 0 or positive. */
  compareTo(row: number, bytes: Uint8Array): number {
    return compareHashes(this.#hashes, row * HASH_BYTES, bytes, 0);
  }

  /** Compares two rows. */
  compare(one: number, other: number): number {
    return compareHashes(this.#hashes, one * HASH_BYTES, this.#hashes, other * HASH_BYTES);
  }
}

function keyAt(hashes: Uint8Array, start: number): number {
  const high = ((hashes[start] as number) << 24) | ((hashes[start + 1] as number) << 16);
  return (high | ((hashes[start + 2] as number) << 8) | (hashes[start + 3] as number)) >>> 0;
}

function compareHashes(one: Uint8Array, oneStart: number, other: Uint8Array, otherStart: number): number {
  for (let at = 0; at < HASH_BYTES; at++) {
    const difference = (one[oneStart + at] as number) - (other[otherStart + at] as number);
    if (difference !== 0) return difference;
  }
  return 0;
}

/** Lookup result for an absent digest. */
export const NO_ROW = -1;
/** Lookup result for a prefix of several digests. */
const MANY_ROWS = -2;

const KEY_BITS = 32;
const MIN_SLOT_BITS = 6;
/** Slots after the last home slot, for displaced digests; the last one is always empty. */
const MIN_SLACK = 64;
/** Slots checked one by one; fewer than the slack. */
const NEAR_SLOTS = 8;

/**
 * Finds digests by value or prefix: a hash table whose slots are in digest order. A digest's home
 * slot follows from its first bits; it is in that slot or shortly after, behind all smaller ones
 * (linear probing; Amble and Knuth, "Ordered hash tables", 1974). A lookup, exact or by prefix,
 * touches one or two places in memory; nothing is ever sorted; and equal sets give equal tables,
 * regardless of the insertion order.
 *
 * SHA-256 spreads digests evenly: at most two of three slots are taken, in short runs. An attacker
 * who aims at one of a million slots pays a million hashes per image; lookups among n such digests
 * take log n steps, and only adding and removing move what is behind.
 */
export class DigestIndex {
  readonly #rows: DigestRows;
  /** Pairs: first 32 bits of a digest, 1 + its row; two zeros for an empty slot. */
  #slots: Uint32Array<ArrayBuffer>;
  #slotBits: number;
  #size = 0;
  readonly #probe = new DigestProbe();

  /** Makes an empty index over `rows`, with room for `count`. */
  constructor(rows: DigestRows, count = 0) {
    this.#rows = rows;
    this.#slotBits = slotBitsFor(count);
    this.#slots = emptySlots(this.#slotBits, MIN_SLACK);
  }

  /**
   * Makes an index of the rows in `order`, sorted by digest.
   * @throws {SnapshotDamage} when they are unsorted or out of range
   */
  static ofOrdered(rows: DigestRows, order: Uint32Array): DigestIndex {
    const index = new DigestIndex(rows, rows.room);
    index.#fill(order);
    return index;
  }

  get size(): number {
    return this.#size;
  }

  /** Returns the row of a digest; NO_ROW when absent or malformed. */
  find(text: string): number {
    const near = this.#findNear(text);
    if (near !== NO_ROW) return near;
    const probe = this.#probe;
    if (!probe.readDigest(text)) return NO_ROW;
    const row = this.#rowAt(this.#position(keyAt(probe.bytes, 0), probe.bytes));
    return row !== NO_ROW && this.#rows.equals(row, probe) ? row : NO_ROW;
  }

  /** Returns the row of the hash of 32 bytes at `start` of `hashes`; NO_ROW when absent. */
  findHash(hashes: Uint8Array, start: number): number {
    const key = keyAt(hashes, start);
    const home = this.#home(key);
    for (let slot = home; slot < home + NEAR_SLOTS; slot++) {
      const row = this.#rowAt(slot);
      if (row === NO_ROW) return NO_ROW;
      if (this.#slots[2 * slot] === key && this.#rows.isHash(row, hashes, start)) return row;
    }
    const row = this.#rowAt(this.#position(key, hashes.subarray(start, start + HASH_BYTES)));
    return row !== NO_ROW && this.#rows.isHash(row, hashes, start) ? row : NO_ROW;
  }

  /**
   * Returns the only row with the prefix `text`; MANY_ROWS if there are several, NO_ROW if none or
   * if malformed. One walk from the home slot of the first 8 digits; allocates nothing.
   */
  findOnly(text: string): number {
    const start = text.startsWith(SHA256) ? SHA256.length : 0;
    const digits = text.length - start;
    if (digits < 1 || digits > 2 * HASH_BYTES) return NO_ROW;
    const keyDigits = Math.min(KEY_DIGITS, digits);
    const spareBits = KEY_BITS - 4 * keyDigits;
    const first = keyOfDigits(text, start, keyDigits);
    if (first === NO_KEY) return NO_ROW;
    const last = first + 2 ** spareBits - 1;
    const [home, end] = [this.#home(first), this.#home(last)];
    let found = NO_ROW;
    for (let slot = home; ; slot++) {
      const row = this.#rowAt(slot);
      const key = this.#slots[2 * slot] as number;
      if (row === NO_ROW) {
        if (slot >= end) return found;
      } else if (key < first) {
        // Displaced by a long run: one made on purpose is searched in logarithmic time.
        if (slot - home >= NEAR_SLOTS) return this.#findOnlyFar(text);
      } else if (key > last) {
        return found;
      } else if (digits <= KEY_DIGITS || this.#rows.continues(row, KEY_DIGITS, text, start + KEY_DIGITS)) {
        if (found !== NO_ROW) return MANY_ROWS;
        found = row;
      }
    }
  }

  #findOnlyFar(text: string): number {
    const [first = NO_ROW, second] = this.findPrefix(text, 2);
    return second === undefined ? first : MANY_ROWS;
  }

  /** Returns the first `most` rows, in order, with the prefix `text`; none if malformed. */
  findPrefix(text: string, most: number): number[] {
    const probe = this.#probe;
    if (!probe.readPrefix(text)) return [];
    const first = keyAt(probe.bytes, 0);
    const last = first + 2 ** (KEY_BITS - 4 * Math.min(KEY_DIGITS, probe.digits)) - 1;
    const end = this.#home(last);
    const found: number[] = [];
    for (let slot = this.#position(first, probe.bytes); found.length < most; slot++) {
      const row = this.#rowAt(slot);
      if (row !== NO_ROW) {
        if (!this.#rows.startsWith(row, probe)) break;
        found.push(row);
      } else if (slot >= end) {
        break;
      }
    }
    return found;
  }

  /** Adds a row; its digest must be absent. */
  add(row: number): void {
    if (3 * (this.#size + 1) > 2 * 2 ** this.#slotBits) this.#enlarge();
    const key = this.#rows.key(row);
    const slot = this.#placeOf(key, row);
    let end = slot;
    while (this.#rowAt(end) !== NO_ROW) end++;
    if (end === this.#lastSlot) this.#addSlack();
    if (end > slot) this.#slots.copyWithin(2 * (slot + 1), 2 * slot, 2 * end);
    this.#set(slot, key, row);
    this.#size++;
  }

  /** Returns the slot where a new row belongs: nearly always one of the first. */
  #placeOf(key: number, row: number): number {
    const home = this.#home(key);
    for (let slot = home; slot < home + NEAR_SLOTS; slot++) {
      const other = this.#slots[2 * slot] as number;
      if (this.#rowAt(slot) === NO_ROW || other > key) return slot;
      if (other === key) break;
    }
    return this.#position(key, this.#rows.hash(row));
  }

  /** Removes a row; it must be present. */
  remove(row: number): void {
    const slot = this.#position(this.#rows.key(row), this.#rows.hash(row));
    let end = slot + 1;
    // Moves displaced digests behind it back by one slot.
    while (this.#rowAt(end) !== NO_ROW && this.#home(this.#slots[2 * end] as number) < end) end++;
    this.#slots.copyWithin(2 * slot, 2 * (slot + 1), 2 * end);
    this.#slots.fill(0, 2 * (end - 1), 2 * end);
    this.#size--;
  }

  /** Returns a copy of the slots for `rowsInSlots`: the only mutable state. */
  copySlots(): Uint32Array<ArrayBuffer> {
    return this.#slots.slice();
  }

  get #lastSlot(): number {
    return this.#slots.length / 2 - 1;
  }

  #home(key: number): number {
    return key >>> (KEY_BITS - this.#slotBits);
  }

  #rowAt(slot: number): number {
    return (this.#slots[2 * slot + 1] as number) - 1;
  }

  #set(slot: number, key: number, row: number): void {
    this.#slots[2 * slot] = key;
    this.#slots[2 * slot + 1] = row + 1;
  }

  /** Checks the slots where a digest nearly always is, in half the time of reading all digits. */
  #findNear(text: string): number {
    const key = keyOfText(text);
    const home = this.#home(key);
    for (let slot = home; slot < home + NEAR_SLOTS; slot++) {
      const row = this.#rowAt(slot);
      if (row === NO_ROW) return NO_ROW;
      if (this.#slots[2 * slot] === key && this.#rows.isText(row, text)) return row;
    }
    return NO_ROW;
  }

  /**
   * Returns the first slot from the home slot on that is empty or not before the digest: where it
   * is or belongs. All later slots qualify too, so the search gallops.
   */
  #position(key: number, bytes: Uint8Array): number {
    let before = this.#home(key) - 1;
    let at = before + 1;
    for (let step = 1; at < this.#lastSlot && this.#isBefore(at, key, bytes); step *= 2) {
      before = at;
      at += step;
    }
    at = Math.min(at, this.#lastSlot);
    while (at - before > 1) {
      const middle = (before + at) >>> 1;
      if (this.#isBefore(middle, key, bytes)) before = middle;
      else at = middle;
    }
    return at;
  }

  #isBefore(slot: number, key: number, bytes: Uint8Array): boolean {
    const row = this.#rowAt(slot);
    if (row === NO_ROW) return false;
    const other = this.#slots[2 * slot] as number;
    return other < key || (other === key && this.#rows.compareTo(row, bytes) < 0);
  }

  #enlarge(): void {
    const old = this.#slots;
    this.#slotBits++;
    this.#slots = emptySlots(this.#slotBits, MIN_SLACK);
    let next = 0;
    for (let at = 0; at < old.length; at += 2) {
      const rowAndOne = old[at + 1] as number;
      if (rowAndOne > 0) next = this.#append(next, old[at] as number, rowAndOne - 1);
    }
  }

  // One loop over arrays without calls: an open runs it once, before it is optimized.
  #fill(order: Uint32Array): void {
    const { hashes, length } = this.#rows;
    const shift = KEY_BITS - this.#slotBits;
    // In order of rows: the order of digests jumps about, in an array of an eighth of the size.
    const keys = new Uint32Array(length);
    for (let row = 0; row < length; row++) keys[row] = keyAt(hashes, row * HASH_BYTES);
    let slots = this.#slots;
    let next = 0;
    let keyBefore = -1;
    for (let at = 0; at < order.length; at++) {
      const row = order[at] as number;
      if (row >= length) throw new SnapshotDamage(`it has no digest ${row}`);
      const key = keys[row] as number;
      if (key <= keyBefore && !this.#isAfter(row, order[at - 1]))
        throw new SnapshotDamage('its digests are not in order');
      const slot = Math.max(next, key >>> shift);
      if (2 * slot === slots.length - 2) slots = this.#addSlack();
      slots[2 * slot] = key;
      slots[2 * slot + 1] = row + 1;
      next = slot + 1;
      keyBefore = key;
    }
    this.#size = order.length;
  }

  #isAfter(row: number, before: number | undefined): boolean {
    return before === undefined || this.#rows.compare(row, before) > 0;
  }

  /** Appends a row in its home slot, or `next` if that is later; returns the slot after. */
  #append(next: number, key: number, row: number): number {
    const slot = Math.max(next, this.#home(key));
    if (slot === this.#lastSlot) this.#addSlack();
    this.#set(slot, key, row);
    return slot + 1;
  }

  #addSlack(): Uint32Array<ArrayBuffer> {
    const homes = 2 ** this.#slotBits;
    const larger = emptySlots(this.#slotBits, 2 * (this.#slots.length / 2 - homes));
    larger.set(this.#slots);
    this.#slots = larger;
    return larger;
  }
}

/** Returns the rows in a copy of an index's slots, in digest order. */
export function rowsInSlots(slots: Uint32Array): Uint32Array<ArrayBuffer> {
  const rows = new Uint32Array(slots.length / 2);
  let count = 0;
  for (let at = 1; at < slots.length; at += 2) {
    const rowAndOne = slots[at] as number;
    if (rowAndOne > 0) rows[count++] = rowAndOne - 1;
  }
  return rows.subarray(0, count);
}

function slotBitsFor(count: number): number {
  let bits = MIN_SLOT_BITS;
  while (3 * count > 2 * 2 ** bits) bits++;
  return bits;
}

function emptySlots(bits: number, slack: number): Uint32Array<ArrayBuffer> {
  return new Uint32Array(2 * (2 ** bits + slack));
}
