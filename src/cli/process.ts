import { isatty } from 'node:tty';
import { runAnywhere } from './client/run-anywhere.js';
import { commands } from './commands.js';
import { Interruption, interruptionExitCodes, type InterruptionSignal } from './exit-codes.js';

/**
 * Runs the command line of this process, which ends with its exit code. Resolves with the first
 * word that names a command; `help` without one.
 */
export async function runProcess(): Promise<string> {
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
  const argv = process.argv.slice(2);
  let isInputUsed = false;
  process.exitCode = await runAnywhere(argv, {
    // Lazy: most commands never read it.
    get stdin() {
      isInputUsed = true;
      return process.stdin;
    },
    get isInputTerminal() {
      return isatty(0);
    },
    stdout: process.stdout,
    stderr: process.stderr,
    env: process.env,
    now: Date.now,
    ignoreInterrupts: (areIgnored) => {
      areInterruptsIgnored = areIgnored;
    },
    onHangup: (listener) => process.on('SIGHUP', listener),
    signal: controller.signal,
  });
  // Unread standard input would keep the process alive.
  if (isInputUsed) process.stdin.destroy();
  const names = new Set(commands.flatMap(({ usage, aliases = [] }) => [usage.split(' ')[0], ...aliases]));
  return argv.find((word) => names.has(word)) ?? 'help';
}
