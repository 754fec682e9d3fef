import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BenchContext, Benchmark, Measured } from './benchmark.js';
import { titleOf } from './report.js';
import { isTooWide } from './statistics.js';

/** Outcome of one benchmark. */
export interface Outcome {
  readonly benchmark: Benchmark;
  readonly lines: readonly Measured[];
  /** Skipped peers with reasons. */
  readonly leftOut: readonly string[];
  readonly error?: unknown;
}

type Sizes = Omit<BenchContext, 'directory' | 'say' | 'leaveOut'>;

/**
 * Runs `benchmarks` sequentially, each in its own empty directory, and yields the outcomes. If
 * `isJudged`, a case with a judged line whose range is too wide is run again, up to `repeats` times;
 * otherwise lines have no targets, since sizes or rounds are too small.
 */
export async function* runBenchmarks(
  benchmarks: readonly Benchmark[],
  sizes: Sizes,
  { isJudged, repeats }: { readonly isJudged: boolean; readonly repeats: number },
): AsyncGenerator<Outcome> {
  for (const benchmark of benchmarks) {
    const first = await runOnce(benchmark, sizes);
    yield isJudged ? await narrowed(first, sizes, repeats) : withoutTargets(first);
  }
}

async function runOnce(benchmark: Benchmark, sizes: Sizes): Promise<Outcome> {
  const leftOut: string[] = [];
  const directory = await mkdtemp(join(tmpdir(), `imagelog-bench-${benchmark.name}-`));
  const context: BenchContext = {
    ...sizes,
    directory,
    say: (text) => console.error(`${benchmark.name}: ${text}`),
    leaveOut: (what, reason) => leftOut.push(`${what} is left out: ${reason}`),
  };
  try {
    const lines = await benchmark.run(context);
    for (const line of lines) mustHaveNumbers(line);
    return { benchmark, lines, leftOut };
  } catch (error) {
    return { benchmark, lines: [], leftOut, error };
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

/** Runs the case again while a range is too wide; what was kept for later runs is not made again. */
async function narrowed(first: Outcome, sizes: Sizes, repeats: number): Promise<Outcome> {
  const { benchmark } = first;
  let outcome = first;
  for (let repeat = 1; repeat <= repeats && outcome.error === undefined; repeat++) {
    const wide = outcome.lines.filter(isTooWide);
    if (wide.length === 0) break;
    console.error(`${benchmark.name}: measures again, too wide a range: ${wide.map(titleOf).join('; ')}`);
    const again = await runOnce(benchmark, { ...sizes, fresh: false });
    const lines = again.error === undefined ? joinRounds(outcome.lines, again.lines, repeat) : outcome.lines;
    outcome = { ...again, lines };
  }
  return outcome;
}

/** Adds the rounds of a repeat to the lines; the repeat has the same lines. */
export function joinRounds(lines: readonly Measured[], again: readonly Measured[], repeats: number): Measured[] {
  // The table shows our side once where lines share it, so they share the joined one too.
  const ours = new Map<Measured['ours'], Measured['ours']>();
  return lines.map((line, index) => {
    const other = again[index];
    if (other?.name !== line.name || other.size !== line.size || other.peer?.name !== line.peer?.name)
      throw new RangeError(`${line.name} was not measured again`);
    const joined = ours.get(line.ours) ?? [...line.ours, ...other.ours];
    ours.set(line.ours, joined);
    const peer =
      line.peer === undefined
        ? undefined
        : { ...line.peer, values: [...line.peer.values, ...(other.peer?.values ?? [])] };
    return { ...line, ours: joined, peer, repeats };
  });
}

/** A case that lost its input would give NaN, and be met or missed by chance. */
function mustHaveNumbers({ name, ours, peer }: Measured): void {
  const figures = [...ours, ...(peer?.values ?? [])];
  const numbers = figures.flatMap((figure) => (typeof figure === 'number' ? figure : [figure.wall, figure.cpu]));
  if (ours.length === 0 || !numbers.every(Number.isFinite)) throw new RangeError(`${name} has no numbers`);
  if (peer !== undefined && peer.values.length !== ours.length)
    throw new RangeError(`${name} has rounds without a pair`);
}

function withoutTargets(outcome: Outcome): Outcome {
  return { ...outcome, lines: outcome.lines.map((line) => ({ ...line, target: undefined, beside: undefined })) };
}
