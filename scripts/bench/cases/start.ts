import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { openStore } from '../../../src/index.js';
import type { Benchmark } from '../benchmark.js';
import { interleave, secondsOf, twiceAsMany } from '../rounds.js';
import { TARGETS } from '../targets.js';

const run = promisify(execFile);

const LIBRARY = new URL('../../../src/index.js', import.meta.url);
const PROGRAM = fileURLToPath(new URL('../../../src/cli/main.js', import.meta.url));

/** Prints the milliseconds of the import. */
const IMPORT = `const start = performance.now(); await import(${JSON.stringify(LIBRARY.href)}); console.log(performance.now() - start)`;
/** Prints the milliseconds from import to the end of first use, including deferred imports. */
const FIRST_OPEN = `const start = performance.now(); const { openStore } = await import(${JSON.stringify(LIBRARY.href)});
await (await openStore(process.argv[1], { layers: 'none' })).close(); console.log(performance.now() - start)`;

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

/** Runs a module in a fresh process and returns the number it prints. */
async function printedBy(source: string, ...args: readonly string[]): Promise<number> {
  return Number((await run(process.execPath, ['--input-type=module', '-e', source, ...args])).stdout);
}

async function millisecondsOf(...args: readonly string[]): Promise<number> {
  return 1_000 * (await secondsOf(() => run(process.execPath, args)));
}
