import { type ErrorCode, type ErrorKind, errorKinds } from '../errors.js';

/** What the run tells its caller; scripts rely on the numbers. */
export const exitCodes = { done: 0, failed: 1, usage: 2, notFound: 3, damage: 4 } as const;

/** Errors that say that evidence does not hold: for whoever checks it they are damage, whoever made the mistake. */
const damagedEvidence: ReadonlySet<ErrorCode> = new Set(['PROOF_INVALID', 'SIGNATURE_INVALID']);

/** Returns the exit code of an error of the store. */
export function exitCodeOfError(code: ErrorCode): number {
  return damagedEvidence.has(code) ? exitCodes.damage : exitCodeOfKind(errorKinds[code]);
}

function exitCodeOfKind(kind: ErrorKind): number {
  switch (kind) {
    case 'NotFound':
      return exitCodes.notFound;
    case 'Corrupt':
      return exitCodes.damage;
    case 'InvalidParameter':
    case 'Conflict':
    case 'Unavailable':
    case 'Internal':
      return exitCodes.failed;
  }
}
