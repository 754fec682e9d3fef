import type { Command } from 'commander';
import type { When } from '../store/audit/audit.js';
import type { WriteOptions } from '../store/store.js';
import { type GlobalOptions, globalOptionsOf } from './global-options.js';
import type { CliIo } from './io.js';
import type { Output } from './output.js';
import { type Colors, colorsFor } from './render/colors.js';
import { jsonText } from './render/json-text.js';
import { storeDirectory } from './store-directory.js';

/** What an action works with: its surroundings and what the global options made of them. */
export interface CommandContext {
  readonly io: CliIo;
  readonly out: Output;
  readonly err: Output;
  /** For the standard output. */
  readonly colors: Colors;
  /** For the standard error. */
  readonly errColors: Colors;
  /** Absolute path of the store. */
  readonly directory: string;
  readonly json: boolean;
  readonly quiet: boolean;
  /** The point in time that a reading command is asked at; absent for the present. */
  readonly at?: When | undefined;
  /** Who writes, why, and on what request. */
  readonly write: WriteOptions;
  /** File of the private key that signs checkpoints; absent when none is to be signed. */
  readonly keyFile?: string | undefined;
  /** Aborted by the user, and when nobody reads the output any more. */
  readonly signal: AbortSignal;
}

/** The two streams that a run writes to. */
export interface Outputs {
  readonly out: Output;
  readonly err: Output;
}

/** Returns the context of `command`, whose options are parsed; `at` is the point in time that its words are said to be of. */
export function contextOf(command: Command, io: CliIo, outputs: Outputs, at: When | undefined): CommandContext {
  const options = globalOptionsOf(command);
  return {
    io,
    ...outputs,
    colors: colorsFor(io.stdout, io.env, options.color),
    errColors: colorsFor(io.stderr, io.env, options.color),
    directory: storeDirectory(options.store, io.env),
    json: options.json,
    quiet: options.quiet,
    at: at ?? command.opts<{ readonly at?: When }>().at,
    write: writeOptions(options, io),
    keyFile: options.key ?? (io.env['IMAGELOG_KEY'] === '' ? undefined : io.env['IMAGELOG_KEY']),
    signal: AbortSignal.any([io.signal, outputs.out.closed]),
  };
}

/** Writes one object as one line of JSON. */
export async function writeJson({ out }: CommandContext, value: unknown): Promise<void> {
  await out.line(jsonText(value));
}

/** Whether a person reads the output, and wants more of it than a script does. */
export function isForPeople({ out, json, quiet }: CommandContext): boolean {
  return out.isTerminal && !json && !quiet;
}

function writeOptions({ actor, reason, requestId }: GlobalOptions, { env }: CliIo): WriteOptions {
  const named = actor ?? (env['IMAGELOG_ACTOR'] === '' ? undefined : env['IMAGELOG_ACTOR']);
  return { actor: named, reason, requestId };
}
