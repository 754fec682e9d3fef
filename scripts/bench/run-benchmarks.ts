import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { BenchContext, Benchmark, Measured } from './benchmark.js';

/** What came of one benchmark. */
export interface Outcome {
  readonly benchmark: Benchmark;
  readonly lines: readonly Measured[];
  /** Peers that were not measured, each with the reason. */
  readonly leftOut: readonly string[];
  /** Why it did not end; undefined when it did. */
  readonly error?: unknown;
}

/** Returns what came of a benchmark that is not to be judged: its sizes or its rounds are too small. */
export function withoutTargets(outcome: Outcome): Outcome {
  return { ...outcome, lines: outcome.lines.map((line) => ({ ...line, target: undefined, beside: undefined })) };
}

/** Runs `benchmarks` one after another, each in an empty directory of its own, and gives what came of each when it has ended. */
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
