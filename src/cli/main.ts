import { Interruption, interruptionExitCodes, type InterruptionSignal } from './exit-codes.js';
import { run } from './run.js';

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
