import type { Measured } from './benchmark.js';
import { attainmentOf, judgedOf } from './statistics.js';
import { type NamedTarget, TARGETS } from './targets.js';

/** What came of a target. */
export interface Verdict {
  readonly target: NamedTarget;
  /** The median that is judged; undefined when nothing measured it. */
  readonly figure: number | undefined;
  /** How far it is beyond the target: 1 just meets it, 2 is twice as good. */
  readonly attainment: number | undefined;
}

/** Returns what came of each of `TARGETS`, in their order: of the line that is furthest from it where there are several. */
export function verdictsOf(lines: readonly Measured[]): Verdict[] {
  return Object.values(TARGETS).map((target) => {
    const [worst] = lines
      .filter((line) => line.target === target)
      .map((line) => ({ attainment: attainmentOf(line) ?? 0, figure: judgedOf(line)?.median }))
      .sort((a, b) => a.attainment - b.attainment);
    return { target, figure: worst?.figure, attainment: worst?.attainment };
  });
}
