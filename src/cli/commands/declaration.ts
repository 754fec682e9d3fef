import type { Command } from 'commander';
import type { Actions } from '../actions.js';
import { contextOf, type CommandContext, type Outputs } from '../context.js';
import { addGlobalOptions } from '../global-options.js';
import type { CliIo } from '../io.js';

/** What the declaration of a command needs. */
export interface Declaration {
  readonly program: Command;
  readonly io: CliIo;
  readonly outputs: Outputs;
  readonly actions: Actions;
}

/** What is said of a command in help. */
export interface CommandText {
  /** Name and arguments, as commander reads them: `save <names...>`. */
  readonly usage: string;
  readonly group: string;
  readonly summary: string;
  /** More than the summary, where there is more to know. */
  readonly about?: string | undefined;
  /** Command lines that one may type, each with what it does. */
  readonly examples: readonly (readonly [commandLine: string, does: string])[];
  readonly kind: 'reads' | 'writes';
}

/** Adds a command with its texts; the caller adds its options, and then its action. */
export function declareCommand({ program }: Declaration, text: CommandText): Command {
  const command = program
    .command(text.usage)
    .summary(text.summary)
    .description([sentence(text.summary), ...(text.about === undefined ? [] : [text.about])].join('\n\n'))
    .helpGroup(text.group)
    .helpOption('-h, --help', 'show help')
    .addHelpText('after', examplesText(text.examples));
  return addGlobalOptions(command, text.kind);
}

/** Returns the context for the action of `command`. */
export function contextFor({ io, outputs }: Declaration, command: Command): CommandContext {
  return contextOf(command, io, outputs);
}

function sentence(summary: string): string {
  return `${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`;
}

function examplesText(examples: CommandText['examples']): string {
  return ['', 'Examples:', ...examples.flatMap(([line, does]) => [`  $ ${line}`, `      ${does}`])].join('\n');
}
