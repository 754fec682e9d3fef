import { StoreError } from '../../errors.js';
import { MAX_PROJECTION_NAME_LENGTH } from '../../limits.js';
import { mustBeFunction, mustBeObject, mustBeString } from '../argument-types.js';
import type { OwnProjection } from './own-projection.js';

// The name is part of a file name.
const PROJECTION_NAME = /^[A-Za-z0-9][A-Za-z0-9._-]*$/;

/**
 * Returns the projection, checked, typed by what `initial` returns, and frozen: what `store.project` takes.
 * @throws {StoreError} PROJECTION_INVALID for a name or version that is not allowed
 * @throws {TypeError} when a member is of the wrong type, or `encode` and `decode` do not come together
 */
export function defineProjection<View>(projection: OwnProjection<View>): OwnProjection<View> {
  mustBeObject('projection', projection);
  const { name, version, initial, evolve, encode, decode } = projection;
  checkName(name);
  checkVersion(name, version);
  mustBeFunction('initial', initial);
  mustBeFunction('evolve', evolve);
  if (encode === undefined && decode === undefined) return Object.freeze({ name, version, initial, evolve });
  if (encode === undefined || decode === undefined) throw new TypeError('encode and decode must come together');
  mustBeFunction('encode', encode);
  mustBeFunction('decode', decode);
  return Object.freeze({ name, version, initial, evolve, encode, decode });
}

function checkName(name: string): void {
  mustBeString('name', name);
  if (PROJECTION_NAME.test(name) && name.length <= MAX_PROJECTION_NAME_LENGTH) return;
  const shown = name.slice(0, 100);
  throw new StoreError(
    'PROJECTION_INVALID',
    `the projection name ${JSON.stringify(shown)} is not allowed: expected a letter or digit, then letters, digits, ` +
      `dots, dashes or underscores, at most ${MAX_PROJECTION_NAME_LENGTH} in all`,
    { data: { name: shown } },
  );
}

function checkVersion(name: string, version: number): void {
  if (typeof version !== 'number') throw new TypeError('version must be a number');
  if (Number.isSafeInteger(version) && version >= 1) return;
  throw new StoreError(
    'PROJECTION_INVALID',
    `the version of the projection ${name} is ${version}, expected a whole number from 1 up`,
    { data: { name, version } },
  );
}
