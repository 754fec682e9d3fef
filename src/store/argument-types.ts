import { StoreError } from '../errors.js';
import { isDigest } from '../model/digest.js';
import { type OptionNames, refuseUnknown } from '../model/option-names.js';
import { parsePlatform, type Platform } from '../model/platform.js';
import { canonicalReference } from '../model/reference.js';

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

/** What `tag` points at what. */
export interface TagRequest {
  /** The id of an image, the digest of an artifact, or a reference. */
  readonly source: string;
  /** The reference to set. */
  readonly target: string;
}

const tagRequestNames: OptionNames<TagRequest> = { source: true, target: true };

/**
 * Returns a request with canonical references. `second` is what the caller passed after it: text
 * there is a call with two names in a row, whose order only the caller knows.
 * @throws {TypeError} which has the call to write instead
 * @throws {StoreError} REFERENCE_INVALID, also for a target that is a digest
 */
export function checkedTag(request: TagRequest, second: unknown): TagRequest {
  if (typeof request === 'string') throw namesInARow(request, second);
  mustBeObject('tag', request);
  refuseUnknown(request, tagRequestNames, 'name in a tag');
  const { source, target } = request;
  mustBeString('source', source);
  mustBeString('target', target);
  if (isDigest(target)) {
    throw new StoreError(
      'REFERENCE_INVALID',
      `${target} is a digest, and the target of a tag must be a name${isDigest(source) ? '' : ': are source and target reversed?'}`,
      { data: { source, target } },
    );
  }
  return { source: isDigest(source) ? source : canonicalReference(source), target: canonicalReference(target) };
}

function namesInARow(first: string, second: unknown): TypeError {
  if (typeof second !== 'string') return new TypeError(`tag takes an object: write ${callOf('…', first)}`);
  if (isDigest(second)) {
    return new TypeError(
      `tag takes an object, and the order of its names is that of docker tag, the image first: write ${callOf(second, first)}`,
    );
  }
  if (isDigest(first)) return new TypeError(`tag takes an object: write ${callOf(first, second)}`);
  return new TypeError(
    `tag takes an object: write ${callOf(second, first)} to point ${first} at what ${second} is, as two names in a row ` +
      `did before, or ${callOf(first, second)} for what docker tag does`,
  );
}

function callOf(source: string, target: string): string {
  return `tag({ source: ${shown(source)}, target: ${shown(target)} })`;
}

function shown(name: string): string {
  return `'${name.slice(0, 200)}'`;
}
