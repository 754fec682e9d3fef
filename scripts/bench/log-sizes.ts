import type { BenchContext, Measured } from './benchmark.js';

/** Returns the lines that `measure` gives for a log of each size. Their targets are for the largest, and are judged there only. */
export async function atEachSize(
  { logSizes }: BenchContext,
  measure: (size: number) => Promise<readonly Measured[]>,
): Promise<Measured[]> {
  const lines: Measured[] = [];
  for (const size of logSizes) {
    const isJudged = size === logSizes.at(-1);
    for (const line of await measure(size)) {
      const { target, beside } = isJudged ? line : {};
      lines.push({ ...line, size, target, beside });
    }
  }
  return lines;
}
