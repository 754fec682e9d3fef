import type { Readable, Writable } from 'node:stream';
import { once } from 'node:events';
import type { CommandClient } from './command-files.js';

/** An output stream, possibly a terminal of `columns` columns. */
export type OutputStream = Writable & { readonly isTTY?: boolean; readonly columns?: number };

/** An archive source, possibly a keyboard. */
type InputStream = Readable & { readonly isTTY?: boolean };

/** The environment of one run: all its I/O besides files. */
export interface CliIo {
  readonly stdin: InputStream;
  readonly stdout: OutputStream;
  readonly stderr: OutputStream;
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Milliseconds since the epoch. */
  readonly now: () => number;
  /** IANA time zone for tables; defaults to the machine's. */
  readonly timeZone?: string | undefined;
  /** While told so, SIGINT is left to a pager; absent where no signals come. */
  readonly ignoreInterrupts?: (areIgnored: boolean) => void;
  /** For whom a server runs the command; absent where it runs in the process of its user. */
  readonly client?: CommandClient | undefined;
  /** Told that a server holds the store, which did not answer before; absent where none is asked. */
  readonly onServerFound?: (() => void) | undefined;
  /** Has SIGHUP call `listener` instead of ending the process; absent where no signals come. */
  readonly onHangup?: (listener: () => void) => void;
  /** Aborted with an Interruption when the user or the system ends the run. */
  readonly signal: AbortSignal;
}

const USUAL_COLUMNS = 80;
/** Lines that leave together: a write costs as much as formatting ten of them. */
export const LINES_A_WRITE = 64;

/** The output has lost its reader; the run ends quietly. */
export class OutputClosed extends Error {
  override readonly name = 'OutputClosed';
}

/** The output failed, e.g. on a full disk. */
export class OutputFailed extends Error {
  override readonly name = 'OutputFailed';
}

/**
 * Writes lines with backpressure. If the reader goes away (`| head`), `closed` is aborted and the
 * next line throws OutputClosed; on other failures, OutputFailed.
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

  get isTerminal(): boolean {
    return this.stream.isTTY === true;
  }

  /** Terminal width, 80 if unknown; undefined if lines may have any length. */
  get columns(): number | undefined {
    return this.isTerminal ? this.stream.columns || USUAL_COLUMNS : undefined;
  }

  /** Aborted once further writes would be lost. */
  get closed(): AbortSignal {
    return this.#closing.signal;
  }

  /**
   * Writes `text` and a line feed; resolves when ready for more.
   * @throws {OutputClosed} if the reader is gone
   * @throws {OutputFailed} if the stream failed
   */
  async line(text = ''): Promise<void> {
    await this.#write(`${text}\n`);
  }

  /**
   * Writes bytes as they are; resolves when ready for more.
   * @throws as `line`
   */
  async bytes(bytes: Uint8Array): Promise<void> {
    await this.#write(bytes);
  }

  /** Writes a line without backpressure, for callbacks. Repeated texts are dropped. */
  post(text: string): void {
    if (this.#failure !== undefined || this.#posted.has(text)) return;
    this.#posted.add(text);
    this.stream.write(`${text}\n`);
  }

  check(): void {
    if (this.#failure !== undefined) throw this.#failure;
  }

  /** Resolves once all output has left the process or never will. */
  async flush(): Promise<void> {
    if (this.#failure !== undefined || this.stream.destroyed) return;
    await new Promise<void>((resolve) => this.stream.write('', () => resolve()));
  }

  async #write(chunk: string | Uint8Array): Promise<void> {
    this.check();
    if (this.stream.write(chunk)) return;
    await once(this.stream, 'drain', { signal: this.closed }).catch((error: unknown) => {
      this.check();
      throw error;
    });
  }
}

function isBrokenPipe(error: unknown): boolean {
  const code = error instanceof Error && 'code' in error ? error.code : undefined;
  return code === 'EPIPE' || code === 'ERR_STREAM_DESTROYED';
}
