import type { ErrorKind } from '../errors.js';

/** What the run tells its caller; scripts rely on the numbers. */
export const exitCodes = { done: 0, failed: 1, usage: 2, notFound: 3, damage: 4 } as const;

/** Returns the exit code of an error of the store. */
export function exitCodeOfKind(kind: ErrorKind): number {
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
