import type { Measured } from './benchmark.js';
import { type Judged, judgedOf } from './statistics.js';
import { type NamedTarget, TARGETS } from './targets.js';

/** Verdict on a target. */
export interface Verdict {
  readonly target: NamedTarget;
  /** The line that is furthest from it; undefined if not measured. */
  readonly line: Measured | undefined;
  /** Its numbers by each clock of the target; empty if not measured. */
  readonly judged: readonly Judged[];
}

/** Returns the verdicts on `TARGETS` in order, each by its worst line. */
export function verdictsOf(lines: readonly Measured[]): Verdict[] {
  return Object.values(TARGETS).map((target) => {
    const [worst] = lines
      .filter((line) => line.target === target)
      .map((line) => ({ line, judged: judgedOf(line) }))
      .sort((a, b) => worstOf(a.judged).attainment - worstOf(b.judged).attainment);
    return { target, line: worst?.line, judged: worst?.judged ?? [] };
  });
}

/** Returns the number that is furthest from its target; `judged` must not be empty. */
export function worstOf(judged: readonly Judged[]): Judged {
  return judged.reduce((worst, each) => (each.attainment < worst.attainment ? each : worst));
}
