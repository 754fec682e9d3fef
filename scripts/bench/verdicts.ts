import type { Measured } from './benchmark.js';
import { attainmentOf, judgedOf } from './statistics.js';
import { type NamedTarget, TARGETS } from './targets.js';

/** Verdict on a target. */
export interface Verdict {
  readonly target: NamedTarget;
  /** The judged median; undefined if not measured. */
  readonly figure: number | undefined;
  /** How far it exceeds the target: 1 just meets it, 2 is twice as good. */
  readonly attainment: number | undefined;
}

/** Returns the verdicts on `TARGETS` in order, each by its worst line. */
export function verdictsOf(lines: readonly Measured[]): Verdict[] {
  return Object.values(TARGETS).map((target) => {
    const [worst] = lines
      .filter((line) => line.target === target)
      .map((line) => ({ attainment: attainmentOf(line) ?? 0, figure: judgedOf(line)?.median }))
      .sort((a, b) => a.attainment - b.attainment);
    return { target, figure: worst?.figure, attainment: worst?.attainment };
  });
}
