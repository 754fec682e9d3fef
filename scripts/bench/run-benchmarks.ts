import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BenchContext, Benchmark, Measured } from './benchmark.js';

/** Outcome of one benchmark. */
export interface Outcome {
  readonly benchmark: Benchmark;
  readonly lines: readonly Measured[];
  /** Skipped peers with reasons. */
  readonly leftOut: readonly string[];
  readonly error?: unknown;
}

/** Drops the targets of an outcome whose sizes or rounds are too small to judge. */
export function withoutTargets(outcome: Outcome): Outcome {
  return { ...outcome, lines: outcome.lines.map((line) => ({ ...line, target: undefined, beside: undefined })) };
}

/** Runs `benchmarks` sequentially, each in its own empty directory, and yields the outcomes. */
export async function* runBenchmarks(
  benchmarks: readonly Benchmark[],
  sizes: Omit<BenchContext, 'directory' | 'say' | 'leaveOut'>,
): AsyncGenerator<Outcome> {
  for (const benchmark of benchmarks) {
    const leftOut: string[] = [];
    const directory = await mkdtemp(join(tmpdir(), `imagelog-bench-${benchmark.name}-`));
    const context: BenchContext = {
      ...sizes,
      directory,
      say: (text) => console.error(`${benchmark.name}: ${text}`),
      leaveOut: (peer, reason) => leftOut.push(`${peer} is left out: ${reason}`),
    };
    try {
      yield { benchmark, lines: await benchmark.run(context), leftOut };
    } catch (error) {
      yield { benchmark, lines: [], leftOut, error };
    } finally {
      await rm(directory, { recursive: true, force: true });
    }
  }
}
