import type { ExecutionContext } from 'ava';
import fc from 'fast-check';

/** Inputs of a target in a run of CI; FUZZ_RUNS asks for more. */
const RUNS = 400;
/** What one input may take of a processor, on a slow machine too. None of them is large. */
const MOST_CPU_MS = 20_000;
/** What the process may hold more after an input than before the first: buffers that a length in a header asked for. */
const MOST_GROWTH_BYTES = 512 * 1024 * 1024;

/**
 * Runs `property` on inputs. Fails when it throws, takes long, or the process grows, and prints the seed: FUZZ_SEED runs the same
 * inputs again, FUZZ_RUNS as many of them as asked for.
 */
export async function fuzz<Input>(
  t: ExecutionContext,
  inputs: fc.Arbitrary<Input>,
  property: (input: Input) => void | Promise<void>,
  runs = RUNS,
): Promise<void> {
  const { FUZZ_RUNS, FUZZ_SEED } = process.env;
  const seed = FUZZ_SEED === undefined ? Date.now() % 2 ** 31 : Number(FUZZ_SEED);
  t.log(`FUZZ_SEED=${seed}`);
  if (FUZZ_RUNS !== undefined) t.timeout(2 ** 31 - 1);
  const before = heldBytes();
  const checked = fc.asyncProperty(inputs, async (input) => {
    const begin = process.cpuUsage();
    await property(input);
    const { user, system } = process.cpuUsage(begin);
    if (user + system > MOST_CPU_MS * 1_000) throw new Error(`an input took ${user + system} µs of a processor`);
    const growth = heldBytes() - before;
    if (growth > MOST_GROWTH_BYTES) throw new Error(`the process grew by ${growth} bytes`);
  });
  await fc.assert(checked, { seed, numRuns: FUZZ_RUNS === undefined ? runs : Number(FUZZ_RUNS) });
  t.pass();
}

function heldBytes(): number {
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}
