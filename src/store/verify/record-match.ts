import { MAX_RECORD_BYTES } from '../../limits.js';
import { recordValues } from '../../log/record.js';
import type { StoredEvent } from '../../model/events.js';

const NIL = 0xc0;
const BIN_8 = 0xc4;
const FLOAT_64 = 0xcb;
const UINT_8 = 0xcc;
const STR_8 = 0xd9;
const FIX_STR = 0xa0;
const FIX_ARRAY = 0x90;
const ARRAY_16 = 0xdc;

const float = new DataView(new ArrayBuffer(8));
const floatBytes = new Uint8Array(float.buffer);
const utf8 = new TextEncoder();

/**
 * Whether `record` is byte for byte what `encodeRecord` gives for `event`: compares value by value
 * and writes nothing, at a third of the cost. May be false for one that is; then encoding it tells.
 */
export function isRecordOf(event: StoredEvent, record: Uint8Array): boolean {
  if (record.length > MAX_RECORD_BYTES) return false;
  return matchArray(record, 0, recordValues(event)) === record.length;
}

/*
 * Each returns the offset after a MessagePack value of the shortest form, or -1 for another value
 * or form.
 */

function matchValue(bytes: Uint8Array, at: number, value: unknown): number {
  if (typeof value === 'number') return matchNumber(bytes, at, value);
  if (typeof value === 'string') return matchText(bytes, at, value);
  if (value === null) return bytes[at] === NIL ? at + 1 : -1;
  if (value instanceof Uint8Array) return matchBytes(bytes, matchSize(bytes, at, BIN_8, value.length), value);
  return Array.isArray(value) ? matchArray(bytes, at, value) : -1;
}

function matchArray(bytes: Uint8Array, start: number, values: readonly unknown[]): number {
  const { length } = values;
  let at = start;
  if (length < 16) at = bytes[at] === (FIX_ARRAY | length) ? at + 1 : -1;
  else at = length <= 0xffff && bytes[at] === ARRAY_16 ? matchUint(bytes, at + 1, 2, length) : -1;
  for (let index = 0; index < length && at >= 0; index++) at = matchValue(bytes, at, values[index]);
  return at;
}

function matchNumber(bytes: Uint8Array, at: number, value: number): number {
  if (!Number.isSafeInteger(value) || value < 0) return -1;
  if (value < 0x80) return bytes[at] === value ? at + 1 : -1;
  if (value <= 0xffff_ffff) return matchSize(bytes, at, UINT_8, value);
  if (bytes[at] !== FLOAT_64) return -1;
  float.setFloat64(0, value);
  return matchBytes(bytes, at + 1, floatBytes);
}

function matchText(bytes: Uint8Array, start: number, text: string): number {
  const { length } = text;
  const at = afterTextSize(bytes, start, length);
  let isSame = at >= 0;
  for (let index = 0; index < length; index++) {
    const code = text.charCodeAt(index);
    if (code > 0x7f) {
      const encoded = utf8.encode(text);
      return matchBytes(bytes, afterTextSize(bytes, start, encoded.length), encoded);
    }
    isSame &&= bytes[at + index] === code;
  }
  return isSame ? at + length : -1;
}

function afterTextSize(bytes: Uint8Array, at: number, size: number): number {
  if (size >= 32) return matchSize(bytes, at, STR_8, size);
  return bytes[at] === (FIX_STR | size) ? at + 1 : -1;
}

/** Matches the type of eight, sixteen or 32 bits, of which `first` is the first, and a number of so many. */
function matchSize(bytes: Uint8Array, at: number, first: number, size: number): number {
  if (size <= 0xff) return bytes[at] === first ? matchUint(bytes, at + 1, 1, size) : -1;
  if (size <= 0xffff) return bytes[at] === first + 1 ? matchUint(bytes, at + 1, 2, size) : -1;
  return bytes[at] === first + 2 ? matchUint(bytes, at + 1, 4, size) : -1;
}

function matchUint(bytes: Uint8Array, start: number, size: number, value: number): number {
  for (let at = start, shift = 8 * (size - 1); shift >= 0; at++, shift -= 8) {
    if (bytes[at] !== ((value >>> shift) & 0xff)) return -1;
  }
  return start + size;
}

function matchBytes(bytes: Uint8Array, at: number, expected: Uint8Array): number {
  if (at < 0) return -1;
  for (let index = 0; index < expected.length; index++) if (bytes[at + index] !== expected[index]) return -1;
  return at + expected.length;
}
