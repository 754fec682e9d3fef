import { join } from 'node:path';
import { PassThrough, Readable, Writable } from 'node:stream';
import type { ExecutionContext } from 'ava';
import { type ClientIo, runAnywhere } from '../../src/cli/process.js';
import { run } from '../../src/cli/run.js';
import { fixturePath } from '../support/fixtures.js';
import { temporaryDirectory } from '../support/temporary-directory.js';

/** What one run of the command line gave. */
export interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
  /** The bytes of the standard output. */
  readonly bytes: Buffer;
}

/** The surroundings of one run that differ from the usual. */
export interface Surroundings {
  readonly stdin?: (Readable & { isTTY?: boolean }) | Uint8Array;
  readonly env?: Readonly<Record<string, string>>;
  /** IANA time zone; UTC by default. */
  readonly timeZone?: string;
  /** Both outputs are a terminal of so many columns. */
  readonly columns?: number;
  readonly signal?: AbortSignal;
  /** Told when SIGINT is left to a pager, and when no longer. */
  readonly ignoreInterrupts?: (areIgnored: boolean) => void;
  /** Called with each piece of the standard output as it comes. */
  readonly onOutput?: (text: string) => void;
  /** Called with each piece of the standard error as it comes. */
  readonly onError?: (text: string) => void;
  /** As a process runs a command line: in the server that holds the store, if there is one. */
  readonly isAnywhere?: boolean;
  /** The standard output fails with this after so many writes. */
  readonly breaks?: { readonly after: number; readonly error: Error };
}

/** A folder with a store, and a clock that stands until it is moved. */
export interface Session {
  readonly folder: string;
  readonly store: string;
  /** Runs `imagelog` with the session's store, each argument as it is. */
  readonly run: (...argv: string[]) => Promise<Ran>;
  readonly runIn: (surroundings: Surroundings, ...argv: string[]) => Promise<Ran>;
  /** Runs and expects exit code 0. */
  readonly done: (...argv: string[]) => Promise<string>;
  /** Moves the clock, in ms. */
  readonly wait: (durationMs: number) => void;
}

/** First digits of the ids in the archives. */
export const ids = {
  tiny: 'bd10de19d2be',
  tinyArm: 'ea3aeee65415',
  tinyLib: '612786da9e60',
  appOne: 'bb0c8ffbd8b1',
  appTwo: 'cb4c372bec4c',
  twice: '6351c87e3f65',
} as const;

/** Where the clock of a session begins. */
export const SESSION_START = Date.parse('2026-01-31T12:00:00Z');

/** Path of a real archive. */
export function archive(name: string): string {
  return fixturePath('archives', name);
}

/** Gives a session in a new folder that is removed after the test; its clock begins at `start`. */
export async function startSession(t: ExecutionContext, start?: string): Promise<Session> {
  const folder = await temporaryDirectory(t);
  const store = join(folder, 'store');
  let time = start === undefined ? SESSION_START : Date.parse(start);
  const runIn: Session['runIn'] = async (surroundings, ...argv) => {
    const stdout = new Capture(surroundings);
    const { columns, onError } = surroundings;
    const stderr = new Capture({
      ...(columns === undefined ? {} : { columns }),
      ...(onError && { onOutput: onError }),
    });
    const stdin = inputOf(surroundings.stdin);
    const io: ClientIo = {
      stdin,
      isInputTerminal: stdin.isTTY === true,
      stdout,
      stderr,
      env: { IMAGELOG_STORE: store, IMAGELOG_ACTOR: 'tester', HOME: folder, ...surroundings.env },
      now: () => time,
      timeZone: surroundings.timeZone ?? 'UTC',
      signal: surroundings.signal ?? new AbortController().signal,
      ...(surroundings.ignoreInterrupts === undefined ? {} : { ignoreInterrupts: surroundings.ignoreInterrupts }),
    };
    const code = await (surroundings.isAnywhere === true ? runAnywhere : run)(argv, io);
    return { code, stdout: stdout.text, stderr: stderr.text, bytes: stdout.bytes };
  };
  return {
    folder,
    store,
    runIn,
    run: (...argv) => runIn({}, ...argv),
    done: async (...argv) => {
      const { code, stdout, stderr } = await runIn({}, ...argv);
      t.is(code, 0, stderr);
      return stdout;
    },
    wait: (durationMs) => {
      time += durationMs;
    },
  };
}

/** The objects of output that has one a line. */
export function objectsOf(stdout: string): Record<string, unknown>[] {
  return stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
}

function inputOf(stdin: Surroundings['stdin']): Readable & { isTTY?: boolean } {
  if (stdin === undefined) return Readable.from([]);
  if (!(stdin instanceof Uint8Array)) return stdin;
  const stream = new PassThrough();
  stream.end(stdin);
  return stream;
}

class Capture extends Writable {
  readonly isTTY: boolean;
  readonly columns: number;
  readonly #chunks: Buffer[] = [];
  readonly #surroundings: Surroundings;

  constructor(surroundings: Surroundings) {
    super();
    this.#surroundings = surroundings;
    this.isTTY = surroundings.columns !== undefined;
    this.columns = surroundings.columns ?? 0;
  }

  override _write(chunk: Buffer, _encoding: string, done: (error?: Error) => void): void {
    const { breaks, onOutput } = this.#surroundings;
    if (breaks !== undefined && this.#chunks.length >= breaks.after) {
      done(breaks.error);
      return;
    }
    this.#chunks.push(chunk);
    onOutput?.(chunk.toString());
    done();
  }

  get bytes(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  get text(): string {
    return this.bytes.toString();
  }
}
