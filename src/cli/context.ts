import type { Command } from 'commander';
import { UTC } from '../model/time-zone.js';
import type { When } from '../store/past/audit.js';
import type { WriteOptions } from '../store/store.js';
import type { Action } from '../server/access/access.js';
import { type CommandFiles, localFiles } from './command-files.js';
import { UsageError } from './exit-codes.js';
import { machineTimeZone } from './machine-time-zone.js';
import type { CliIo, Output } from './output.js';
import { nonEmpty, waitOf } from './settings.js';
import { storeDirectory } from './store-directory.js';
import { type Colors, colorsFor, jsonText } from './render/text.js';

/** Options of every command, given before or after its name. */
interface GlobalOptions {
  readonly store?: string | undefined;
  /** False for none, regardless of the environment. */
  readonly host?: string | false | undefined;
  readonly actor?: string | undefined;
  readonly reason?: string | undefined;
  readonly requestId?: string | undefined;
  readonly key?: string | undefined;
  readonly wait?: number | undefined;
  readonly json: boolean;
  readonly quiet: boolean;
  readonly color: boolean;
  readonly utc: boolean;
  readonly trunc: boolean;
  readonly pager: boolean;
}

/** Everything an action needs: its I/O and the evaluated global options. */
export interface CommandContext {
  readonly io: CliIo;
  readonly out: Output;
  readonly err: Output;
  /** For standard output. */
  readonly colors: Colors;
  /** For standard error. */
  readonly errColors: Colors;
  /** The files that the command line names. */
  readonly files: CommandFiles;
  /** Absolute path of the store. */
  readonly directory: string;
  /** What a caller must be allowed to do for more than reading; absent for a command that no server runs. */
  readonly may?: Action | undefined;
  readonly json: boolean;
  readonly quiet: boolean;
  /** IANA time zone of times typed and printed. */
  readonly timeZone: string;
  /** Whether tables shorten ids. */
  readonly trunc: boolean;
  /** Whether a long answer on a terminal may go through a pager. */
  readonly pager: boolean;
  /** Point in time a reading command queries; absent for the present. */
  readonly at?: When | undefined;
  readonly write: WriteOptions;
  /** How long to wait for a lock, in milliseconds. */
  readonly waitMs: number;
  /** Private key file for signing checkpoints; absent if none are signed. */
  readonly keyFile?: string | undefined;
  /** Aborted by the user, or once the output has no reader. */
  readonly signal: AbortSignal;
}

/** The two output streams of a run. */
export interface Outputs {
  readonly out: Output;
  readonly err: Output;
}

/** What a command runs in besides its I/O. */
interface Surroundings {
  /** The point in time it runs at. */
  readonly at?: When | undefined;
  readonly entry: CommandAccess;
  readonly onNotice: (notice: string) => void;
}

/** What a command needs of a server, or of the machine of its user. */
export interface CommandAccess {
  /** What more than reading needs on a server; absent for a command that no server runs. */
  readonly may?: Action;
  /** Whether it runs here, and has a server run it only for what of a store it needs. */
  readonly asksServer?: boolean;
  /** Whether it needs the files of the store, so that no server on another machine will do. */
  readonly ownStore?: boolean;
}

/**
 * Returns the context of a parsed `command`.
 * @throws {UsageError} for a server named to a command that no server runs
 * @throws {CommandDeclined} in a server: for a command that no server runs, and if the client
 *   understood its command line in another way
 */
export function contextOf(
  command: Command,
  io: CliIo,
  outputs: Outputs,
  { at, entry, onNotice }: Surroundings,
): CommandContext {
  const options = globalOptionsOf(command);
  const { client } = io;
  if (client === undefined) refuseHost(command.name(), options, entry, io);
  // Our own client asks for none of them; others may.
  else if (entry.may === undefined) client.decline();
  else client.mustBeAsked({ store: options.store, host: options.host || undefined });
  return {
    io,
    ...outputs,
    colors: colorsFor(io.stdout, io.env, options.color),
    errColors: colorsFor(io.stderr, io.env, options.color),
    files: client?.files ?? localFiles,
    directory: client?.store.directory ?? storeDirectory(options.store, io.env),
    may: entry.may,
    json: options.json,
    quiet: options.quiet,
    // Lazy: the first use of Intl costs milliseconds.
    get timeZone() {
      return options.utc ? UTC : (io.timeZone ?? machineTimeZone(io.env['TZ'], onNotice));
    },
    trunc: options.trunc,
    pager: options.pager,
    at: at ?? command.opts<{ readonly at?: When }>().at,
    write: writeOptions(options, io),
    waitMs: options.wait ?? waitOf(io.env),
    keyFile: options.key ?? nonEmpty(io.env['IMAGELOG_KEY']),
    signal: AbortSignal.any([io.signal, outputs.out.closed]),
  };
}

/** Prints one line of JSON. */
export async function writeJson({ out }: CommandContext, value: unknown): Promise<void> {
  await out.line(jsonText(value));
}

/** Prints the result of a command: a line of JSON, or `lines` unless quiet. */
export async function answer(context: CommandContext, result: unknown, ...lines: readonly string[]): Promise<void> {
  if (context.json) await writeJson(context, result);
  else if (!context.quiet) for (const line of lines) await context.out.line(line);
}

/** Returns whether a person reads the output and wants more detail than a script. */
export function isForPeople({ out, json, quiet }: Pick<CommandContext, 'out' | 'json' | 'quiet'>): boolean {
  return out.isTerminal && !json && !quiet;
}

function writeOptions({ actor, reason, requestId }: GlobalOptions, { env, client }: CliIo): WriteOptions {
  const variable = nonEmpty(env['IMAGELOG_ACTOR']);
  if (client !== undefined) {
    const origin = client.originOf({ typed: actor, variable });
    return { ...origin, reason, requestId: requestId ?? origin.requestId };
  }
  return { actor: actor ?? variable, reason, requestId };
}

/** A command that works on files of this machine would else miss the store that is meant. */
function refuseHost(name: string, { host, store }: GlobalOptions, { may, ownStore }: CommandAccess, io: CliIo): void {
  if (typeof host === 'string' && may === undefined) {
    throw new UsageError(`${name} works with files of this machine: leave out --host`);
  }
  if (ownStore !== true || host === false || store !== undefined) return;
  if (nonEmpty(io.env['IMAGELOG_HOST']) === undefined) return;
  throw new UsageError(`${name} needs the files of a store, and $IMAGELOG_HOST names a server`, {
    hint: 'run it on the machine of the store, with --store DIR or --no-host',
  });
}

/** Returns the options of `command`, else those before its name; switches apply from both. */
function globalOptionsOf(command: Command): GlobalOptions {
  const levels: readonly GlobalOptions[] = [command, ...ancestors(command)].map((each) => each.opts<GlobalOptions>());
  const first = <Name extends keyof GlobalOptions>(name: Name): GlobalOptions[Name] | undefined =>
    levels.map((level) => level[name]).find((value) => value !== undefined);
  return {
    store: first('store'),
    host: first('host'),
    actor: first('actor'),
    reason: first('reason'),
    requestId: first('requestId'),
    key: first('key'),
    wait: first('wait'),
    json: levels.some(({ json }) => json),
    quiet: levels.some(({ quiet }) => quiet),
    color: levels.every(({ color }) => color !== false),
    utc: levels.some(({ utc }) => utc),
    trunc: levels.every(({ trunc }) => trunc !== false),
    pager: levels.every(({ pager }) => pager !== false),
  };
}

function ancestors(command: Command): Command[] {
  return command.parent === null ? [] : [command.parent, ...ancestors(command.parent)];
}
