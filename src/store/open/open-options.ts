import { hostname, userInfo } from 'node:os';
import { mustBeBoolean, mustBeObject, mustBeSignal, mustBeString, mustBeText } from '../argument-types.js';
import { originOf } from '../write/envelope.js';
import type { OpenOptions } from '../store.js';

/** Options whose actor is known and allowed. */
export type CheckedOptions = OpenOptions & { readonly actor: string };

/**
 * Returns the options of `openStore` with its actor, `user@host` when they name none. Nothing is made or read for it.
 * @throws {TypeError} naming the option that is of the wrong type
 * @throws {StoreError} ENVELOPE_INVALID when the actor is empty, too long or no Unicode
 */
export function checkOpenOptions(directory: string, options: OpenOptions): CheckedOptions {
  mustBeString('directory', directory);
  mustBeText('directory', directory);
  mustBeObject('options', options);
  const { create, readOnly, os, origin, layers, now, signal } = options;
  mustBeBoolean('create', create);
  mustBeBoolean('readOnly', readOnly);
  mustBeText('os', os);
  mustBeText('origin', origin);
  if (!areLayers(layers)) throw new TypeError("layers must be 'none' or an object with get and release");
  if (now !== undefined && typeof now !== 'function') throw new TypeError('now must be a function');
  mustBeSignal('signal', signal);
  return { ...options, actor: originOf(options, defaultActor()).actor };
}

function areLayers(value: unknown): boolean {
  if (value === undefined || value === 'none') return true;
  const { get, release } = Object(value) as Record<string, unknown>;
  return typeof get === 'function' && typeof release === 'function';
}

// A container may run as a user that has no name.
function defaultActor(): string {
  try {
    return `${userInfo().username}@${hostname()}`;
  } catch {
    // As the system's own tools show such a user.
    return `${process.getuid?.() ?? 'unknown'}@${hostname()}`;
  }
}
