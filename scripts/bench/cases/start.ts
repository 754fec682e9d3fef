import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Benchmark } from '../benchmark.js';
import { interleave, secondsOf } from '../rounds.js';
import { TARGETS } from '../targets.js';

const run = promisify(execFile);
// More than elsewhere: a process takes a fifth of a second, and how long differs more than what it does.
const ROUNDS = { warmUp: 1, counted: 15 };

const LIBRARY = new URL('../../../src/index.js', import.meta.url);
const PROGRAM = fileURLToPath(new URL('../../../src/cli/main.js', import.meta.url));

/** Fresh processes that import the library and that show the help, whole, against a node that does nothing. */
export const startBenchmark: Benchmark = {
  name: 'start',
  about: 'whole processes that import the library and that show the help, beside `node -e 0`',
  async run() {
    const milliseconds = await interleave(ROUNDS, {
      node: () => millisecondsOf('-e', '0'),
      library: () => millisecondsOf('--input-type=module', '-e', `import ${JSON.stringify(LIBRARY.href)}`),
      help: () => millisecondsOf(PROGRAM, '--help'),
    });
    const node = { name: 'node -e 0', values: milliseconds.node };
    return [
      {
        name: 'import of the library',
        unit: 'ms',
        ours: milliseconds.library,
        peer: node,
        target: TARGETS.importLibrary,
      },
      { name: 'imagelog --help', unit: 'ms', ours: milliseconds.help, peer: node, target: TARGETS.help },
    ];
  },
};

async function millisecondsOf(...args: readonly string[]): Promise<number> {
  return 1_000 * (await secondsOf(() => run(process.execPath, args)));
}
