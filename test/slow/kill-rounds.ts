import type { ChildProcess } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';

/** Random numbers that are the same for the same seed. */
export class SeededRandom {
  readonly seed: string;
  #count = 0;

  /** Takes the seed from KILL_SEED, so that a run that failed can be run again; else a new one. */
  constructor(seed: string = process.env.KILL_SEED ?? randomBytes(6).toString('hex')) {
    this.seed = seed;
  }

  /** A whole number from 0 up to and without `end`. */
  below(end: number): number {
    const hash = createHash('sha256')
      .update(`${this.seed} ${this.#count++}`)
      .digest();
    return hash.readUInt32BE() % end;
  }
}

/** Kills a process after a time, in ms. The moment is the experiment: nothing waits for it. */
export function killAfter(child: ChildProcess, delayMs: number): void {
  if (delayMs === 0) child.kill('SIGKILL');
  else setTimeout(() => child.kill('SIGKILL'), delayMs);
}
