import { type ErrorCode, errorKinds } from '../errors.js';

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

export type InterruptionSignal = keyof typeof interruptionExitCodes;

/** Abort reason of the signal every command listens to. */
export class Interruption extends Error {
  override readonly name = 'Interruption';
  readonly exitCode: number;

  constructor(signal: InterruptionSignal) {
    super(`interrupted by ${signal}`);
    this.exitCode = interruptionExitCodes[signal];
  }
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

/** Exit codes; scripts rely on the numbers. */
export const exitCodes = { done: 0, failed: 1, usage: 2, notFound: 3, damage: 4, busy: 5 } as const;

/** Errors about evidence that does not verify: damage to the checking user, of any cause. */
const damagedEvidence: ReadonlySet<ErrorCode> = new Set(['PROOF_INVALID', 'SIGNATURE_INVALID']);

/** Maps a store error to its exit code. */
export function exitCodeOfError(code: ErrorCode): number {
  if (code === 'STORE_LOCKED') return exitCodes.busy;
  const kind = damagedEvidence.has(code) ? 'Corrupt' : errorKinds[code];
  if (kind === 'NotFound') return exitCodes.notFound;
  return kind === 'Corrupt' ? exitCodes.damage : exitCodes.failed;
}
