import { FrameError } from '../../server/command/frames.js';
import { isTimeZone } from '../../model/time-zone.js';
import { numberIn, type OutputFacts } from './client-link.js';
import { isSent } from './sent-variables.js';

/** The first frame of a client: its command line, and its surroundings that matter to a command. */
export interface CommandStart {
  readonly argv: readonly string[];
  /** Those that `isSent` names; others that a client sends are dropped. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly stdin: Pick<OutputFacts, 'isTTY'>;
  readonly stdout: OutputFacts;
  readonly stderr: OutputFacts;
  /** The client's clock: milliseconds since the epoch. */
  readonly now: number;
  /** The client's IANA time zone. */
  readonly timeZone: string;
  /** Who a write is by, if nothing else says so: `user@host` of the client. */
  readonly actor: string;
  /** The command of the client's pager; absent for none. */
  readonly pager?: string | undefined;
  /** The options `--store` and `--host` as the client found them in `argv`. */
  readonly store?: string | undefined;
  readonly host?: string | undefined;
}

/** Checks the first frame of a client. @throws {FrameError} naming what is not of its kind */
export function parseStart(frame: Readonly<Record<string, unknown>>): CommandStart {
  const { argv, env, timeZone, actor } = frame;
  if (!Array.isArray(argv) || !argv.every((word) => typeof word === 'string')) throw wrong('argv');
  const variables = Object.entries(Object(env) as Record<string, unknown>);
  const texts = variables.filter((entry): entry is [string, string] => typeof entry[1] === 'string');
  if (texts.length !== variables.length) throw wrong('env');
  if (typeof timeZone !== 'string' || !isTimeZone(timeZone)) throw wrong('timeZone');
  if (typeof actor !== 'string') throw wrong('actor');
  return {
    argv,
    env: Object.fromEntries(texts.filter(([name]) => isSent(name))),
    stdin: { isTTY: Object(frame['stdin'])['isTTY'] === true },
    stdout: outputIn(frame, 'stdout'),
    stderr: outputIn(frame, 'stderr'),
    now: numberIn(frame, 'now'),
    timeZone,
    actor,
    pager: textIn(frame, 'pager'),
    store: textIn(frame, 'store'),
    host: textIn(frame, 'host'),
  };
}

function outputIn(frame: Readonly<Record<string, unknown>>, name: string): OutputFacts {
  const facts = Object(frame[name]) as Readonly<Record<string, unknown>>;
  return { isTTY: facts['isTTY'] === true, columns: numberIn(facts, 'columns') };
}

function textIn(frame: Readonly<Record<string, unknown>>, name: string): string | undefined {
  const value = frame[name];
  if (value !== undefined && typeof value !== 'string') throw wrong(name);
  return value;
}

function wrong(name: string): FrameError {
  return new FrameError(`the first frame has no valid ${name}`);
}
