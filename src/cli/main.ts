#!/usr/bin/env node
import module from 'node:module';
import { join } from 'node:path';
import { Interruption, interruptionExitCodes, type InterruptionSignal } from './exit-codes.js';

// From Node 22 on, compiled code is kept for the next command. Not in the directory for temporary files, as Node would
// have it: there others could put code into our way.
const { enableCompileCache } = module as { enableCompileCache?(directory: string): unknown };
const cache = process.env['XDG_CACHE_HOME'] || (process.env['HOME'] && join(process.env['HOME'], '.cache'));
if (cache) enableCompileCache?.(join(cache, 'imagelog'));

const controller = new AbortController();

for (const signal of Object.keys(interruptionExitCodes) as InterruptionSignal[]) {
  process.on(signal, () => {
    // Once: stop in order and leave nothing half done. Twice: the user has waited enough.
    if (controller.signal.aborted) process.exit(interruptionExitCodes[signal]);
    controller.abort(new Interruption(signal));
  });
}

// Loaded now, so that its compiled code is kept too.
const { run } = await import('./run.js');
let isInputUsed = false;
process.exitCode = await run(process.argv.slice(2), {
  // Made when a command reads it: most do not.
  get stdin() {
    isInputUsed = true;
    return process.stdin;
  },
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  now: Date.now,
  signal: controller.signal,
});
// A standard input that was not read to its end would keep the process alive.
if (isInputUsed) process.stdin.destroy();
