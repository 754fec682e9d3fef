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

/** Prints the milliseconds of the import alone. */
const IMPORT = `const start = performance.now(); await import(${JSON.stringify(LIBRARY.href)}); console.log(performance.now() - start)`;
/** Prints the milliseconds from the import to the end of the first use: code that an import leaves for later is in it. */
const FIRST_OPEN = `const start = performance.now(); const { openStore } = await import(${JSON.stringify(LIBRARY.href)});
await (await openStore(process.argv[1], { layers: 'none' })).close(); console.log(performance.now() - start)`;

/**
 * Fresh processes: the import of the library alone, with the first open and close of an empty store, and as a whole process, as is `--help`,
 * against a node that does nothing.
 */
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

/** What a module prints that a fresh process runs. */
async function printedBy(source: string, ...args: readonly string[]): Promise<number> {
  return Number((await run(process.execPath, ['--input-type=module', '-e', source, ...args])).stdout);
}

async function millisecondsOf(...args: readonly string[]): Promise<number> {
  return 1_000 * (await secondsOf(() => run(process.execPath, args)));
}
