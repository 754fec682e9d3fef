import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { Interruption, interruptionExitCodes, type InterruptionSignal } from '../src/cli/exit-codes.js';
import { OutputClosed } from '../src/cli/output.js';
import { Stage } from './demo/stage.js';
import { tellStory } from './demo/story.js';

const USAGE = `Usage: npm run demo -- [--keep DIR]

Plays a week of a store. With --keep the store stays in DIR, which must be new or
empty, to try commands on.`;

/** Plays the demo and returns the exit code. A folder that is not kept is always removed. */
async function main(argv: readonly string[]): Promise<number> {
  const { keep, help } = optionsOf(argv);
  if (help === true) {
    console.log(USAGE);
    return 0;
  }
  const stage = new Stage({ stdout: process.stdout, env: process.env, signal: interruptions() });
  let isWhole = false;
  const directory = keep === undefined ? await mkdtemp(join(tmpdir(), 'imagelog-demo-')) : await emptyFolder(keep);
  try {
    await tellStory(stage, directory, { isKept: keep !== undefined });
    isWhole = true;
    return 0;
  } catch (error) {
    return exitCodeOf(error);
  } finally {
    // The story always closes its store, so nothing writes here after it.
    if (keep === undefined || !isWhole) await rm(directory, { recursive: true, force: true });
  }
}

function optionsOf(argv: readonly string[]): {
  readonly keep?: string | undefined;
  readonly help?: boolean | undefined;
} {
  const options = { keep: { type: 'string' }, help: { type: 'boolean' } } as const;
  return parseArgs({ args: [...argv], options }).values;
}

/** Creates `path` if it is missing. @throws if it holds anything: the demo never removes that */
async function emptyFolder(path: string): Promise<string> {
  const directory = resolve(path);
  await mkdir(directory, { recursive: true });
  const names = await readdir(directory);
  if (names.length > 0) throw new Error(`--keep ${path}: the folder is not empty`);
  return directory;
}

/** Returns a signal aborted by Ctrl-C, so that the folder is removed before exit. */
function interruptions(): AbortSignal {
  const controller = new AbortController();
  for (const signal of Object.keys(interruptionExitCodes) as InterruptionSignal[]) {
    process.on(signal, () => controller.abort(new Interruption(signal)));
  }
  return controller.signal;
}

function exitCodeOf(error: unknown): number {
  // `npm run demo | head` is not a failure.
  if (error instanceof OutputClosed) return 0;
  if (error instanceof Interruption) {
    console.error(`demo: ${error.message}; its folder is removed`);
    return error.exitCode;
  }
  console.error('demo: failed:', error);
  return 1;
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  console.error(`demo: ${error instanceof Error ? error.message : String(error)}`);
  console.error(USAGE);
  process.exitCode = 2;
}
