import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { PassThrough } from 'node:stream';
import { text } from 'node:stream/consumers';
import type { Argument, Command, Option } from 'commander';
import { loadCode } from '../../errors.js';
import { hexPrefix } from '../../model/digest.js';
import { eventTypes } from '../../model/event-table.js';
import { familiarReference } from '../../model/reference.js';
import { isPrintable, shortId } from '../../model/texts.js';
import type { EventStore } from '../../store/event-store.js';
import { type Target, targetOf } from '../client/target.js';
import { type CommandEntry, complete } from '../command.js';
import type { CommandContext } from '../context.js';
import { exitCodes } from '../exit-codes.js';
import { openFor } from '../open-for.js';
import type { CliIo } from '../output.js';
import { shells } from './scripts.js';

/** A value that may complete a word. */
interface Candidate {
  readonly value: string;
  readonly description?: string;
}

/** What may complete a word: these values, or what the shell finds in the file system. */
interface Candidates {
  readonly kind: 'words' | 'files' | 'folders';
  readonly values: readonly Candidate[];
}

/** A person waits at the keyboard: a store that takes longer to open, or a server to answer, gives no values. */
const ANSWER_TIMEOUT_MS = 1_000;

type Kind = 'files' | 'folders' | 'references' | 'images' | 'events' | 'shells' | 'consumers';

/** What an argument or the value of an option is, by its name in the grammar. */
const kinds: Readonly<Record<string, Kind>> = {
  file: 'files',
  files: 'files',
  dir: 'folders',
  directory: 'folders',
  reference: 'references',
  tag: 'references',
  image: 'images',
  types: 'events',
};

/** What an argument is. An option's `<name>` is that of an actor, or a new one. */
const argumentKinds: Readonly<Record<string, Kind>> = {
  ...kinds,
  source: 'images',
  name: 'images',
  names: 'images',
  shell: 'shells',
};

/** Options whose `<name>` is of these. */
const optionKinds: Readonly<Record<string, Kind>> = {
  '--reference': 'references',
  '--image': 'images',
  '--consumer': 'consumers',
};

/**
 * Returns what may complete the last of `words`, which may be empty, after the others. Names are
 * those of the server that holds the store, if there is one; else the store is only read, and no
 * lock is waited for. What cannot be read gives nothing.
 */
export async function candidatesFor(
  all: AllCommands,
  words: readonly string[],
  context: CommandContext,
): Promise<Candidates> {
  const before = words.slice(0, -1).map(unquoted);
  const word = unquoted(words.at(-1) ?? '');
  const line = await parseLine(all, before);
  const { kind, values } = await candidates(line, word, all, context);
  const fitting = values.filter(({ value }) => value.startsWith(word) && isPrintable(value) && !/\s/.test(value));
  return { kind, values: fitting };
}

async function candidates(
  line: CommandLine,
  word: string,
  all: AllCommands,
  context: CommandContext,
): Promise<Candidates> {
  if (line.option !== undefined) return valuesOf(line.option, line, word, { all, context });
  const [flag = '', ...value] = line.areOptionsOver ? [] : word.split('=');
  if (flag.startsWith('--') && value.length > 0) {
    const option = optionOf(line.command, flag);
    if (option?.required !== true) return wordsOf([]);
    const { kind, values } = await valuesOf(option, line, value.join('='), { all, context });
    return { kind, values: values.map((each) => ({ ...each, value: `${flag}=${each.value}` })) };
  }
  if (word.startsWith('-') && !line.areOptionsOver) return wordsOf(optionsOf(line.command));
  const commands = nextCommands(line, all);
  const named = commands.map((each) => ({ value: each.name(), description: each.summary() }));
  const argument = nextArgument(line);
  if (argument === undefined || line.command.name() === 'help') return wordsOf(named);
  const { kind, values } = await valuesOf(argument, line, word, { all, context });
  return { kind, values: [...named, ...values] };
}

function wordsOf(values: readonly Candidate[]): Candidates {
  return { kind: 'words', values };
}

function optionsOf(command: Command): Candidate[] {
  return command
    .createHelp()
    .visibleOptions(command)
    .flatMap(({ long, description }) => (long == null ? [] : [{ value: long, description }]));
}

async function valuesOf(of: Argument | Option, line: CommandLine, word: string, asking: Asking): Promise<Candidates> {
  if (of.argChoices !== undefined) return wordsOf(of.argChoices.map((value) => ({ value })));
  const kind = kindOf(of, line);
  if (kind === 'files' || kind === 'folders') return { kind, values: [] };
  if (kind === 'events') return wordsOf(eventTypes.map((value) => ({ value })));
  if (kind === 'shells') return wordsOf(shells.map((value) => ({ value })));
  if (kind === undefined) return wordsOf([]);
  return wordsOf(await fromStore(line, asking, wantedOf(kind, word)));
}

function kindOf(of: Argument | Option, { command }: CommandLine): Kind | undefined {
  if ('flags' in of) return optionKinds[of.long ?? ''] ?? kinds[/<([a-z-]+)>/.exec(of.flags)?.[1] ?? ''];
  return command.parent?.name() === 'consumers' ? 'consumers' : argumentKinds[of.name()];
}

function wantedOf(kind: 'consumers' | 'images' | 'references', word: string): Wanted {
  if (kind === 'consumers') return { question: ['log', '--consumer', word], read: consumersIn };
  const question = [kind === 'images' ? 'inspect' : 'untag', word];
  return { question, read: (store) => namesIn(store, kind === 'images' ? word : '') };
}

/** What a question for names needs. */
interface Asking {
  readonly all: AllCommands;
  readonly context: CommandContext;
}

/** Names in a store, by what asks a server for them: words of which they complete the last, and nothing else does. */
interface Wanted {
  readonly question: readonly string[];
  readonly read: (store: EventStore) => Candidate[] | Promise<Candidate[]>;
}

async function fromStore(
  line: CommandLine,
  { all, context }: Asking,
  { question, read }: Wanted,
): Promise<Candidate[]> {
  const { io, signal } = context;
  const typed = line.values.get('store');
  try {
    if (io.client !== undefined) return await read(await openFor(context, 'read'));
    const soon = AbortSignal.any([signal, AbortSignal.timeout(ANSWER_TIMEOUT_MS)]);
    const target = targetOf(['inspect', ...placeOf(line)], io.env, all.entries);
    const answer = target === undefined ? undefined : await fromServer(target, question, io, soon);
    if (answer !== undefined) return answer;
    if (target?.isFound === false) return [];
    const { openStore } = await loadCode('of an open store', import('../../store/open/open-store.js'));
    const directory = typed === undefined ? context.directory : resolve(typed);
    await using store = await openStore(directory, { readOnly: true, onNotice: () => undefined, signal: soon });
    return await read(store);
  } catch {
    // No store, or none that opens: an error would be printed into the line being typed.
    return [];
  }
}

/** The options of a line that say which store is meant. */
function placeOf({ values, isHostRefused }: CommandLine): string[] {
  const named = ['store', 'host'].flatMap((name) => {
    const value = values.get(name);
    return value === undefined ? [] : [`--${name}`, value];
  });
  return isHostRefused ? [...named, '--no-host'] : named;
}

/** Has a server complete the last of `words`; undefined if it does not. */
async function fromServer(
  target: Target,
  words: readonly string[],
  { env, now, timeZone }: CliIo,
  signal: AbortSignal,
): Promise<Candidate[] | undefined> {
  const { connect } = await loadCode('of a client', import('../client/connect.js'));
  const { runRemote } = await loadCode('of a client', import('../client/run-remote.js'));
  const connection = await connect(target, env, signal).catch(() => undefined);
  if (connection === undefined) return undefined;
  const cut = (): void => void connection.socket.destroy();
  signal.addEventListener('abort', cut);
  const [stdout, stderr] = [new PassThrough(), new PassThrough().resume()];
  const answer = text(stdout);
  try {
    const io = { env, now, timeZone, stdin: new PassThrough(), stdout, stderr, signal };
    // The options that say which server were typed into another command line.
    const asked = { ...target, store: undefined, host: undefined };
    const code = await runRemote(['completion', 'bash', '--', ...words], {
      io,
      isInputTerminal: false,
      target: asked,
      connection,
    });
    stdout.end();
    if (code !== exitCodes.done) return undefined;
    const [, ...lines] = (await answer).trimEnd().split('\n');
    return lines.map((line) => {
      const [value = '', description = ''] = line.split('\t');
      return { value, description };
    });
  } catch {
    return undefined;
  } finally {
    signal.removeEventListener('abort', cut);
    stdout.destroy();
  }
}

async function consumersIn(store: EventStore): Promise<Candidate[]> {
  const consumers = await store.consumers();
  return consumers.map(({ name, position }) => ({ value: name, description: `at event ${position}` }));
}

/** The references, and for the beginning of an id the ids. */
function namesIn(store: EventStore, word: string): Candidate[] {
  const references = store.referenceEntries().map(({ reference, image }) => ({
    value: familiarReference(reference),
    description: image === undefined ? 'artifact' : shortId(image),
  }));
  const digits = hexPrefix(word);
  if (digits === undefined) return references;
  const ids = [...store.map().keys()].filter((id) => id.startsWith(`sha256:${digits}`));
  const shown = ids.map((id) => ({
    value: word.startsWith('sha256:') ? id : shortId(id),
    description: store.references(id).map(familiarReference).join(', '),
  }));
  return [...references, ...shown];
}

/** Takes the quotes off a word as it was typed, and puts the home directory in place of `~`. */
function unquoted(word: string): string {
  const plain = word.replaceAll(/\\(.)|['"]/g, (_, escaped?: string) => escaped ?? '');
  return plain.startsWith('~/') ? join(homedir(), plain.slice(2)) : plain;
}

/** The commands of the command line. */
interface AllCommands {
  readonly entries: readonly CommandEntry[];
  readonly program: Command;
  /** Names of those that `imagelog at` runs. */
  readonly past: ReadonlySet<string>;
}

/** An unfinished command line: what it consists of up to the word to complete. */
interface CommandLine {
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
async function parseLine(all: AllCommands, words: readonly string[]): Promise<CommandLine> {
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
function nextCommands({ command, operands }: CommandLine, all: AllCommands): readonly Command[] {
  return commandsBelow(command, operands, all);
}

/** Returns the argument that the next word is; undefined if the command takes no more. */
function nextArgument({ command, operands }: CommandLine): Argument | undefined {
  const { registeredArguments } = command;
  const last = registeredArguments.at(-1);
  return registeredArguments[operands.length] ?? (last?.variadic === true ? last : undefined);
}

/** Returns the option of `command` with this flag. */
function optionOf(command: Command, flag: string): Option | undefined {
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
