import { type OptionNames, refuseUnknown } from '../model/option-names.js';
import { parsePlatform, type Platform } from '../model/platform.js';

/** @throws {TypeError} naming the argument, unless it is a string */
export function mustBeString(name: string, value: unknown): void {
  if (typeof value !== 'string') throw new TypeError(`${name} must be a string`);
}

/**
 * Refuses anything but undefined or a boolean: a text such as 'false' would count as true.
 * @throws {TypeError} naming the argument
 */
export function mustBeBoolean(name: string, value: unknown): void {
  if (value !== undefined && typeof value !== 'boolean') throw new TypeError(`${name} must be a boolean`);
}

/** @throws {TypeError} naming the argument, unless it is undefined or a non-empty string */
export function mustBeText(name: string, value: unknown): void {
  if (value === undefined || (typeof value === 'string' && value !== '')) return;
  throw new TypeError(`${name} must be a string that is not empty`);
}

/**
 * Refuses anything but undefined or an AbortSignal: other values would never abort.
 * @throws {TypeError} naming the argument
 */
export function mustBeSignal(name: string, value: unknown): void {
  if (value !== undefined && !(value instanceof AbortSignal)) throw new TypeError(`${name} must be an AbortSignal`);
}

/** @throws {TypeError} naming the argument, unless it is a non-null object */
export function mustBeObject(name: string, value: unknown): void {
  if (typeof value !== 'object' || value === null) throw new TypeError(`${name} must be an object`);
}

/**
 * Refuses what is no object of options, and names that it does not have. A promise or a map would
 * count as no options at all.
 * @throws {TypeError} naming the argument, or the unknown name
 */
export function mustBeOptions<Options>(options: Options, known: OptionNames<Options>): void {
  mustBeObject('options', options);
  const given = options as object;
  if ('then' in given) throw new TypeError('options must be an object: a promise must be awaited first');
  if (Symbol.iterator in given) throw new TypeError('options must be an object with names, not a list or a map');
  refuseUnknown(options, known);
}

/** @throws {TypeError} naming the argument, unless it is a function */
export function mustBeFunction(name: string, value: unknown): void {
  if (typeof value !== 'function') throw new TypeError(`${name} must be a function`);
}

/** @throws {RangeError} naming the argument, unless it is a whole number from 0 up */
export function mustBeCount(name: string, value: number): void {
  if (Number.isSafeInteger(value) && value >= 0) return;
  throw new RangeError(`${name} must be a whole number from 0 up: ${value}`);
}

/** One platform or several, as text or parsed; none for undefined. @throws {StoreError} PLATFORM_INVALID */
export function platformsOf(
  wanted: Platform | string | readonly (Platform | string)[] | undefined,
): readonly Platform[] {
  const all = wanted === undefined ? [] : [wanted].flat();
  return all.map((platform) => (typeof platform === 'string' ? parsePlatform(platform) : platform));
}
