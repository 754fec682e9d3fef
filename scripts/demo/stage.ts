import { Readable, Writable } from 'node:stream';
import { Output, type OutputStream } from '../../src/cli/output.js';
import { displayWidth } from '../../src/cli/render/display-width.js';
import { printable } from '../../src/model/texts.js';
import { type Colors, colorsFor } from '../../src/cli/render/text.js';
import { run } from '../../src/cli/run.js';
import type { StoryClock } from './story-clock.js';
import { cutDigests } from './cut-digests.js';
import { wrapWords } from './wrap-words.js';

/** Columns of the demo, regardless of the terminal. */
export const STAGE_COLUMNS = 80;

const INDENT = '  ';

/** Environment of a stage. */
export interface StageOptions {
  readonly stdout: OutputStream;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Aborted to end the demo early. */
  readonly signal: AbortSignal;
}

/** Prints the demo: headings, narration, library calls with results, command line runs. */
export class Stage {
  readonly colors: Colors;
  readonly #output: Output;
  readonly #signal: AbortSignal;
  #acts = 0;

  constructor({ stdout, env, signal }: StageOptions) {
    this.colors = colorsFor(stdout, env, true);
    this.#output = new Output(stdout);
    this.#signal = signal;
  }

  /** Starts an act at the clock's time. @throws the signal's reason if aborted */
  act(title: string, clock: StoryClock): void {
    this.#signal.throwIfAborted();
    this.#acts += 1;
    const { bold, cyan, dim } = this.colors;
    const [name, time] = [`${this.#acts}  ${title} `, ` ${clock.text()}`];
    const rule = '─'.repeat(Math.max(0, STAGE_COLUMNS - displayWidth(name) - displayWidth(time)));
    this.line();
    this.line(`${bold(cyan(name))}${dim(rule + time)}`);
  }

  say(text: string): void {
    for (const line of wrapWords(text, STAGE_COLUMNS)) this.line(line);
  }

  call(lines: readonly string[]): void {
    for (const [at, line] of lines.entries()) this.line(this.colors.green(`${at === 0 ? '> ' : INDENT}${line}`));
  }

  result(text: string): void {
    for (const line of resultLines(text)) this.line(INDENT + line);
  }

  refusal({ code, message }: { readonly code: string; readonly message: string }): void {
    const [first = '', ...others] = resultLines(`${code}: ${message}`);
    this.line(INDENT + this.colors.red(code) + first.slice(code.length));
    for (const line of others) this.line(INDENT + line);
  }

  /**
   * Runs the command line on the store in `directory` at the clock's time, with the stage's width
   * and times in UTC. The store must be closed. Throws an Error if the run fails.
   */
  async commandLine(argv: readonly string[], directory: string, clock: StoryClock): Promise<void> {
    this.line(this.colors.green(`$ imagelog ${argv.join(' ')}`));
    const code = await run(argv, {
      stdin: Readable.from([]),
      stdout: this.#terminal(),
      stderr: this.#terminal(),
      env: { IMAGELOG_STORE: directory, [this.colors.isColorSupported ? 'FORCE_COLOR' : 'NO_COLOR']: '1' },
      now: clock.now,
      timeZone: 'UTC',
      signal: this.#signal,
    });
    this.#signal.throwIfAborted();
    if (code !== 0) throw new Error(`imagelog ${argv.join(' ')} ended with ${code}, expected 0`);
  }

  /** Resolves once all output has left the process. @throws {OutputClosed} without a reader */
  async flush(): Promise<void> {
    await this.#output.flush();
    this.#output.check();
  }

  /** @throws {OutputClosed} if the reader is gone */
  line(text = ''): void {
    this.#output.check();
    // No backpressure: the whole demo fits one pipe buffer.
    this.#output.stream.write(`${text}\n`);
  }

  // Fits the stage even in a file, which has no width.
  #terminal(): OutputStream {
    const target = this.#output.stream;
    const terminal = new Writable({
      write: (chunk: Uint8Array, _encoding, done) => {
        target.write(chunk);
        done();
      },
    });
    return Object.assign(terminal, { isTTY: true, columns: STAGE_COLUMNS });
  }
}

function resultLines(text: string): string[] {
  return wrapWords(cutDigests(printable(text)), STAGE_COLUMNS - INDENT.length);
}
