/**
 * Refuses a value that is no string.
 * @throws {TypeError} naming the argument
 */
export function mustBeString(name: string, value: unknown): void {
  if (typeof value !== 'string') throw new TypeError(`${name} must be a string`);
}

/**
 * Refuses a value that is neither undefined nor a boolean: a text like 'false' would count as true.
 * @throws {TypeError} naming the argument
 */
export function mustBeBoolean(name: string, value: unknown): void {
  if (value !== undefined && typeof value !== 'boolean') throw new TypeError(`${name} must be a boolean`);
}

/**
 * Refuses a value that is neither undefined nor a text of at least one character.
 * @throws {TypeError} naming the argument
 */
export function mustBeText(name: string, value: unknown): void {
  if (value === undefined || (typeof value === 'string' && value !== '')) return;
  throw new TypeError(`${name} must be a string that is not empty`);
}

/**
 * Refuses a value that is neither undefined nor an AbortSignal: it would never abort.
 * @throws {TypeError} naming the argument
 */
export function mustBeSignal(name: string, value: unknown): void {
  if (value !== undefined && !(value instanceof AbortSignal)) throw new TypeError(`${name} must be an AbortSignal`);
}

/**
 * Refuses a value that is no object, such as null.
 * @throws {TypeError} naming the argument
 */
export function mustBeObject(name: string, value: unknown): void {
  if (typeof value !== 'object' || value === null) throw new TypeError(`${name} must be an object`);
}

/**
 * Refuses a value that is no function.
 * @throws {TypeError} naming the argument
 */
export function mustBeFunction(name: string, value: unknown): void {
  if (typeof value !== 'function') throw new TypeError(`${name} must be a function`);
}

/**
 * Refuses a value that is no whole number from 0 up.
 * @throws {RangeError} naming the argument
 */
export function mustBeCount(name: string, value: number): void {
  if (Number.isSafeInteger(value) && value >= 0) return;
  throw new RangeError(`${name} must be a whole number from 0 up: ${value}`);
}
