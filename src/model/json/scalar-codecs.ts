import type { Codec } from './codec.js';
import { JsonError } from './json-error.js';
import { quoteJson } from './quote-json.js';
import { describeJson, isJsonNumber, type JsonValue } from './value.js';

/** A 64-bit integer: a bigint only where a number would not be exact. */
export type Int64 = number | bigint;

const MIN_INT64 = -(2n ** 63n);
const MAX_INT64 = 2n ** 63n - 1n;
/** No number in JSON begins with a zero. */
const MAX_INT64_LENGTH = String(MIN_INT64).length;

/** Returns a codec of Go's `string`; null leaves it as it is. `Text` may be a branded string, which is not checked. */
export function textCodec<Text extends string>(): Codec<Text | ''> {
  return {
    zero: () => '',
    decode(value, before) {
      if (typeof value === 'string') return value as Text;
      if (value === null) return before;
      throw mismatch('a string', value);
    },
    encode: quoteJson,
    isEmpty: (value) => value === '',
  };
}

/** Go's `string`. */
export const stringCodec: Codec<string> = textCodec<string>();

/** Go's `bool`; null leaves it as it is. */
export const boolCodec: Codec<boolean> = {
  zero: () => false,
  decode(value, before) {
    if (typeof value === 'boolean') return value;
    if (value === null) return before;
    throw mismatch('true or false', value);
  },
  encode: String,
  isEmpty: (value) => !value,
};

/** Go's `int64`, and its `int` on 64-bit machines: no fraction, no exponent; null leaves it as it is. */
export const int64Codec: Codec<Int64> = {
  zero: () => 0,
  decode(value, before) {
    if (value === null) return before;
    // A BigInt of a million digits takes a tenth of a second to make.
    const isShort = isJsonNumber(value) && value.text.length <= MAX_INT64_LENGTH;
    if (!isShort || !/^-?[0-9]+$/.test(value.text)) throw mismatch('a 64-bit integer', value);
    // Adding zero turns -0 into 0.
    const short = Number(value.text) + 0;
    if (Number.isSafeInteger(short)) return short;
    const long = BigInt(value.text);
    if (long < MIN_INT64 || long > MAX_INT64) throw mismatch('a 64-bit integer', value);
    return long;
  },
  encode: String,
  isEmpty: (value) => value === 0 || value === 0n,
};

/** Returns the error for a `value` of the wrong type; `expected` comes with its article. */
export function mismatch(expected: string, value: JsonValue): JsonError {
  return new JsonError(`expected ${expected}, found ${describeJson(value)}`);
}
