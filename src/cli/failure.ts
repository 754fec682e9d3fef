import { CommanderError } from 'commander';
import { isStoreError, loadCode, StoreError } from '../errors.js';
import { isDigest } from '../model/digest.js';
import type { Outputs } from './context.js';
import { CommandDeclined, DamageFound, exitCodeOfError, exitCodes, Interruption, UsageError } from './exit-codes.js';
import { hints, remedies } from './hints.js';
import { type CliIo, Output, OutputClosed, OutputFailed } from './output.js';
import { printable, shortId } from '../model/texts.js';
import { type Colors, colorsFor } from './render/text.js';
import { type NamedCommand, quoted, TypedLine } from './typed-line.js';

/** Candidates that the hint of an ambiguous name lists. */
const SHOWN_CANDIDATES = 5;

/** How failures are reported: in color or not, with hints for the command line that was typed. */
export interface Reporting {
  readonly color: boolean;
  readonly typed: TypedLine;
}

/** Prints a failure (but no closed reader or requested help) and returns the exit code. */
export async function reportFailure(
  error: unknown,
  io: CliIo,
  { out, err }: Outputs,
  { color, typed }: Reporting,
): Promise<number> {
  // An abort takes precedence over errors it caused.
  const reason: unknown = [io.signal, out.closed].find(({ aborted }) => aborted)?.reason ?? error;
  if (reason instanceof OutputClosed) return exitCodes.done;
  if (reason instanceof CommandDeclined) return exitCodes.failed;
  // Commander already printed it through `configureOutput`.
  if (reason instanceof CommanderError) return reason.exitCode === 0 ? exitCodes.done : exitCodes.usage;
  if (reason instanceof AggregateError) return reportAll(reason.errors, io, { out, err }, { color, typed });
  const colors = colorsFor(io.stderr, io.env, color);
  const lines = await failureLines(reason, colors, io.env, typed);
  try {
    for (const line of lines) await err.line(line);
  } catch {
    // Nobody reads it: the exit code is what is left to say.
  }
  return exitCodeOf(reason);
}

async function failureLines(error: unknown, colors: Colors, env: CliIo['env'], typed: TypedLine): Promise<string[]> {
  const hint = await hintOf(error, typed);
  return [
    `${colors.red('imagelog:')} ${messageOf(error)}`,
    ...(hint === undefined ? [] : [hintLine(hint, colors)]),
    ...(env['IMAGELOG_DEBUG'] && error instanceof Error ? stackLines(error) : []),
  ];
}

/** Formats a hint. */
export function hintLine(hint: string, colors: Colors): string {
  return `${colors.cyan('hint:')} ${printable(hint)}`;
}

/** Formats a notice: something noticed that did not stop the command. */
export function noticeLine(notice: string, colors: Colors): string {
  return `${colors.yellow('imagelog: notice:')} ${printable(notice)}`;
}

function exitCodeOf(error: unknown): number {
  if (error instanceof Interruption) return error.exitCode;
  if (error instanceof UsageError) return exitCodes.usage;
  if (error instanceof DamageFound) return exitCodes.damage;
  return error instanceof StoreError ? exitCodeOfError(error.code) : exitCodes.failed;
}

async function reportAll(
  errors: readonly unknown[],
  io: CliIo,
  outputs: Outputs,
  reporting: Reporting,
): Promise<number> {
  let code: number = exitCodes.failed;
  for (const [at, error] of errors.entries()) {
    const each = await reportFailure(error, io, outputs, reporting);
    if (at === 0) code = each;
  }
  return code;
}

function messageOf(error: unknown): string {
  if (error instanceof StoreError) return storeMessage(error);
  if (error instanceof UsageError || error instanceof DamageFound || error instanceof Interruption)
    return printable(error.message);
  if (error instanceof OutputFailed) return printable(error.message);
  if (error instanceof Error) return printable(`${error.name}: ${error.message}`);
  return printable(String(error));
}

// The event that tells what the message says is named beside the code.
function storeMessage({ code, data, message }: StoreError): string {
  const event = typeof data['event'] === 'number' ? `event ${data['event']}, ` : '';
  return `${printable(message)} (${event}${code})`;
}

async function hintOf(error: unknown, typed: TypedLine): Promise<string | undefined> {
  if (error instanceof UsageError) return error.hint ?? usageHint(typed);
  if (error instanceof StoreError || error instanceof DamageFound) {
    const hint = error instanceof StoreError ? await hintOfStoreError(error) : error.hint;
    // No command can be run at a point in time that is refused.
    return hint === undefined ? undefined : typed.complete(hint, !isStoreError(error, 'TIME_OUT_OF_RANGE'));
  }
  if (error instanceof Interruption || error instanceof OutputFailed) return undefined;
  return 'set IMAGELOG_DEBUG=1 to see where it happened';
}

/** Hint for a command line that is not understood. */
export function usageHint({ help }: TypedLine): string {
  return help === 'imagelog help' ? `\`${help}\` lists the commands` : `\`${help}\` shows how, with examples`;
}

// Hints in order of precedence: from the command, from the error, from its code.
async function hintOfStoreError({ code, data }: StoreError): Promise<string | undefined> {
  if (typeof data['hint'] === 'string') return data['hint'];
  const hint = remedies[String(data['remedy'])] ?? hints[code];
  if (code === 'ID_AMBIGUOUS' && Array.isArray(data['candidates'])) return withCandidates(hint, data['candidates']);
  return hint?.includes('REFERENCE`') || hint?.includes('PATH`') ? withPlaces(hint, data) : hint;
}

/** Lists what an ambiguous word may mean: ids, short where they differ, or references. */
async function withCandidates(hint: string | undefined, candidates: readonly unknown[]): Promise<string> {
  const { familiarReference } = await loadCode('of references', import('../model/reference.js'));
  const all = candidates.map(String);
  const areIds = all.every(isDigest);
  const short = all.map((each) => (isDigest(each) ? shortId(each) : familiarReference(each)));
  const shown = new Set(short).size === all.length ? short : all;
  const more = shown.length > SHOWN_CANDIDATES ? ` and ${shown.length - SHOWN_CANDIDATES} more` : '';
  return `${areIds ? hint : 'name one of them'}: ${shown.slice(0, SHOWN_CANDIDATES).join(', ')}${more}`;
}

// A command with a word in capitals cannot be run: fill in what the error knows.
async function withPlaces(hint: string, data: StoreError['data']): Promise<string> {
  // Most runs do not fail, so they do without this code.
  const { familiarReference } = await loadCode('of references', import('../model/reference.js'));
  return hint.replaceAll(/`([^`]+)`/g, (command) =>
    command.replaceAll(/\b(?:REFERENCE|PATH)\b/g, (place) => {
      const value = data[place.toLowerCase()];
      if (typeof value !== 'string') return place;
      return quoted(place === 'REFERENCE' ? familiarReference(value) : value);
    }),
  );
}

function stackLines(error: Error): string[] {
  const causes: Error[] = [];
  for (let each: unknown = error; each instanceof Error && !causes.includes(each); each = each.cause) causes.push(each);
  return causes.flatMap((each, at) =>
    `${at === 0 ? '' : 'caused by '}${each.stack ?? each.message}`.split('\n').map(printable),
  );
}

/** Prints why a server did not run a command to its end, and returns the exit code. */
export async function reportClientFailure(
  error: unknown,
  io: CliIo,
  argv: readonly string[],
  commands: readonly NamedCommand[],
): Promise<number> {
  const outputs = { out: new Output(io.stdout), err: new Output(io.stderr) };
  const reporting = { color: !argv.includes('--no-color'), typed: new TypedLine(commands) };
  const code = await reportFailure(error, io, outputs, reporting);
  await outputs.err.flush();
  return code;
}
