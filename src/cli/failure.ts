import { CommanderError } from 'commander';
import { StoreError } from '../errors.js';
import type { Outputs } from './context.js';
import { DamageFound, exitCodeOfError, exitCodes, Interruption, UsageError } from './exit-codes.js';
import { hints, remedies } from './hints.js';
import { type CliIo, OutputClosed, OutputFailed } from './output.js';
import { type Colors, colorsFor, printable } from './render/text.js';

/** Prints a failure (but no closed reader or requested help) and returns the exit code. */
export async function reportFailure(error: unknown, io: CliIo, { out, err }: Outputs, color: boolean): Promise<number> {
  // An abort takes precedence over errors it caused.
  const reason: unknown = [io.signal, out.closed].find(({ aborted }) => aborted)?.reason ?? error;
  if (reason instanceof OutputClosed) return exitCodes.done;
  // Commander already printed it through `configureOutput`.
  if (reason instanceof CommanderError) return reason.exitCode === 0 ? exitCodes.done : exitCodes.usage;
  if (reason instanceof AggregateError) return reportAll(reason.errors, io, { out, err }, color);
  const colors = colorsFor(io.stderr, io.env, color);
  for (const line of failureLines(reason, colors, io.env)) await err.line(line);
  return exitCodeOf(reason);
}

function failureLines(error: unknown, colors: Colors, env: CliIo['env']): string[] {
  const hint = hintOf(error);
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

async function reportAll(errors: readonly unknown[], io: CliIo, outputs: Outputs, color: boolean): Promise<number> {
  let code: number = exitCodes.failed;
  for (const [at, error] of errors.entries()) {
    const each = await reportFailure(error, io, outputs, color);
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

function hintOf(error: unknown): string | undefined {
  if (error instanceof StoreError) return hintOfStoreError(error);
  if (error instanceof UsageError) return '`imagelog help COMMAND` shows how, with examples';
  if (error instanceof DamageFound) return error.hint;
  if (error instanceof Interruption || error instanceof OutputFailed) return undefined;
  return 'set IMAGELOG_DEBUG=1 to see where it happened';
}

// Hints in order of precedence: from the command, from the error, from its code.
function hintOfStoreError({ code, data }: StoreError): string | undefined {
  if (typeof data['hint'] === 'string') return data['hint'];
  return remedies[String(data['remedy'])] ?? hints[code];
}

function stackLines(error: Error): string[] {
  const causes: Error[] = [];
  for (let each: unknown = error; each instanceof Error && !causes.includes(each); each = each.cause) causes.push(each);
  return causes.flatMap((each, at) =>
    `${at === 0 ? '' : 'caused by '}${each.stack ?? each.message}`.split('\n').map(printable),
  );
}
