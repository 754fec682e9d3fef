import {
  JsonError,
  type JsonLimits,
  type JsonNumber,
  type JsonObject,
  type JsonValue,
  parseJson,
  parseJsonSteps,
  withinField,
} from './parse.js';

/** Like `Array.isArray`, which does not narrow readonly arrays. */
export function isJsonArray(value: JsonValue): value is readonly JsonValue[] {
  return Array.isArray(value);
}

function isJsonObject(value: JsonValue): value is JsonObject {
  return typeof value === 'object' && value !== null && !isJsonArray(value) && value.kind === 'object';
}

function isJsonNumber(value: JsonValue): value is JsonNumber {
  return typeof value === 'object' && value !== null && !isJsonArray(value) && value.kind === 'number';
}

/** Describes `value` in messages: `an array`, `number 1.5`. */
function describeJson(value: JsonValue): string {
  if (value === null) return 'null';
  if (typeof value === 'boolean') return 'a boolean';
  if (typeof value === 'string') return 'a string';
  if (isJsonArray(value)) return 'an array';
  return value.kind === 'object' ? 'an object' : `number ${value.text.slice(0, 40)}`;
}

const NEEDS_ESCAPE = /["\\<>&\u2028\u2029\p{Cc}\p{Surrogate}]/u;
const ESCAPED = /["\\<>&\u2028\u2029\p{Cc}\p{Surrogate}]/gu;
const SHORT: ReadonlyMap<string, string> = new Map([
  ['"', '\\"'],
  ['\\', '\\\\'],
  ['\n', '\\n'],
  ['\r', '\\r'],
  ['\t', '\\t'],
]);

/**
 * Quotes `text` byte for byte like Go's json.Marshal (before Go 1.22): `<`, `>`, `&`, U+2028,
 * U+2029 and control characters as `\u`, short forms for `\n`, `\r` and `\t`.
 */
export function quoteJson(text: string): string {
  return NEEDS_ESCAPE.test(text) ? `"${text.replace(ESCAPED, escapeCharacter)}"` : `"${text}"`;
}

function escapeCharacter(character: string): string {
  const short = SHORT.get(character);
  if (short !== undefined) return short;
  const code = character.charCodeAt(0);
  // C1 controls match, but are written as they are.
  if (code >= 0x7f && code <= 0x9f) return character;
  // A lone surrogate has no UTF-8 form; Go writes invalid UTF-8 this way.
  return code >= 0xd800 && code <= 0xdfff ? '\\ufffd' : `\\u${code.toString(16).padStart(4, '0')}`;
}

/**
 * Compares UTF-8 bytes, the order of map keys in Go's JSON: negative, zero or positive.
 * JavaScript's order puts U+E000 to U+FFFF after higher code points.
 */
export function compareUtf8(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let at = 0; at < length; at++) {
    const left = a.charCodeAt(at);
    const right = b.charCodeAt(at);
    if (left !== right) return utf8Rank(left) - utf8Rank(right);
  }
  return a.length - b.length;
}

function utf8Rank(unit: number): number {
  if (unit < 0xd800) return unit;
  return unit < 0xe000 ? unit + 0x2000 : unit - 0x800;
}

/** Reads and writes one Go type in JSON, like encoding/json with a variable of that type. */
export interface Codec<T> {
  /** Returns Go's zero value; a new one if it is mutable. */
  zero(): T;
  /**
   * Decodes `value` over `before`, the variable's value, which may be modified.
   * @throws {JsonError} when `value` has the wrong type
   */
  decode(value: JsonValue, before: T): T;
  /** Like `decode`, pausing every hundred values or so; absent where decoding is always short. */
  decodeSteps?(value: JsonValue, before: T): Generator<undefined, T>;
  /** Encodes `value` byte for byte like Go's json.Marshal. */
  encode(value: T): string;
  /** Whether `omitempty` omits `value`. */
  isEmpty(value: T): boolean;
}

/**
 * Decodes `bytes` into a zero value of `codec`'s type.
 * @throws {JsonError} for malformed JSON, exceeded `limits` (a JsonLimitError), or the wrong type
 */
export function decodeJson<T>(bytes: Uint8Array, codec: Codec<T>, limits: JsonLimits = {}): T {
  return codec.decode(parseJson(bytes, limits), codec.zero());
}

/** Like `decodeJson`, in steps that the caller can interleave. */
export function* decodeJsonSteps<T>(
  bytes: Uint8Array,
  codec: Codec<T>,
  limits: JsonLimits = {},
): Generator<undefined, T> {
  const value = yield* parseJsonSteps(bytes, limits);
  return yield* decodeInSteps(codec, value, codec.zero());
}

/** A 64-bit integer: a bigint only if a number would be inexact. */
export type Int64 = number | bigint;

const MIN_INT64 = -(2n ** 63n);
const MAX_INT64 = 2n ** 63n - 1n;
/** JSON numbers have no leading zeros. */
const MAX_INT64_LENGTH = String(MIN_INT64).length;

/** Codec of Go's `string`; null leaves it unchanged. `Text` may be a branded string, unchecked. */
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

/** Go's `bool`; null leaves it unchanged. */
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

/** Go's `int64`, and 64-bit `int`: no fraction or exponent; null leaves it unchanged. */
export const int64Codec: Codec<Int64> = {
  zero: () => 0,
  decode(value, before) {
    if (value === null) return before;
    // Making a BigInt of a million digits takes a tenth of a second.
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

/** Returns the error for a wrong type; `expected` includes its article. */
export function mismatch(expected: string, value: JsonValue): JsonError {
  return new JsonError(`expected ${expected}, found ${describeJson(value)}`);
}

/** Field of a Go struct: JSON name, type, and whether a zero value is omitted. */
interface StructField<T> {
  readonly name: string;
  readonly codec: Codec<T>;
  readonly omitEmpty: boolean;
}

/** Fields of a struct, in the order written. */
export type StructFields<S> = { readonly [K in keyof S]-?: StructField<S[K]> };

/** Declares a field with the JSON name `name`. */
export function field<T>(name: string, codec: Codec<T>): StructField<T> {
  return { name, codec, omitEmpty: false };
}

/** Declares a field with the JSON name `name`, omitted when empty. */
export function omitEmptyField<T>(name: string, codec: Codec<T>): StructField<T> {
  return { name, codec, omitEmpty: true };
}

/** Sorts `fields` by name bytes, as Docker writes what it marshals through a map. */
export function sortedFields<S>(fields: StructFields<S>): StructFields<S> {
  const entries = Object.entries<StructField<unknown>>(fields);
  return Object.fromEntries(entries.sort(([, a], [, b]) => compareUtf8(a.name, b.name))) as StructFields<S>;
}

interface Plan {
  readonly key: string;
  readonly name: string;
  readonly prefix: string;
  readonly codec: Codec<unknown>;
  readonly omitEmpty: boolean;
}

type Target = Record<string, unknown>;

/**
 * Codec of a Go struct. Keys match in any case; every match assigns, so the last wins; repeated
 * objects merge; unknown keys are ignored; null leaves the struct unchanged. Names must be ASCII
 * and differ by more than case. A struct that is decoded often brings its own `copy`: V8 makes a
 * spread fast that has copied one kind of object.
 */
export function structCodec<S extends object>(
  fields: StructFields<S>,
  copy: (zero: S) => S = (zero) => ({ ...zero }),
): Codec<S> {
  const plans = Object.entries<StructField<unknown>>(fields).map(([key, { name, codec, omitEmpty }]) => {
    return { key, name, codec, omitEmpty, prefix: `${quoteJson(name)}:` };
  });
  const byName = new Map(plans.map((plan) => [plan.name, plan]));
  const byFolded = new Map(plans.map((plan) => [foldCase(plan.name), plan]));
  const planOf = (key: string): Plan | undefined => byName.get(key) ?? byFolded.get(foldCase(key));
  const template = zeroOf(plans) as S;
  const zero = (): S => copy(template);
  const targetOf = (before: S): Target => (Object.isFrozen(before) ? zero() : before) as Target;
  function* decodeSteps(value: JsonValue, before: S): Generator<undefined, S> {
    if (value === null) return before;
    if (!isJsonObject(value)) throw mismatch('an object', value);
    const target = targetOf(before);
    yield* decodeFieldsInSteps(value, target, planOf);
    return target as S;
  }
  return {
    zero,
    decode(value, before) {
      if (value === null) return before;
      if (!isJsonObject(value)) throw mismatch('an object', value);
      const target = targetOf(before);
      decodeFields(value, target, planOf);
      return target as S;
    },
    ...(plans.some(({ codec }) => codec.decodeSteps !== undefined) ? { decodeSteps } : {}),
    encode: (value) => encodeFields(value as Target, plans),
    isEmpty: () => false,
  };
}

/** Returns a zero struct to copy, which is much faster than setting each field. */
function zeroOf(plans: readonly Plan[]): Target {
  // Nested structs are shared and frozen; their decoder copies them first.
  return Object.fromEntries(plans.map(({ key, codec }) => [key, Object.freeze(codec.zero())]));
}

function decodeFields(value: JsonObject, target: Target, planOf: (key: string) => Plan | undefined): void {
  const { keys, values } = value;
  for (let at = 0; at < keys.length; at++) {
    const plan = planOf(keys[at] as string);
    if (plan === undefined) continue;
    try {
      target[plan.key] = plan.codec.decode(values[at] ?? null, target[plan.key]);
    } catch (error) {
      throw withinField(plan.name, error);
    }
  }
}

function* decodeFieldsInSteps(
  { keys, values }: JsonObject,
  target: Target,
  planOf: (key: string) => Plan | undefined,
): Generator<undefined, void> {
  for (let at = 0; at < keys.length; at++) {
    const plan = planOf(keys[at] as string);
    if (plan === undefined) continue;
    try {
      target[plan.key] = yield* decodeInSteps(plan.codec, values[at] ?? null, target[plan.key]);
    } catch (error) {
      throw withinField(plan.name, error);
    }
  }
}

function* decodeInSteps<T>(codec: Codec<T>, value: JsonValue, before: T): Generator<undefined, T> {
  return codec.decodeSteps === undefined ? codec.decode(value, before) : yield* codec.decodeSteps(value, before);
}

function encodeFields(value: Target, plans: readonly Plan[]): string {
  let text = '';
  for (const { key, prefix, codec, omitEmpty } of plans) {
    const item = value[key];
    if (omitEmpty && codec.isEmpty(item)) continue;
    text += `${text === '' ? '' : ','}${prefix}${codec.encode(item)}`;
  }
  return `{${text}}`;
}

/**
 * Folds the case of `key` like Go. In Unicode's simple folding, two other letters equal ASCII ones:
 * the long s and the Kelvin sign.
 */
function foldCase(key: string): string {
  return key.replace(/[A-Z\u017f\u212a]/g, (letter) => {
    if (letter === '\u017f') return 's';
    return letter === '\u212a' ? 'k' : letter.toLowerCase();
  });
}

/** Items of a slice or map between pauses. */
const ITEMS_PER_STEP = 100;

/**
 * Codec of Go's `[]T`: null is the nil slice. Under a repeated key, the second array's elements are
 * decoded over the first's, like in Go.
 */
export function sliceCodec<T>(element: Codec<T>): Codec<readonly T[] | null> {
  type Items = readonly T[] | null;
  const oldAt = (before: Items, at: number): T =>
    before !== null && at < before.length ? (before[at] as T) : element.zero();
  return {
    zero: () => null,
    // Its own loop, as in a map: a generator for each item would take longer than decoding it.
    decode(value, before) {
      if (value === null) return null;
      if (!isJsonArray(value)) throw mismatch('an array', value);
      const items: T[] = [];
      for (let at = 0; at < value.length; at++) {
        try {
          items.push(element.decode(value[at] as JsonValue, oldAt(before, at)));
        } catch (error) {
          throw withinField(String(at), error);
        }
      }
      return items;
    },
    *decodeSteps(value, before) {
      if (value === null) return null;
      if (!isJsonArray(value)) throw mismatch('an array', value);
      const items: T[] = [];
      for (let at = 0; at < value.length; at++) {
        if (at % ITEMS_PER_STEP === 0) yield;
        try {
          items.push(yield* decodeInSteps(element, value[at] as JsonValue, oldAt(before, at)));
        } catch (error) {
          throw withinField(String(at), error);
        }
      }
      return items;
    },
    encode(value) {
      return value === null ? 'null' : `[${value.map((item) => element.encode(item)).join()}]`;
    },
    isEmpty: (value) => value === null || value.length === 0,
  };
}

/**
 * Codec of Go's `map[string]T`: null is the nil map, the last of repeated keys wins, keys are
 * written in UTF-8 order. `__proto__` is an ordinary key.
 */
export function mapCodec<T>(element: Codec<T>): Codec<Readonly<Record<string, T>> | null> {
  return {
    zero: () => null,
    decode(value, before) {
      if (value === null) return null;
      if (!isJsonObject(value)) throw mismatch('an object', value);
      const items: Record<string, T> = { ...before };
      for (let at = 0; at < value.keys.length; at++) {
        const key = value.keys[at] as string;
        try {
          setItem(items, key, element.decode(value.values[at] as JsonValue, element.zero()));
        } catch (error) {
          throw withinField(key, error);
        }
      }
      return items;
    },
    *decodeSteps(value, before) {
      if (value === null) return null;
      if (!isJsonObject(value)) throw mismatch('an object', value);
      const items: Record<string, T> = { ...before };
      for (let at = 0; at < value.keys.length; at++) {
        if (at % ITEMS_PER_STEP === 0) yield;
        const key = value.keys[at] as string;
        try {
          setItem(items, key, yield* decodeInSteps(element, value.values[at] as JsonValue, element.zero()));
        } catch (error) {
          throw withinField(key, error);
        }
      }
      return items;
    },
    encode(value) {
      if (value === null) return 'null';
      const entries = Object.entries(value).sort(([a], [b]) => compareUtf8(a, b));
      return `{${entries.map(([key, item]) => `${quoteJson(key)}:${element.encode(item)}`).join()}}`;
    },
    isEmpty: (value) => value === null || Object.keys(value).length === 0,
  };
}

function setItem<T>(items: Record<string, T>, key: string, item: T): void {
  if (key !== '__proto__') items[key] = item;
  else Object.defineProperty(items, key, { value: item, configurable: true, enumerable: true, writable: true });
}

/** Codec of Go's `*T`: undefined and JSON null are nil. */
export function pointerCodec<T>(target: Codec<T>): Codec<T | undefined> {
  return {
    zero: () => undefined,
    decode: (value, before) => (value === null ? undefined : target.decode(value, before ?? target.zero())),
    encode: (value) => (value === undefined ? 'null' : target.encode(value)),
    isEmpty: (value) => value === undefined,
  };
}
