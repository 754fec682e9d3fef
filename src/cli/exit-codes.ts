import { type ErrorCode, errorKinds, type ErrorKind } from '../errors.js';

/** Verification found damage, already printed; exit code 4. The message is one sentence. */
export class DamageFound extends Error {
  override readonly name = 'DamageFound';
  readonly hint: string;

  constructor(message: string, hint: string) {
    super(message);
    this.hint = hint;
  }
}

/** Signals that end a run gracefully, with their conventional exit codes (128 + signal number). */
export const interruptionExitCodes = { SIGINT: 130, SIGTERM: 143 } as const;

/** A signal that ends a run. */
export type InterruptionSignal = keyof typeof interruptionExitCodes;

/** Whether `name` is such a signal. */
export function isInterruptionSignal(name: unknown): name is InterruptionSignal {
  return typeof name === 'string' && Object.hasOwn(interruptionExitCodes, name);
}

/** Abort reason of the signal every command listens to. */
export class Interruption extends Error {
  override readonly name = 'Interruption';
  readonly by: InterruptionSignal;
  readonly exitCode: number;

  constructor(signal: InterruptionSignal) {
    super(`interrupted by ${signal}`);
    this.by = signal;
    this.exitCode = interruptionExitCodes[signal];
  }
}

/** A server does not run the command, which its client understood in another way; nothing is printed. */
export class CommandDeclined extends Error {
  override readonly name = 'CommandDeclined';
}

/** The command line is invalid; exit code 2. The message is one sentence. */
export class UsageError extends Error {
  override readonly name = 'UsageError';
  /** What to do about it; without one, the help of the command that was typed. */
  readonly hint: string | undefined;

  constructor(message: string, options: ErrorOptions & { readonly hint?: string } = {}) {
    super(message, options);
    this.hint = options.hint;
  }
}

/**
 * Exit codes; scripts rely on the numbers. One rule for all commands:
 *
 * - `usage`: the command line is wrong, regardless of what is in the store.
 * - `notFound`: what it names is not there: a reference, id, digest, layer, platform, metadata key,
 *   consumer, file, directory, store, backup, or an event or moment that has not come.
 * - `damage`: a store or backup is damaged, as the command met it or verification found it, or
 *   evidence does not hold: a proof, a signature, a checkpoint.
 * - `busy`: another process has the store or backup open, and had it after `--wait` too, or its
 *   server is stopping or runs too many commands.
 * - `failed`: everything else, also an archive that is damaged: it came from outside, and the store
 *   is as it was.
 */
export const exitCodes = { done: 0, failed: 1, usage: 2, notFound: 3, damage: 4, busy: 5 } as const;

/** The same for the help, a line each. */
export const exitCodesText: readonly string[] = [
  `${exitCodes.done} done, ${exitCodes.failed} failed, also for a bad archive, ${exitCodes.usage} wrong usage,`,
  `${exitCodes.notFound} what is asked for is not there, ${exitCodes.damage} damage, or evidence that does not hold,`,
  `${exitCodes.busy} busy: another process has the store open`,
];

const codesOfKinds: Readonly<Record<ErrorKind, keyof typeof exitCodes>> = {
  NotFound: 'notFound',
  InvalidParameter: 'failed',
  Conflict: 'failed',
  Unavailable: 'failed',
  Corrupt: 'damage',
  Internal: 'failed',
};

/** Errors whose exit code is not that of their kind. */
const exceptions: Readonly<Partial<Record<ErrorCode, keyof typeof exitCodes>>> = {
  TIME_OUT_OF_RANGE: 'notFound',
  STORE_LOCKED: 'busy',
  SERVER_BUSY: 'busy',
  // It was typed; with --utc it may be read in another zone than at first.
  TIME_INVALID: 'usage',
  // Evidence, or the store that it is about, is not what it should be.
  PROOF_INVALID: 'damage',
  SIGNATURE_INVALID: 'damage',
  CHECKPOINT_INVALID: 'damage',
  CHECKPOINT_FOREIGN: 'damage',
  CHECKPOINT_FORKED: 'damage',
};

/** Maps a store error to its exit code. */
export function exitCodeOfError(code: ErrorCode): number {
  return exitCodes[exceptions[code] ?? codesOfKinds[errorKinds[code]]];
}
