import type { Codec } from './codec.js';
import { withinField } from './json-error.js';
import { compareUtf8, quoteJson } from './quote-json.js';
import { mismatch } from './scalar-codecs.js';
import { decodeInSteps } from './struct-codec.js';
import { isJsonArray, isJsonObject } from './value.js';

/** Items of a slice or a map between two pauses. */
const ITEMS_PER_STEP = 100;

/**
 * Returns a codec of Go's `[]T`: null is the nil slice. When a key comes twice, an element of the
 * second array is decoded into the element of the first at its place, as Go does.
 */
export function sliceCodec<T>(element: Codec<T>): Codec<readonly T[] | null> {
  return {
    zero: () => null,
    decode(value, before) {
      if (value === null) return null;
      if (!isJsonArray(value)) throw mismatch('an array', value);
      const items: T[] = [];
      for (let at = 0; at < value.length; at++) {
        const old = before !== null && at < before.length ? (before[at] as T) : element.zero();
        try {
          items.push(element.decode(value[at] ?? null, old));
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
        const old = before !== null && at < before.length ? (before[at] as T) : element.zero();
        try {
          items.push(yield* decodeInSteps(element, value[at] ?? null, old));
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
 * Returns a codec of Go's `map[string]T`: null is the nil map, a key that comes twice has its last value, the keys
 * are written in the order of their UTF-8 bytes. A key `__proto__` is a key like any other.
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
          setItem(items, key, element.decode(value.values[at] ?? null, element.zero()));
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
          setItem(items, key, yield* decodeInSteps(element, value.values[at] ?? null, element.zero()));
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

/** Returns a codec of Go's `*T`: undefined is nil, and so is null in JSON. */
export function pointerCodec<T>(target: Codec<T>): Codec<T | undefined> {
  return {
    zero: () => undefined,
    decode: (value, before) => (value === null ? undefined : target.decode(value, before ?? target.zero())),
    encode: (value) => (value === undefined ? 'null' : target.encode(value)),
    isEmpty: (value) => value === undefined,
  };
}
