import type { Codec } from './codec.js';
import { withinField } from './json-error.js';
import { compareUtf8, quoteJson } from './quote-json.js';
import { mismatch } from './scalar-codecs.js';
import { isJsonObject, type JsonObject, type JsonValue } from './value.js';

/** One field of a Go struct: its name in JSON, its type, and whether a zero value is left out. */
export interface StructField<T> {
  readonly name: string;
  readonly codec: Codec<T>;
  readonly omitEmpty: boolean;
}

/** The fields of a struct, in the order in which they are written. */
export type StructFields<S> = { readonly [K in keyof S]-?: StructField<S[K]> };

/** Returns the field called `name` in JSON. */
export function field<T>(name: string, codec: Codec<T>): StructField<T> {
  return { name, codec, omitEmpty: false };
}

/** Returns the field called `name` in JSON, which is not written when it is empty. */
export function omitEmptyField<T>(name: string, codec: Codec<T>): StructField<T> {
  return { name, codec, omitEmpty: true };
}

/** Returns `fields` in the order of their names' bytes, which is how Docker writes what it marshals by way of a map. */
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
 * Returns a codec of a Go struct. Keys match in any case, every key that matches assigns, so the last one wins, and an
 * object that comes twice is merged; unknown keys are passed over; null leaves the struct as it is.
 * The names must be ASCII and differ by more than case.
 */
export function structCodec<S extends object>(fields: StructFields<S>): Codec<S> {
  const plans = Object.entries<StructField<unknown>>(fields).map(([key, { name, codec, omitEmpty }]) => {
    return { key, name, codec, omitEmpty, prefix: `${quoteJson(name)}:` };
  });
  const byName = new Map(plans.map((plan) => [plan.name, plan]));
  const byFolded = new Map(plans.map((plan) => [foldCase(plan.name), plan]));
  const planOf = (key: string): Plan | undefined => byName.get(key) ?? byFolded.get(foldCase(key));
  const zero = zeroMaker(plans);
  const targetOf = (before: S): Target => (Object.isFrozen(before) ? zero() : (before as Target));
  function* decodeSteps(value: JsonValue, before: S): Generator<undefined, S> {
    if (value === null) return before;
    if (!isJsonObject(value)) throw mismatch('an object', value);
    const target = targetOf(before);
    yield* decodeFieldsInSteps(value, target, planOf);
    return target as S;
  }
  return {
    zero: zero as () => S,
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

/** Returns a maker of zero structs. To copy one is much faster than to set its fields one by one. */
function zeroMaker(plans: readonly Plan[]): () => Target {
  // A struct in a struct is shared by all, and frozen: its decoder copies it first.
  const zeros = plans.map(({ key, codec }) => [key, Object.freeze(codec.zero())] as const);
  const template: Target = Object.fromEntries(zeros);
  return () => ({ ...template });
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

/** Decodes `value` in the steps of `codec`, or at once where it has none. */
export function* decodeInSteps<T>(codec: Codec<T>, value: JsonValue, before: T): Generator<undefined, T> {
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
 * Returns `key` so that two keys that Go takes for the same become equal. By Unicode's simple
 * folding two letters outside ASCII stand for ASCII ones: the long s and the Kelvin sign.
 */
function foldCase(key: string): string {
  return key.replace(/[A-Z\u017f\u212a]/g, (letter) => {
    if (letter === '\u017f') return 's';
    return letter === '\u212a' ? 'k' : letter.toLowerCase();
  });
}
