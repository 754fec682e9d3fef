import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { openStore } from '../../../src/index.js';
import type { Benchmark } from '../benchmark.js';
import { interleave, scaled, type Timed, timeOf, twiceAsMany } from '../rounds.js';
import { LIBRARY, PROGRAM } from '../program.js';
import { TARGETS } from '../targets.js';

const run = promisify(execFile);

/** Prints the milliseconds, by wall and processor time, from before the import to the end of `rest`. */
const timing = (rest: string): string => `const start = performance.now(), cpu = process.cpuUsage();
const { openStore } = await import(${JSON.stringify(LIBRARY.href)}); ${rest}
const { user, system } = process.cpuUsage(cpu);
console.log(JSON.stringify({ wall: performance.now() - start, cpu: (user + system) / 1e3 }));`;
const IMPORT = timing('');
/** First use, including deferred imports. */
const FIRST_OPEN = timing("await (await openStore(process.argv[1], { layers: 'none' })).close();");

/** Fresh processes: the import alone, with first open and close, and whole; also `--help`. */
export const startBenchmark: Benchmark = {
  name: 'start',
  about:
    'import of the library, with the first open too, and whole processes that import it and that show the help, beside `node -e 0`',
  async run({ rounds, directory }) {
    const empty = join(directory, 'empty');
    await (await openStore(empty, { layers: 'none' })).close();
    const milliseconds = await interleave(twiceAsMany(rounds), {
      node: () => millisecondsOf('-e', '0'),
      imported: () => printedBy(IMPORT),
      opened: () => printedBy(FIRST_OPEN, empty),
      library: () => millisecondsOf('--input-type=module', '-e', `import ${JSON.stringify(LIBRARY.href)}`),
      help: () => millisecondsOf(PROGRAM, '--help'),
    });
    const node = { name: 'node -e 0', values: milliseconds.node };
    return [
      { name: 'import of the library', unit: 'ms', ours: milliseconds.imported, target: TARGETS.importLibrary },
      { name: 'import and first open of an empty store', unit: 'ms', ours: milliseconds.opened },
      { name: 'a process that imports the library', unit: 'ms', ours: milliseconds.library, peer: node },
      { name: 'imagelog --help', unit: 'ms', ours: milliseconds.help, peer: node, target: TARGETS.help },
    ];
  },
};

/** Runs a module in a fresh process and returns the times it prints. */
async function printedBy(source: string, ...args: readonly string[]): Promise<Timed> {
  const { stdout } = await run(process.execPath, ['--input-type=module', '-e', source, ...args]);
  return JSON.parse(stdout) as Timed;
}

async function millisecondsOf(...args: readonly string[]): Promise<Timed> {
  return scaled(await timeOf(() => run(process.execPath, args)), 1_000);
}
