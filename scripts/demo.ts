import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Interruption, interruptionExitCodes, type InterruptionSignal } from '../src/cli/exit-codes.js';
import { OutputClosed } from '../src/cli/output.js';
import { Stage } from './demo/stage.js';
import { tellStory } from './demo/story.js';

/** Plays the demo in a temporary folder, always removes it, and returns the exit code. */
async function main(): Promise<number> {
  const stage = new Stage({ stdout: process.stdout, env: process.env, signal: interruptions() });
  const directory = await mkdtemp(join(tmpdir(), 'imagelog-demo-'));
  try {
    await tellStory(stage, directory);
    return 0;
  } catch (error) {
    return exitCodeOf(error);
  } finally {
    // The story always closes its store, so nothing writes here after it.
    await rm(directory, { recursive: true, force: true });
  }
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

process.exitCode = await main();
