import { hostname, userInfo } from 'node:os';
import { Subject } from 'rxjs';
import { mustBeBoolean, mustBeObject, mustBeSignal, mustBeString, mustBeText } from '../argument-types.js';
import { checkKeyName } from '../keys/checkpoint-signer.js';
import { checkOrigin } from '../../log/origin.js';
import { originOf } from '../write/envelope.js';
import type { OpenOptions } from '../event-store.js';

/** Options whose actor is known and allowed, with a place for notices. */
export type CheckedOptions = OpenOptions & {
  readonly actor: string;
  readonly snapshotEvery: number;
  readonly onNotice: (notice: string) => void;
};

/** Events after which a snapshot is written, when the caller does not say: folding as many takes a quarter of a second. */
const SNAPSHOT_EVERY = 50_000;

/**
 * Returns the options of `openStore` with its actor, `user@host` when they name none. Nothing is made or read for it.
 * @throws {TypeError} naming the option that is of the wrong type
 * @throws {StoreError} ORIGIN_INVALID; KEY_FOREIGN when the signer is of another origin; ENVELOPE_INVALID when the actor is empty, too long or no Unicode
 */
export function checkOpenOptions(directory: string, options: OpenOptions): CheckedOptions {
  mustBeString('directory', directory);
  mustBeText('directory', directory);
  mustBeObject('options', options);
  const { create, readOnly, useReserve, os, origin, signer, layers, now, onNotice, signal } = options;
  const { snapshotEvery = SNAPSHOT_EVERY } = options;
  mustBeBoolean('create', create);
  mustBeBoolean('readOnly', readOnly);
  mustBeBoolean('useReserve', useReserve);
  mustBeText('os', os);
  mustBeText('origin', origin);
  if (origin !== undefined) checkOrigin(origin);
  if (!isSigner(signer)) throw new TypeError('signer must be what readSigner gives');
  if (origin !== undefined && signer !== undefined) checkKeyName(signer.origin, origin);
  if (!areLayers(layers)) throw new TypeError("layers must be 'none' or an object with get and release");
  if (now !== undefined && typeof now !== 'function') throw new TypeError('now must be a function');
  if (!Number.isSafeInteger(snapshotEvery) || snapshotEvery < 0) {
    throw new TypeError('snapshotEvery must be a whole number, 0 or more');
  }
  if (onNotice !== undefined && typeof onNotice !== 'function') throw new TypeError('onNotice must be a function');
  mustBeSignal('signal', signal);
  return {
    ...options,
    snapshotEvery,
    onNotice: subscribed(onNotice ?? warn),
    actor: originOf(options, defaultActor()).actor,
  };
}

// A subscriber like others: what it throws is an uncaught exception in a later turn, and does not fail what gave the notice.
function subscribed(onNotice: (notice: string) => void): (notice: string) => void {
  const notices$ = new Subject<string>();
  notices$.subscribe(onNotice);
  return (notice) => notices$.next(notice);
}

function warn(notice: string): void {
  process.emitWarning(notice, 'ImagelogNotice');
}

function areLayers(value: unknown): boolean {
  if (value === undefined || value === 'none') return true;
  const { get, release } = Object(value) as Record<string, unknown>;
  return typeof get === 'function' && typeof release === 'function';
}

function isSigner(value: unknown): boolean {
  if (value === undefined) return true;
  const { origin, verifierKey, check, sign } = Object(value) as Record<string, unknown>;
  return (
    [origin, verifierKey].every((each) => typeof each === 'string') &&
    [check, sign].every((each) => typeof each === 'function')
  );
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
