import { setTimeout as delay } from 'node:timers/promises';
import { isStoreError, StoreError } from '../errors.js';
import { SERVER_POLL_MS } from '../limits.js';
import { commands } from './commands.js';
import { parseWait, waitOf, withConfig } from './settings.js';
import { Interruption, interruptionExitCodes, type InterruptionSignal, UsageError } from './exit-codes.js';
import type { CliIo } from './output.js';
import type { Connection } from './client/connect.js';
import { type Target, targetOf } from './client/target.js';
import { isatty } from 'node:tty';

/** The I/O of a process that may leave its command to a server. */
export interface ClientIo extends CliIo {
  /** Whether the standard input is a keyboard; reading `stdin` itself opens it. */
  readonly isInputTerminal: boolean;
}

/** Runs a command line as `run` does: in the server that holds the store if there is one, else here. */
export async function runAnywhere(argv: readonly string[], io: ClientIo): Promise<number> {
  const code = await runOnServer(argv, io);
  if (code !== undefined) return code;
  // Most of what a command needs, a client does not.
  const { run } = await import('./run.js');
  let isServed = false;
  const onServerFound = (): void => {
    isServed = true;
  };
  const ownCode = await run(argv, withServerFound(io, onServerFound));
  if (!isServed) return ownCode;
  // It has started since.
  return (await runOnServer(argv, io)) ?? run(argv, io);
}

/** The same I/O, whose inputs are opened only when they are read. */
function withServerFound(io: ClientIo, onServerFound: () => void): ClientIo {
  return Object.defineProperties({} as ClientIo, {
    ...Object.getOwnPropertyDescriptors(io),
    onServerFound: { value: onServerFound, enumerable: true },
  });
}

/** As `runByServer`; prints a failure. */
async function runOnServer(argv: readonly string[], io: ClientIo): Promise<number | undefined> {
  try {
    return await runByServer(argv, io);
  } catch (error) {
    const { reportClientFailure } = await import('./failure.js');
    return reportClientFailure(error, io, argv, commands);
  }
}

/** Undefined for a command that this process runs. */
async function runByServer(argv: readonly string[], io: ClientIo): Promise<number | undefined> {
  const configured = configuredOf(io);
  if (configured === undefined) return undefined;
  const target = targetOf(argv, configured.env, commands);
  if (target === undefined) return undefined;
  const connection = await connected(argv, target, configured);
  if (connection === undefined) return undefined;
  const { runRemote } = await import('./client/run-remote.js');
  return runRemote(argv, { io: configured, isInputTerminal: io.isInputTerminal, target, connection });
}

/** Undefined if this process needs no server, or reports what is wrong with the configuration. */
function configuredOf(io: CliIo): CliIo | undefined {
  try {
    return withConfig(io);
  } catch (error) {
    if (error instanceof UsageError) return undefined;
    throw error;
  }
}

/**
 * Connects to the server, waiting for a busy one as `--wait` says. Undefined if the files of the
 * store will do: they answer, or tell who holds them.
 */
async function connected(argv: readonly string[], first: Target, io: CliIo): Promise<Connection | undefined> {
  const { connect } = await import('./client/connect.js');
  const startedAt = Date.now();
  // Read again each time: a server that stops takes its socket away.
  for (let target: Target | undefined = first; target !== undefined; target = targetOf(argv, io.env, commands)) {
    try {
      return await connect(target, io.env, io.signal);
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      if (target.isFound && (target.may === 'read' || error.code === 'SERVER_UNAVAILABLE')) return undefined;
      const waitMs = (target.wait === undefined ? undefined : parseWait(target.wait)) ?? waitOf(io.env);
      if (!isStoreError(error, 'SERVER_BUSY') || Date.now() - startedAt >= waitMs) throw error;
      await delay(SERVER_POLL_MS, undefined, { signal: io.signal }).catch(() => undefined);
    }
  }
  return undefined;
}

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
