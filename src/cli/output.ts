import type { Readable, Writable } from 'node:stream';
import { once } from 'node:events';

/** Where text goes: a stream that may be a terminal of `columns` columns. */
export type OutputStream = Writable & { readonly isTTY?: boolean; readonly columns?: number };

/** Where an archive may come from: a stream that may be a keyboard. */
type InputStream = Readable & { readonly isTTY?: boolean };

/** The surroundings of one run of the command line: all that it reads and writes beside files. */
export interface CliIo {
  readonly stdin: InputStream;
  readonly stdout: OutputStream;
  readonly stderr: OutputStream;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** IANA name of the zone of times in tables; the machine's own when absent. */
  readonly timeZone?: string | undefined;
  /** Aborted, with an Interruption as reason, when the user or the system wants the run to end. */
  readonly signal: AbortSignal;
}

const USUAL_COLUMNS = 80;

/** The reader of the output went away; a run that meets it ends quietly. */
export class OutputClosed extends Error {
  override readonly name = 'OutputClosed';
}

/** The output takes no more, as a full disk does. */
export class OutputFailed extends Error {
  override readonly name = 'OutputFailed';
}

/**
 * Lines to a stream at the pace of its reader. When the reader goes away
 * (`| head`), `closed` is aborted and the next line throws OutputClosed; when it fails
 * otherwise, OutputFailed.
 */
export class Output {
  readonly stream: OutputStream;
  readonly #closing = new AbortController();
  readonly #posted = new Set<string>();
  #failure: Error | undefined;

  constructor(stream: OutputStream) {
    this.stream = stream;
    stream.on('error', (error: Error) => {
      this.#failure = isBrokenPipe(error)
        ? new OutputClosed('the reader of the output is gone', { cause: error })
        : new OutputFailed(`cannot write the output: ${error.message}`, { cause: error });
      this.#closing.abort(this.#failure);
    });
  }

  /** Whether a person reads it. */
  get isTerminal(): boolean {
    return this.stream.isTTY === true;
  }

  /** Columns of the terminal, 80 when it does not know them; undefined when lines may have any length. */
  get columns(): number | undefined {
    return this.isTerminal ? this.stream.columns || USUAL_COLUMNS : undefined;
  }

  /** Aborted when nothing written from now on arrives. */
  get closed(): AbortSignal {
    return this.#closing.signal;
  }

  /**
   * Writes `text` and a line feed; resolves when more may be written.
   * @throws {OutputClosed} when the reader is gone
   * @throws {OutputFailed} when the stream takes no more
   */
  async line(text = ''): Promise<void> {
    this.check();
    if (this.stream.write(`${text}\n`)) return;
    await once(this.stream, 'drain', { signal: this.closed }).catch((error: unknown) => {
      this.check();
      throw error;
    });
  }

  /** Writes `text` and a line feed without waiting for the reader: for a word or two from a callback. Each text once. */
  post(text: string): void {
    if (this.#failure !== undefined || this.#posted.has(text)) return;
    this.#posted.add(text);
    this.stream.write(`${text}\n`);
  }

  /** Throws why the stream failed, if it did. */
  check(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Resolves when all that was written has left the process, or never will. */
  async flush(): Promise<void> {
    if (this.#failure !== undefined || this.stream.destroyed) return;
    await new Promise<void>((resolve) => this.stream.write('', () => resolve()));
  }
}

/** Whether `error` says that nobody reads the other end any more. */
function isBrokenPipe(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return code === 'EPIPE' || code === 'ERR_STREAM_DESTROYED';
}
