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
