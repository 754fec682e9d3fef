import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { Benchmark, Measured } from '../benchmark.js';
import { formatSize } from '../format-number.js';
import { grownStore } from '../inputs/grown-store.js';
import { PROGRAM } from '../program.js';
import { type Figure, interleave, type Timed, timeOf } from '../rounds.js';
import { TARGETS } from '../targets.js';

const IMAGES = 20_000;

/** Seconds from the start of a process to its first line, and to its end. */
interface Listed {
  readonly first: number;
  readonly whole: Timed;
}

/** Long lists of the command line, as tables and as JSON, into a pipe; and when they begin. */
export const listingBenchmark: Benchmark = {
  name: 'listing',
  about: 'imagelog images and log of many images, as tables against JSON; and their first line, against stats',
  async run(context) {
    const images = IMAGES * context.scale;
    const store = await grownStore(images, context);
    const list = (...args: readonly string[]) => listed(['--store', store, ...args]);
    const taken = await interleave(context.rounds, {
      stats: () => list('stats'),
      imagesTable: () => list('images'),
      imagesJson: () => list('images', '--json'),
      logTable: () => list('log'),
      logJson: () => list('log', '--json'),
    });
    const whole = (side: readonly Listed[]): Figure[] => side.map((each) => each.whole);
    const first = (side: readonly Listed[]): Figure[] => side.map((each) => each.first);
    const of = `of ${formatSize(images)}`;
    const table = (name: string, rows: readonly Listed[], json: readonly Listed[]): Measured => ({
      name: `imagelog ${name} ${of}`,
      unit: 's',
      ours: whole(rows),
      peer: { name: `imagelog ${name} --json`, values: whole(json) },
      target: name === 'images' ? TARGETS.imagesToJson : TARGETS.logToJson,
    });
    const begin = (name: string, side: readonly Listed[]): Measured => ({
      name: `first line of imagelog ${name} ${of}`,
      unit: 's',
      ours: first(side),
      peer: { name: 'imagelog stats', values: whole(taken.stats).map((each) => (each as Timed).wall) },
      target: TARGETS.firstLine,
    });
    return [
      table('images', taken.imagesTable, taken.imagesJson),
      table('log', taken.logTable, taken.logJson),
      begin('images', taken.imagesTable),
      begin('log', taken.logTable),
    ];
  },
};

/** Runs the program into a pipe that is read as fast as it is written. */
async function listed(args: readonly string[]): Promise<Listed> {
  const start = performance.now();
  let first: number | undefined;
  const whole = await timeOf(async () => {
    const child = spawn(process.execPath, [PROGRAM, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
    let said = '';
    child.stderr.on('data', (chunk: Buffer) => {
      said += chunk.toString();
    });
    child.stdout.on('data', () => {
      first ??= (performance.now() - start) / 1_000;
    });
    const [code] = await once(child, 'close');
    if (code !== 0) throw new RangeError(`imagelog ${args.join(' ')} ended with ${code}: ${said}`);
  });
  if (first === undefined) throw new RangeError(`imagelog ${args.join(' ')} printed nothing`);
  return { first, whole };
}
