import { type Command, Help, InvalidArgumentError, Option } from 'commander';
import { loadCode, StoreError } from '../errors.js';
import type { When } from '../store/past/audit.js';
import { type CommandAccess, type CommandContext, contextOf, type Outputs } from './context.js';
import { UsageError } from './exit-codes.js';
import { noticeLine } from './failure.js';
import type { CliIo } from './output.js';
import { colorsFor } from './render/text.js';
import type { TypedLine } from './typed-line.js';
import { parseWait, WAIT_EXPECTED } from './settings.js';

/* Commands load in two steps: the list entry for the program's help, then, once named, a file. */

/** A command in the list of commands. */
export interface CommandEntry extends CommandAccess {
  /** Name and arguments in commander syntax: `save <names...>`. */
  readonly usage: string;
  /** Other names, as docker's. */
  readonly aliases?: readonly string[];
  readonly group: string;
  readonly summary: string;
  /** Default `reads`. */
  readonly kind?: CommandKind;
  /** Whether it supports a past point in time: with `--at` and, if it only reads, after `at`. */
  readonly past?: boolean;
  readonly load: () => Promise<Grammar>;
}

/** The rest of a command: its texts and action. */
export type Grammar = (declaration: Declaration, command: Command) => CommandWords;

interface CommandWords {
  readonly about?: string;
  /** Sample command lines, each with its effect. */
  readonly examples: readonly (readonly [commandLine: string, does: string])[];
  /** Description and parser for each argument of the usage, in order. */
  readonly arguments?: readonly (readonly [description: string, parse?: (text: string) => unknown])[];
  readonly options?: readonly Option[];
  /** Whether the words after its arguments belong to another command. */
  readonly passThrough?: boolean;
  readonly commands?: readonly CommandEntry[];
  /** Whether its answer may be long, so that on a terminal a pager shows it; receives what `action` does. */
  readonly paged?: (...args: never[]) => boolean;
  /** Receives the arguments, then the options. Prints its answer or throws. */
  readonly action: (context: CommandContext, ...args: never[]) => Promise<void>;
}

/** Context for declaring commands. */
interface Declaration {
  readonly io: CliIo;
  readonly outputs: Outputs;
  readonly act: Act;
  readonly commands: readonly CommandEntry[];
  readonly typed: TypedLine;
  /** Runs another command line, as a server does. */
  readonly run: (argv: readonly string[], io: CliIo) => Promise<number>;
  /** Name of the parent command; absent at the top level. */
  readonly within?: string;
  /** Point in time the commands run at; absent for the present. */
  readonly at?: When;
}

/** Runs the action of command `name`, or replaces it. */
export type Act = (name: string, action: () => Promise<void>, args: readonly unknown[]) => Promise<void>;

/** Loads the rest of each command that is not complete yet. */
const incomplete = new WeakMap<Command, () => Promise<void>>();

const examplesOfCommand = new WeakMap<Command, CommandWords['examples']>();

/** Returns the examples of a complete command; none of one that has no grammar. */
export function examplesOf(command: Command): CommandWords['examples'] {
  return examplesOfCommand.get(command) ?? [];
}

/** Adds commands to `parent`; each is completed once named. */
export function addCommands(parent: Command, declaration: Declaration): void {
  for (const entry of declaration.commands) {
    // `at` may be sent to a server, which must not start another; `serve` has --at.
    const runsInPast = entry.past === true && entry.kind !== 'writes';
    const isRefused = declaration.at !== undefined && !runsInPast;
    const command = parent
      .command(entry.usage, { hidden: isRefused })
      .aliases(entry.aliases ?? [])
      .summary(entry.summary)
      .helpGroup(entry.group);
    if (isRefused) command.hook('preAction', () => refuseInPast(command.name(), parent));
    incomplete.set(command, () => addRest(command, entry, declaration));
  }
  parent.hook('preSubcommand', (_, command) => {
    declaration.typed.enter(command);
    return complete(command);
  });
}

/** Loads the rest of a command so that it can be parsed and explained. */
export async function complete(command: Command): Promise<void> {
  const add = incomplete.get(command);
  incomplete.delete(command);
  await add?.();
}

async function addRest(command: Command, entry: CommandEntry, declaration: Declaration): Promise<void> {
  const { io, outputs, act, within, at } = declaration;
  const name = within === undefined ? command.name() : `${within} ${command.name()}`;
  const grammar = await loadCode(`of the command ${name}`, entry.load());
  const words = grammar(declaration, command);
  examplesOfCommand.set(command, words.examples);
  addGlobalOptions(command, entry.kind ?? 'reads')
    .helpOption('-h, --help', 'show help')
    .description([sentence(entry.summary), ...(words.about === undefined ? [] : [words.about])].join('\n\n'))
    .addHelpText('after', () => examplesText(words.examples))
    .passThroughOptions(words.passThrough === true);
  for (const [place, argument] of command.registeredArguments.entries()) {
    const [description, parse] = words.arguments?.[place] ?? [''];
    argument.description = description;
    if (parse !== undefined) argument.argParser(parse);
  }
  if (entry.past === true && at === undefined) {
    const { pointInTime } = await loadCode('of points in time', import('./option-values.js'));
    command.addOption(
      new Option('--at <when>', 'as it was then; `imagelog help at` says how').argParser(pointInTime(io)),
    );
  }
  for (const option of words.options ?? []) command.addOption(option);
  if (words.commands !== undefined) addCommands(command, { ...declaration, commands: words.commands, within: name });
  const onNotice = (notice: string): void => outputs.err.post(noticeLine(notice, colorsFor(io.stderr, io.env, true)));
  // Commander passes the command itself as the last argument.
  const perform = (...args: never[]): Promise<void> => {
    const context = contextOf(command, io, outputs, { at, entry, onNotice });
    // `at` runs another command, which explains its own failure.
    const run = (): Promise<void> => performed(words, context, args);
    const explained = words.passThrough === true ? run : () => runExplained(context, name, run);
    return act(name, explained, args.slice(0, -1));
  };
  command.action(perform as (...args: unknown[]) => Promise<void>);
}

async function performed({ paged, action }: CommandWords, context: CommandContext, args: never[]): Promise<void> {
  const { out, quiet, pager, io } = context;
  const mayPage = out.isTerminal && pager && !quiet && io.env['TERM'] !== 'dumb';
  if (!mayPage || paged?.(...args) !== true) return action(context, ...args);
  const { throughPager } = await loadCode('of the pager', import('./pager.js'));
  return throughPager(context, (inside) => action(inside, ...args));
}

/** Runs a command. A failure says what became of a name that is no longer there. */
async function runExplained(context: CommandContext, command: string, run: () => Promise<void>): Promise<void> {
  try {
    await run();
  } catch (error) {
    if (!(error instanceof StoreError || error instanceof AggregateError)) throw error;
    const { explainAbsence } = await loadCode('that explains failures', import('./removed.js'));
    throw await explainAbsence(error, { context, command });
  }
}

function refuseInPast(name: string, program: Command): never {
  const others = program.createHelp().visibleCommands(program);
  throw new UsageError(`${name} cannot be run in the past; ${others.map((each) => each.name()).join(', ')} can`);
}

function sentence(summary: string): string {
  return `${summary.charAt(0).toUpperCase()}${summary.slice(1)}.`;
}

function examplesText(examples: CommandWords['examples']): string {
  return ['', 'Examples:', ...examples.flatMap(([line, does]) => [`  $ ${line}`, `      ${does}`])].join('\n');
}

/** Heading of the options that every command has. */
export const GLOBAL_OPTIONS_HEADING = 'Global options:';

/** How a command uses the store: reads, reads and signs a checkpoint, or writes (signs too). */
type CommandKind = 'reads' | 'signs' | 'writes';

/** Adds the global options; writing commands also get actor, reason, request id and signing key. */
export function addGlobalOptions(command: Command, kind: CommandKind): Command {
  const options = [
    ...readingOptions(),
    ...(kind === 'writes' ? writingOptions() : []),
    ...(kind === 'reads' ? [] : signingOptions()),
  ];
  for (const option of options) command.addOption(option.helpGroup(GLOBAL_OPTIONS_HEADING));
  return command;
}

/** Rejects empty text, as an unset shell variable would give. */
export function nonEmptyText(text: string): string {
  if (text !== '') return text;
  throw new InvalidArgumentError('It must not be empty.');
}

function waitDuration(text: string): number {
  const durationMs = parseWait(text);
  if (durationMs !== undefined) return durationMs;
  throw new InvalidArgumentError(WAIT_EXPECTED);
}

function readingOptions(): Option[] {
  return [
    new Option('--store <dir>', 'where the store is ($IMAGELOG_STORE, else the user data directory)').argParser(
      nonEmptyText,
    ),
    new Option('--host <url>', 'a server that holds the store ($IMAGELOG_HOST)').argParser(nonEmptyText),
    new Option('--no-host', 'use the files of the store, even if a server holds it'),
    new Option('--json', 'one JSON object a line, times in UTC'),
    new Option('--utc', 'times in UTC, typed and printed (else local: $TZ)'),
    new Option('-q, --quiet', 'say only what a script needs'),
    new Option('--wait <duration>', 'how long to wait for a store in use (30s)').argParser(waitDuration),
    new Option('--no-color', 'no colours ($NO_COLOR does the same)'),
    new Option('--no-trunc', 'whole ids in tables'),
    new Option('--no-pager', 'no pager on a terminal ($IMAGELOG_PAGER, $PAGER, else less)'),
  ];
}

function writingOptions(): Option[] {
  return [
    new Option('--actor <name>', 'who does it ($IMAGELOG_ACTOR, else user@host)'),
    new Option('--reason <text>', 'why; kept in the log'),
    new Option('--request-id <id>', 'what it belongs to, as a build or a ticket; kept in the log'),
  ];
}

function signingOptions(): Option[] {
  return [
    new Option('--key <file>', 'private key that signs the checkpoint of the log ($IMAGELOG_KEY)').argParser(
      nonEmptyText,
    ),
  ];
}

/** Returns how help lists a command: each of the list has options, added only once it is named. */
export function commandTerm(command: Command): string {
  const term = new Help().subcommandTerm(command);
  return incomplete.has(command) ? term.replace(/(?= |$)/, ' [options]') : term;
}

/** Returns help groups with the global ones last. */
export function commonGroupsLast<Item extends Command | Option>(
  unsorted: Item[],
  visible: Item[],
  getGroup: (item: Item) => string,
): Map<string, Item[]> {
  const groups = new Help().groupItems(unsorted, visible, getGroup);
  const common = groups.get(GLOBAL_OPTIONS_HEADING);
  if (common === undefined) return groups;
  groups.delete(GLOBAL_OPTIONS_HEADING);
  return groups.set(GLOBAL_OPTIONS_HEADING, common);
}
