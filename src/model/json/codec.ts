import { type JsonLimits, parseJson } from './parse-json.js';
import type { JsonValue } from './value.js';

/**
 * How one Go type is read from JSON and written to it. A decoder behaves as
 * encoding/json does with a variable of that type.
 */
export interface Codec<T> {
  /** Returns Go's zero value; a new one where it can be changed. */
  zero(): T;
  /**
   * Returns what the variable holds after `value` was decoded into it; `before` is what it held, and may be changed.
   * @throws {JsonError} when `value` is of another type
   */
  decode(value: JsonValue, before: T): T;
  /** Returns `value` as JSON text, to the byte as Go's json.Marshal writes it. */
  encode(value: T): string;
  /** Whether `omitempty` leaves `value` out. */
  isEmpty(value: T): boolean;
}

/**
 * Returns what `bytes` hold, decoded into a zero value of `codec`'s type.
 * @throws {JsonError} when they are no JSON, exceed `limits` (a JsonLimitError), or do not fit the type
 */
export function decodeJson<T>(bytes: Uint8Array, codec: Codec<T>, limits: JsonLimits = {}): T {
  return codec.decode(parseJson(bytes, limits), codec.zero());
}
