import type { Argument, Command, Option } from 'commander';
import { type CommandEntry, complete } from '../command.js';

/** The commands of the command line. */
export interface AllCommands {
  readonly entries: readonly CommandEntry[];
  readonly program: Command;
  /** Names of those that `imagelog at` runs. */
  readonly past: ReadonlySet<string>;
}

/** An unfinished command line: what it consists of up to the word to complete. */
export interface CommandLine {
  /** The innermost command named. */
  readonly command: Command;
  /** Words of that command that are not options. */
  readonly operands: readonly string[];
  /** The option whose value is to be completed. */
  readonly option: Option | undefined;
  /** Whether `--` was typed: no word after it is an option. */
  readonly areOptionsOver: boolean;
  /** Whether `--no-host` was typed last of the options that name a server. */
  readonly isHostRefused: boolean;
  /** Values of the options so far, by their name in the command. */
  readonly values: ReadonlyMap<string, string>;
}

/** Parses the words before the one to complete, as far as that needs; none is refused. */
export async function parseLine(all: AllCommands, words: readonly string[]): Promise<CommandLine> {
  let command = all.program;
  let operands: string[] = [];
  let areOptionsOver = false;
  let isHostRefused = false;
  let option: Option | undefined;
  const values = new Map<string, string>();
  for (const word of words) {
    if (option !== undefined) {
      values.set(option.attributeName(), word);
      option = undefined;
    } else if (word === '--') areOptionsOver = true;
    else if (!areOptionsOver && word.startsWith('-') && word !== '-') {
      const [flag = '', ...value] = word.split('=');
      if (flag === '--host' || word === '--no-host') isHostRefused = word === '--no-host';
      const named = optionOf(command, flag);
      if (named?.required !== true) continue;
      if (value.length > 0) values.set(named.attributeName(), value.join('='));
      else option = named;
    } else {
      const below = commandsBelow(command, operands, all).find((each) => namesOf(each).includes(word));
      if (below === undefined) operands.push(word);
      else {
        command = below;
        operands = [];
        await complete(below);
      }
    }
  }
  return { command, operands, option, areOptionsOver, isHostRefused, values };
}

/** Returns the commands that the next word may name. */
export function nextCommands({ command, operands }: CommandLine, all: AllCommands): readonly Command[] {
  return commandsBelow(command, operands, all);
}

/** Returns the argument that the next word is; undefined if the command takes no more. */
export function nextArgument({ command, operands }: CommandLine): Argument | undefined {
  const { registeredArguments } = command;
  const last = registeredArguments.at(-1);
  return registeredArguments[operands.length] ?? (last?.variadic === true ? last : undefined);
}

/** Returns the option of `command` with this flag. */
export function optionOf(command: Command, flag: string): Option | undefined {
  return command.options.find(({ short, long }) => flag === short || flag === long);
}

function namesOf(command: Command): readonly string[] {
  return [command.name(), ...command.aliases()];
}

function commandsBelow(
  command: Command,
  operands: readonly string[],
  { program, past }: AllCommands,
): readonly Command[] {
  const visible = (parent: Command): Command[] => parent.createHelp().visibleCommands(parent);
  if (command.name() === 'at' && operands.length > 0) {
    return visible(program).filter((each) => past.has(each.name()));
  }
  if (command.name() === 'help' && operands.length === 0) return visible(program);
  return operands.length === 0 ? visible(command) : [];
}
