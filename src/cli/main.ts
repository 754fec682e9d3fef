#!/usr/bin/env node
import module from 'node:module';
import { join } from 'node:path';
import { Interruption, interruptionExitCodes, type InterruptionSignal } from './exit-codes.js';

// Node 22+ caches compiled code for the next run. Not in the temporary directory (Node's default),
// where other users could plant code.
const { enableCompileCache } = module as { enableCompileCache?(directory: string): unknown };
const cache = process.env['XDG_CACHE_HOME'] || (process.env['HOME'] && join(process.env['HOME'], '.cache'));
if (cache) enableCompileCache?.(join(cache, 'imagelog'));

const controller = new AbortController();
let areInterruptsIgnored = false;

for (const signal of Object.keys(interruptionExitCodes) as InterruptionSignal[]) {
  process.on(signal, () => {
    if (signal === 'SIGINT' && areInterruptsIgnored) return;
    // First signal: stop gracefully, leaving nothing half done. Second: exit immediately.
    if (controller.signal.aborted) process.exit(interruptionExitCodes[signal]);
    controller.abort(new Interruption(signal));
  });
}

// Imported dynamically so that its compiled code is cached too.
const { run } = await import('./run.js');
let isInputUsed = false;
process.exitCode = await run(process.argv.slice(2), {
  // Lazy: most commands never read it.
  get stdin() {
    isInputUsed = true;
    return process.stdin;
  },
  stdout: process.stdout,
  stderr: process.stderr,
  env: process.env,
  now: Date.now,
  ignoreInterrupts: (areIgnored) => {
    areInterruptsIgnored = areIgnored;
  },
  signal: controller.signal,
});
// Unread standard input would keep the process alive.
if (isInputUsed) process.stdin.destroy();
