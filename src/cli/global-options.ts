import { type Command, Help, Option } from 'commander';
import { nonEmptyText } from './commands/option-values.js';

/** What every command understands, as it was given before or after the command's name. */
export interface GlobalOptions {
  readonly store?: string | undefined;
  readonly actor?: string | undefined;
  readonly reason?: string | undefined;
  readonly requestId?: string | undefined;
  readonly key?: string | undefined;
  readonly json: boolean;
  readonly quiet: boolean;
  readonly color: boolean;
}

/** Heading in help of the options that every command has. */
const GLOBAL_OPTIONS_HEADING = 'Global options:';

/** What a command does with the store: it reads; it reads and signs a checkpoint; or it writes, which ends with one. */
export type CommandKind = 'reads' | 'signs' | 'writes';

/** Adds the options that every command has; those who write have also who, why and on whose request, and the key to sign with. */
export function addGlobalOptions(command: Command, kind: CommandKind): Command {
  const options = [
    ...readingOptions(),
    ...(kind === 'writes' ? writingOptions() : []),
    ...(kind === 'reads' ? [] : signingOptions()),
  ];
  for (const option of options) command.addOption(option.helpGroup(GLOBAL_OPTIONS_HEADING));
  return command;
}

/** Adds the options as the program has them: they may stand before any command, and so are said only once. */
export function addProgramOptions(program: Command): Command {
  return addGlobalOptions(program, 'writes');
}

/**
 * Returns the global options of `command`: its own where given, else those
 * before its name. Switches hold when given in either place.
 */
export function globalOptionsOf(command: Command): GlobalOptions {
  const levels: readonly GlobalOptions[] = [command, ...ancestors(command)].map((each) => each.opts<GlobalOptions>());
  const first = <Name extends keyof GlobalOptions>(name: Name): GlobalOptions[Name] | undefined =>
    levels.map((level) => level[name]).find((value) => value !== undefined);
  return {
    store: first('store'),
    actor: first('actor'),
    reason: first('reason'),
    requestId: first('requestId'),
    key: first('key'),
    json: levels.some(({ json }) => json),
    quiet: levels.some(({ quiet }) => quiet),
    color: levels.every(({ color }) => color !== false),
  };
}

function readingOptions(): Option[] {
  return [
    new Option('--store <dir>', 'where the store is ($IMAGELOG_STORE, else the data directory of the user)').argParser(
      nonEmptyText,
    ),
    new Option('--json', 'one JSON object a line, times in UTC'),
    new Option('-q, --quiet', 'say only what a script needs'),
    new Option('--no-color', 'no colours ($NO_COLOR does the same)'),
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

function ancestors(command: Command): Command[] {
  return command.parent === null ? [] : [command.parent, ...ancestors(command.parent)];
}

/** Returns the groups of a help text with what every command has after what is special to one. */
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
