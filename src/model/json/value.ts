/** A JSON number as it was written, so that a 64-bit integer survives. */
export interface JsonNumber {
  readonly kind: 'number';
  readonly text: string;
}

/** A JSON object as it was written: `keys[n]` belongs to `values[n]`, repeated keys stay, in order. */
export interface JsonObject {
  readonly kind: 'object';
  readonly keys: readonly string[];
  readonly values: readonly JsonValue[];
}

/** A JSON value that lost nothing but white space and the spelling of its strings. */
export type JsonValue = null | boolean | string | JsonNumber | JsonObject | readonly JsonValue[];

/** Whether `value` is an array; `Array.isArray` does not narrow a readonly one. */
export function isJsonArray(value: JsonValue): value is readonly JsonValue[] {
  return Array.isArray(value);
}

/** Whether `value` is an object. */
export function isJsonObject(value: JsonValue): value is JsonObject {
  return typeof value === 'object' && value !== null && !isJsonArray(value) && value.kind === 'object';
}

/** Whether `value` is a number. */
export function isJsonNumber(value: JsonValue): value is JsonNumber {
  return typeof value === 'object' && value !== null && !isJsonArray(value) && value.kind === 'number';
}

/** Names the kind of `value` for a message: `an array`, `number 1.5`. */
export function describeJson(value: JsonValue): string {
  if (value === null) return 'null';
  if (typeof value === 'boolean') return 'a boolean';
  if (typeof value === 'string') return 'a string';
  if (isJsonArray(value)) return 'an array';
  return value.kind === 'object' ? 'an object' : `number ${value.text.slice(0, 40)}`;
}
