import module from 'node:module';
import { Interruption, interruptionExitCodes, type InterruptionSignal } from './exit-codes.js';

// Node 22.8 and newer keep compiled code from one run to the next; what is imported above is compiled before.
(module as { readonly enableCompileCache?: () => unknown }).enableCompileCache?.();
const { run } = await import('./run.js');

const controller = new AbortController();

for (const signal of Object.keys(interruptionExitCodes) as InterruptionSignal[]) {
  process.on(signal, () => {
    // Once: stop in order and leave nothing half done. Twice: the user has waited enough.
    if (controller.signal.aborted) process.exit(interruptionExitCodes[signal]);
    controller.abort(new Interruption(signal));
  });
}

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
