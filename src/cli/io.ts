import type { Readable, Writable } from 'node:stream';

/** Where text goes: a stream that may be a terminal of `columns` columns. */
export type OutputStream = Writable & { readonly isTTY?: boolean; readonly columns?: number };

/** Where an archive may come from: a stream that may be a keyboard. */
export type InputStream = Readable & { readonly isTTY?: boolean };

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
