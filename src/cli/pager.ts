import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { Writable } from 'node:stream';
import type { PagerStream } from './command-files.js';
import type { CommandContext } from './context.js';
import { type CliIo, Output, OutputClosed, OutputFailed, type OutputStream } from './output.js';

/** For less, unless $LESS says more: quit if all fits, keep colors, leave the text on the screen. */
const LESS = 'FRX';

/** Exit codes of a shell that could not run the command. */
const NOT_RUN: readonly unknown[] = [126, 127];

/**
 * Returns the shell command that shows a long answer: `$IMAGELOG_PAGER`, else `$PAGER`, else `less`
 * if it is there. Undefined for none: an empty variable or `cat`.
 */
export function pagerCommand(env: CliIo['env']): string | undefined {
  const named = env['IMAGELOG_PAGER'] ?? env['PAGER'];
  if (named !== undefined) return named.trim() === '' || named.trim() === 'cat' ? undefined : named;
  return (env['PATH'] ?? '').split(delimiter).some((folder) => isExecutable(join(folder, 'less'))) ? 'less' : undefined;
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/**
 * Runs `show` with the standard output going to a pager, if there is one, which starts with the
 * first line. Returns when the pager has ended; one that the user quits early ends `show` quietly.
 * @throws {OutputFailed} if the pager cannot be run
 */
export async function throughPager(
  context: CommandContext,
  show: (context: CommandContext) => Promise<void>,
): Promise<void> {
  const { client, env } = context.io;
  const command = client === undefined ? pagerCommand(env) : client.pager;
  if (command === undefined) return show(context);
  const stream: PagerStream =
    client === undefined ? new PagerProcess(command, context.out.columns ?? 0, context.io) : client.openPager();
  const out = new Output(stream);
  const signal = AbortSignal.any([context.signal, out.closed]);
  try {
    await show({ ...context, out, signal });
  } catch (error) {
    // An abort takes precedence over errors it caused.
    if (!(out.closed.reason instanceof OutputClosed) || context.signal.aborted) throw error;
  } finally {
    await out.flush();
    await stream.leave();
  }
  if (NOT_RUN.includes(stream.exitCode)) {
    throw new OutputFailed(`cannot write the output: no pager ${command}; --no-pager does without`);
  }
}

/** A terminal of `columns` columns that a pager owns, which starts with the first bytes. */
export class PagerProcess extends Writable implements OutputStream {
  readonly isTTY = true;
  readonly columns: number;
  readonly #command: string;
  readonly #io: Pick<CliIo, 'env' | 'ignoreInterrupts'>;
  #child: ChildProcess | undefined;
  #ended: Promise<unknown> | undefined;

  constructor(command: string, columns: number, io: Pick<CliIo, 'env' | 'ignoreInterrupts'>) {
    super({ decodeStrings: true });
    this.columns = columns;
    this.#command = command;
    this.#io = io;
  }

  get exitCode(): number | null | undefined {
    return this.#child?.exitCode;
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error | null) => void): void {
    // A flush alone, as before an error, starts no pager.
    if (this.#child === undefined && chunk.length === 0) {
      done();
      return;
    }
    this.#child ??= this.#start();
    const { stdin } = this.#child;
    if (stdin === null) done(gone());
    else if (stdin.write(chunk)) done();
    else this.#whenDrained(stdin, done);
  }

  #whenDrained(stdin: Writable, done: (error?: Error | null) => void): void {
    const finish = (): void => {
      stdin.off('drain', finish);
      stdin.off('close', finish);
      done(stdin.destroyed ? gone() : null);
    };
    stdin.once('drain', finish);
    stdin.once('close', finish);
  }

  #start(): ChildProcess {
    const { env } = this.#io;
    const child = spawn(this.#command, {
      shell: true,
      stdio: ['pipe', 'inherit', 'inherit'],
      env: { ...env, LESS: env['LESS'] ?? LESS },
    });
    // Ctrl-C belongs to the pager: it may end a search there, and a second one must not end us first.
    this.#io.ignoreInterrupts?.(true);
    const lost = (): void => {
      this.destroy(gone());
    };
    child.stdin?.on('error', lost);
    child.once('error', lost);
    this.#ended = once(child, 'close').catch(() => undefined);
    child.once('exit', lost);
    return child;
  }

  /** Ends its input and waits until the pager has ended. */
  async leave(): Promise<void> {
    if (this.#child === undefined) return;
    this.#child.stdin?.end();
    await this.#ended;
    this.#io.ignoreInterrupts?.(false);
  }
}

/** The user quit the pager, which is no failure. */
function gone(): Error {
  return Object.assign(new Error('the pager has ended'), { code: 'EPIPE' });
}
