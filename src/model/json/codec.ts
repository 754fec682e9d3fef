import { type JsonLimits, parseJson, parseJsonSteps } from './parse-json.js';
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
  /** Does what `decode` does, and pauses after some hundred values; absent where that is never long. */
  decodeSteps?(value: JsonValue, before: T): Generator<undefined, T>;
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

/** Does what `decodeJson` does, in steps: a caller goes on with it when others had their turn. */
export function* decodeJsonSteps<T>(
  bytes: Uint8Array,
  codec: Codec<T>,
  limits: JsonLimits = {},
): Generator<undefined, T> {
  const value = yield* parseJsonSteps(bytes, limits);
  const zero = codec.zero();
  return codec.decodeSteps === undefined ? codec.decode(value, zero) : yield* codec.decodeSteps(value, zero);
}
