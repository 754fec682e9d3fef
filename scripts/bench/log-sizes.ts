import type { BenchContext, Measured } from './benchmark.js';

/** Runs `measure` for each log size. Targets apply to the largest only. */
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
