import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import type { Benchmark, Measured } from './benchmark.js';
import { createBenchmark } from './cases/create.js';
import { loadBenchmark } from './cases/load.js';
import { memoryBenchmark } from './cases/memory.js';
import { openBenchmark } from './cases/open.js';
import { saveBenchmark } from './cases/save.js';
import { viewsBenchmark } from './cases/views.js';
import { formatJson, formatLine, formatSummary } from './report.js';

const BENCHMARKS: readonly Benchmark[] = [
  createBenchmark,
  openBenchmark,
  viewsBenchmark,
  loadBenchmark,
  memoryBenchmark,
  saveBenchmark,
];

/** Sizes of a quick look: enough to see a direction, too little to judge a target. */
const QUICK_SCALE = 0.1;

const USAGE = `usage: npm run bench -- [--quick] [--json] [NAME…]

  --quick   a tenth of the sizes: a direction, no verdict
  --json    one JSON object a line

${BENCHMARKS.map(({ name, about }) => `  ${name.padEnd(9)} ${about}`).join('\n')}`;

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    options: { quick: { type: 'boolean' }, json: { type: 'boolean' }, help: { type: 'boolean' } },
    allowPositionals: true,
  });
  const unknown = positionals.filter((name) => !BENCHMARKS.some((benchmark) => benchmark.name === name));
  if (values.help === true || unknown.length > 0) {
    if (unknown.length > 0) process.exitCode = 2;
    console.log(USAGE);
    return;
  }
  const chosen = BENCHMARKS.filter(({ name }) => positionals.length === 0 || positionals.includes(name));
  const scale = values.quick === true ? QUICK_SCALE : 1;
  const print = values.json === true ? formatJson : formatLine;
  const lines: Measured[] = [];
  const failures: string[] = [];
  for (const benchmark of chosen) {
    try {
      const measured = await runInScratch(benchmark, scale);
      for (const line of measured) console.log(print(line));
      lines.push(...measured);
    } catch (error) {
      console.error(`${benchmark.name} failed:`, error);
      failures.push(benchmark.name);
    }
  }
  // The summary goes where it does not disturb a program that reads the lines.
  const summary = `${formatSummary(lines, failures)}${scale === 1 ? '' : ' (a quick look: no verdict)'}`;
  if (values.json === true) console.error(summary);
  else console.log(`\n${summary}`);
  if (failures.length > 0) process.exitCode = 1;
}

async function runInScratch(benchmark: Benchmark, scale: number): Promise<readonly Measured[]> {
  const directory = await mkdtemp(join(tmpdir(), `imagelog-bench-${benchmark.name}-`));
  try {
    return await benchmark.run({ directory, scale, say: (text) => console.error(`${benchmark.name}: ${text}`) });
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

await main();
