/** A value of a record, or of a consumer's position: what a MessagePack array of them is made of. */
export type PackedValue = null | number | string | Uint8Array | readonly PackedValue[];

/** First bytes of MessagePack values (github.com/msgpack/msgpack, spec.md), each of the smallest form that the value fits. */
const NIL = 0xc0;
const BIN = [0xc4, 0xc5, 0xc6] as const;
const FLOAT_64 = 0xcb;
const UINT = [0xcc, 0xcd, 0xce] as const;
const STR = [0xd9, 0xda, 0xdb] as const;
const ARRAY = [0xdc, 0xdc, 0xdd] as const;
const FIX_ARRAY = 0x90;
const FIX_STR = 0xa0;
const MAX_FIX_INT = 0x7f;
const MAX_FIX_STR = 0x1f;
const MAX_FIX_ARRAY = 0x0f;

const utf8 = new TextEncoder();

/** What is packed, before it is copied out: one after another, it grows with the largest. */
let bytes = new Uint8Array(4 * 1024);
let view = new DataView(bytes.buffer);
let at = 0;

/**
 * Packs `values` as one MessagePack array without extension types. Numbers that are whole and from 0 to 2^32 - 1 are integers, others
 * are float64. Returns the bytes, which the next call overwrites: copy them. A packer of any value takes three times as long.
 */
export function packValues(values: readonly PackedValue[]): Uint8Array {
  at = 0;
  putArray(values);
  return bytes.subarray(0, at);
}

function putValue(value: PackedValue): void {
  if (typeof value === 'string') putText(value);
  else if (typeof value === 'number') putNumber(value);
  else if (value === null) putByte(NIL);
  else if (value instanceof Uint8Array) putBinary(value);
  else putArray(value);
}

function putArray(values: readonly PackedValue[]): void {
  if (values.length <= MAX_FIX_ARRAY) putByte(FIX_ARRAY | values.length);
  // Arrays have no form of one byte of length.
  else putSized(ARRAY, values.length, 2);
  for (const value of values) putValue(value);
}

function putNumber(value: number): void {
  const isInteger = value >>> 0 === value;
  if (isInteger && value <= MAX_FIX_INT) putByte(value);
  else if (isInteger) putSized(UINT, value);
  else {
    makeRoom(9);
    bytes[at] = FLOAT_64;
    view.setFloat64(at + 1, value);
    at += 9;
  }
}

function putBinary(value: Uint8Array): void {
  putSized(BIN, value.length);
  putBytes(value);
}

function putText(text: string): void {
  const start = at;
  putTextLength(text.length);
  makeRoom(text.length);
  // Most texts are ASCII, and short: a call of the encoder costs more than to look at each character.
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index);
    if (code > MAX_FIX_INT) {
      at = start;
      const encoded = utf8.encode(text);
      putTextLength(encoded.length);
      putBytes(encoded);
      return;
    }
    bytes[at + index] = code;
  }
  at += text.length;
}

function putTextLength(length: number): void {
  if (length <= MAX_FIX_STR) putByte(FIX_STR | length);
  else putSized(STR, length);
}

/** Writes the first byte for a size of one, two or four bytes, and the size, in `least` bytes at least. */
function putSized(codes: readonly [number, number, number], size: number, least = 1): void {
  makeRoom(5);
  if (size <= 0xff && least === 1) {
    bytes[at] = codes[0];
    bytes[at + 1] = size;
    at += 2;
  } else if (size <= 0xffff) {
    bytes[at] = codes[1];
    view.setUint16(at + 1, size);
    at += 3;
  } else {
    bytes[at] = codes[2];
    view.setUint32(at + 1, size);
    at += 5;
  }
}

function putByte(byte: number): void {
  makeRoom(1);
  bytes[at++] = byte;
}

function putBytes(value: Uint8Array): void {
  makeRoom(value.length);
  bytes.set(value, at);
  at += value.length;
}

function makeRoom(length: number): void {
  if (at + length <= bytes.length) return;
  const larger = new Uint8Array(2 * (at + length));
  larger.set(bytes.subarray(0, at));
  bytes = larger;
  view = new DataView(bytes.buffer);
}
