import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { BenchContext, Benchmark, Measured } from './benchmark.js';
import { atBenchmark } from './cases/at.js';
import { createBenchmark } from './cases/create.js';
import { followBenchmark } from './cases/follow.js';
import { followersBenchmark } from './cases/followers.js';
import { historyBenchmark } from './cases/history.js';
import { loadBenchmark } from './cases/load.js';
import { memoryBenchmark } from './cases/memory.js';
import { openBenchmark } from './cases/open.js';
import { reopenBenchmark } from './cases/reopen.js';
import { saveBenchmark } from './cases/save.js';
import { viewsBenchmark } from './cases/views.js';
import { formatGrowth, formatJson, formatLine, formatSummary } from './report.js';

const BENCHMARKS: readonly Benchmark[] = [
  createBenchmark,
  openBenchmark,
  viewsBenchmark,
  loadBenchmark,
  memoryBenchmark,
  saveBenchmark,
  historyBenchmark,
  atBenchmark,
  reopenBenchmark,
  followBenchmark,
  followersBenchmark,
];

/** Sizes of a quick look: enough to see a direction, too little to judge a target. */
const QUICK_SCALE = 0.1;
/** Events of the logs that are asked; a quick look asks the first only. */
const LOG_SIZES = [10_000, 100_000, 1_000_000] as const;

const USAGE = `usage: npm run bench -- [--quick] [--fresh] [--json] [NAME…]

  --quick   a tenth of the sizes, and the smallest log: a direction, no verdict
  --fresh   make the logs again that an earlier run left in the folder for temporary files
  --json    one JSON object a line

${BENCHMARKS.map(({ name, about }) => `  ${name.padEnd(9)} ${about}`).join('\n')}`;

const OPTIONS = {
  quick: { type: 'boolean' },
  fresh: { type: 'boolean' },
  json: { type: 'boolean' },
  help: { type: 'boolean' },
} as const;

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({ options: OPTIONS, allowPositionals: true });
  const unknown = positionals.filter((name) => !BENCHMARKS.some((benchmark) => benchmark.name === name));
  if (values.help === true || unknown.length > 0) {
    if (unknown.length > 0) process.exitCode = 2;
    console.log(USAGE);
    return;
  }
  const chosen = BENCHMARKS.filter(({ name }) => positionals.length === 0 || positionals.includes(name));
  const quick = values.quick === true;
  const sizes = { scale: quick ? QUICK_SCALE : 1, logSizes: quick ? LOG_SIZES.slice(0, 1) : LOG_SIZES };
  const print = values.json === true ? formatJson : formatLine;
  const lines: Measured[] = [];
  const failures: string[] = [];
  for (const benchmark of chosen) {
    try {
      const measured = await runInScratch(benchmark, { ...sizes, fresh: values.fresh === true });
      for (const line of measured) console.log(print(line));
      lines.push(...measured);
    } catch (error) {
      console.error(`${benchmark.name} failed:`, error);
      failures.push(benchmark.name);
    }
  }
  // The summary goes where it does not disturb a program that reads the lines.
  const summary = `${formatSummary(lines, failures)}${quick ? ' (a quick look: no verdict)' : ''}`;
  if (values.json === true) console.error(summary);
  else console.log(['', ...formatGrowth(lines), summary].join('\n'));
  if (failures.length > 0) process.exitCode = 1;
}

async function runInScratch(
  benchmark: Benchmark,
  options: Omit<BenchContext, 'directory' | 'say'>,
): Promise<readonly Measured[]> {
  const directory = await mkdtemp(join(tmpdir(), `imagelog-bench-${benchmark.name}-`));
  try {
    return await benchmark.run({ directory, ...options, say: (text) => console.error(`${benchmark.name}: ${text}`) });
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

await main();
