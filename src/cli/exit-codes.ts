import { type ErrorCode, type ErrorKind, errorKinds } from '../errors.js';

/** Verification found damage, and every violation was said already; exit code 4. The message is one sentence for a person. */
export class DamageFound extends Error {
  override readonly name = 'DamageFound';
  /** What to do about it. */
  readonly hint: string;

  constructor(message: string, hint: string) {
    super(message);
    this.hint = hint;
  }
}

/** The signals that end a run in order, and the exit code each one gives by convention (128 + its number). */
export const interruptionExitCodes = { SIGINT: 130, SIGTERM: 143 } as const;

/** A signal that ends a run in order. */
export type InterruptionSignal = keyof typeof interruptionExitCodes;

/** Why a run was aborted: the reason of the AbortSignal that every command listens to. */
export class Interruption extends Error {
  override readonly name = 'Interruption';
  readonly exitCode: number;

  constructor(signal: InterruptionSignal) {
    super(`interrupted by ${signal}`);
    this.exitCode = interruptionExitCodes[signal];
  }
}

/** The command line asks for something that cannot be meant; exit code 2. The message is one sentence for a person. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
}

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
