import { writeFile } from 'node:fs/promises';
import type { Benchmark, Measured } from './benchmark.js';
import { appendPeersBenchmark } from './cases/append-peers.js';
import { appendBenchmark } from './cases/append.js';
import { atBenchmark } from './cases/at.js';
import { createBenchmark } from './cases/create.js';
import { daemonsCommandsBenchmark } from './cases/daemons-commands.js';
import { daemonsLoadBenchmark } from './cases/daemons-load.js';
import { daemonsSaveBenchmark } from './cases/daemons-save.js';
import { followBenchmark } from './cases/follow.js';
import { followersBenchmark } from './cases/followers.js';
import { getBenchmark } from './cases/get.js';
import { growthBenchmark } from './cases/growth.js';
import { historyBenchmark } from './cases/history.js';
import { integrityBenchmark } from './cases/integrity.js';
import { listingBenchmark } from './cases/listing.js';
import { loadBenchmark } from './cases/load.js';
import { memoryBenchmark } from './cases/memory.js';
import { openBenchmark } from './cases/open.js';
import { pastBenchmark } from './cases/past.js';
import { reopenBenchmark } from './cases/reopen.js';
import { replayBenchmark } from './cases/replay.js';
import { saveBenchmark } from './cases/save.js';
import { serveBenchmark } from './cases/serve.js';
import { serveFollowersBenchmark } from './cases/serve-followers.js';
import { startBenchmark } from './cases/start.js';
import { viewsBenchmark } from './cases/views.js';
import { diskBenchmark } from './cases/disk.js';
import { drawReport } from './chart/draw-report.js';
import { formatGrowth } from './growth-table.js';
import { formatMachine, type Machine, thisMachine } from './machine.js';
import { updatePage } from './markdown.js';
import { type BenchOptions, OPTIONS_USAGE, parseOptions } from './options.js';
import { formatJson, formatTable } from './report.js';
import { type Outcome, runBenchmarks } from './run-benchmarks.js';
import { formatSummary } from './summary.js';

const BENCHMARKS: readonly Benchmark[] = [
  createBenchmark,
  appendBenchmark,
  diskBenchmark,
  appendPeersBenchmark,
  openBenchmark,
  viewsBenchmark,
  getBenchmark,
  loadBenchmark,
  memoryBenchmark,
  saveBenchmark,
  startBenchmark,
  listingBenchmark,
  integrityBenchmark,
  daemonsCommandsBenchmark,
  daemonsLoadBenchmark,
  daemonsSaveBenchmark,
  serveBenchmark,
  historyBenchmark,
  atBenchmark,
  pastBenchmark,
  reopenBenchmark,
  replayBenchmark,
  followBenchmark,
  followersBenchmark,
  serveFollowersBenchmark,
  growthBenchmark,
];

const USAGE = `usage: npm run bench -- [--quick | --smoke] [OPTION…] [NAME…]

${OPTIONS_USAGE}

${BENCHMARKS.map(({ name, about }) => `  ${name.padEnd(14)} ${about}`).join('\n')}`;

/** Exit codes: a failed case, and wrong usage. A missed target is neither: this is not a test. */
const FAILED = 1;
const WRONG_USAGE = 2;

async function main(): Promise<void> {
  const options = optionsOf(process.argv.slice(2));
  if (options === undefined || options.help) {
    if (options === undefined) process.exitCode = WRONG_USAGE;
    console.log(USAGE);
    return;
  }
  const chosen = BENCHMARKS.filter(({ name }) => options.names.length === 0 || options.names.includes(name));
  const lines: Measured[] = [];
  const failures: string[] = [];
  const before = thisMachine();
  printMachine('before', before, options);
  for await (const outcome of runBenchmarks(chosen, options.sizes, options)) {
    printOutcome(outcome, options);
    for (const line of outcome.lines) lines.push(line);
    if (outcome.error !== undefined) failures.push(outcome.benchmark.name);
  }
  printEnd(lines, failures, options);
  const after = thisMachine();
  printMachine('after', after, options);
  if (options.markdown !== undefined) await updatePage(options.markdown, { lines, before, after });
  if (options.svg !== undefined) await writeFile(options.svg, drawReport(lines));
  if (failures.length > 0) process.exitCode = FAILED;
}

/** Parses the options; prints the error and returns undefined if invalid. */
function optionsOf(argv: readonly string[]): BenchOptions | undefined {
  try {
    const options = parseOptions(argv);
    const unknown = options.names.filter((name) => !BENCHMARKS.some((benchmark) => benchmark.name === name));
    if (unknown.length > 0) throw new RangeError(`there is no benchmark ${unknown.join(', ')}`);
    return options;
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    return undefined;
  }
}

function printMachine(when: 'before' | 'after', machine: Machine, { json }: BenchOptions): void {
  console.log(json ? JSON.stringify({ machine: when, ...machine }) : formatMachine(when, machine));
}

function printOutcome({ benchmark, lines, leftOut, error }: Outcome, { json }: BenchOptions): void {
  if (json) for (const line of lines) console.log(formatJson(line));
  else console.log(['', benchmark.about, ...formatTable(lines), ...leftOut.map((line) => `  ${line}`)].join('\n'));
  // Keep human-readable lines out of JSON output.
  if (json) for (const line of leftOut) console.error(`${benchmark.name}: ${line}`);
  if (error !== undefined) console.error(`${benchmark.name} failed:`, error);
}

function printEnd(
  lines: readonly Measured[],
  failures: readonly string[],
  { json, isJudged, names }: BenchOptions,
): void {
  const summary = formatSummary({ lines, failures, isWhole: names.length === 0, isJudged });
  if (json) console.error(summary.join('\n'));
  else console.log(['', ...formatGrowth(lines), ...summary].join('\n'));
}

await main();
