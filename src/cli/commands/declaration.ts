import { type Command, Option } from 'commander';
import type { Actions } from '../actions.js';
import { type CommandContext, contextOf, type Outputs } from '../context.js';
import { addGlobalOptions, type CommandKind } from '../global-options.js';
import type { CliIo } from '../output.js';
import type { When } from '../../store/past/audit.js';
import { UsageError } from '../exit-codes.js';
import { pointInTime } from './option-values.js';

/** What the declaration of a command needs. */
export interface Declaration {
  readonly program: Command;
  readonly io: CliIo;
  readonly outputs: Outputs;
  readonly actions: Actions;
  /** The point in time that the commands are run at; absent for the present. */
  readonly at?: When | undefined;
}

/** What is said of a command in help. */
interface CommandText {
  /** Name and arguments, as commander reads them: `save <names...>`. */
  readonly usage: string;
  readonly group: string;
  readonly summary: string;
  /** More than the summary, where there is more to know. */
  readonly about?: string | undefined;
  /** Command lines that one may type, each with what it does. */
  readonly examples: readonly (readonly [commandLine: string, does: string])[];
  readonly kind: CommandKind;
  /** Whether it can be asked at a point in time. */
  readonly past?: boolean | undefined;
}

/** Adds a command with its texts; the caller adds its options, and then its action. */
export function declareCommand({ program, io, at }: Declaration, text: CommandText): Command {
  const isRefused = at !== undefined && text.past !== true;
  const command = program
    .command(text.usage, { hidden: isRefused })
    .summary(text.summary)
    .description([sentence(text.summary), ...(text.about === undefined ? [] : [text.about])].join('\n\n'))
    .helpGroup(text.group)
    .helpOption('-h, --help', 'show help')
    .addHelpText('after', () => examplesText(text.examples));
  if (isRefused) command.hook('preAction', () => refuseInPast(command.name(), program));
  if (text.past === true && at === undefined) {
    command.addOption(
      new Option('--at <when>', 'as it was then; `imagelog help at` says how').argParser(pointInTime(io.now)),
    );
  }
  return addGlobalOptions(command, text.kind);
}

/** Returns the context for the action of `command`. */
export function contextFor({ io, outputs, at }: Declaration, command: Command): CommandContext {
  return contextOf(command, io, outputs, at);
}

function refuseInPast(name: string, program: Command): never {
  const others = program.createHelp().visibleCommands(program);
  throw new UsageError(`${name} cannot be run in the past; ${others.map((each) => each.name()).join(', ')} can`);
}

function sentence(summary: string): string {
  return `${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`;
}

function examplesText(examples: CommandText['examples']): string {
  return ['', 'Examples:', ...examples.flatMap(([line, does]) => [`  $ ${line}`, `      ${does}`])].join('\n');
}
