import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Readable, Writable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import type { Command, Option } from 'commander';
import { complete, examplesOf, GLOBAL_OPTIONS_HEADING } from '../src/cli/command.js';
import { commands } from '../src/cli/commands.js';
import { Output } from '../src/cli/output.js';
import { buildProgram } from '../src/cli/run.js';
import { TypedLine } from '../src/cli/typed-line.js';

/*
 * Writes the manual pages of the package, from the grammar that the help is made of: imagelog(1), and
 * a page for each command, like imagelog-log(1).
 */

const root = fileURLToPath(new URL('../../', import.meta.url));

/** A page, and the name of its file. */
interface ManPage {
  readonly file: string;
  readonly text: string;
}

/** Returns all pages, for a `release` like `imagelog 0.1.0`. */
export async function manPages(release: string, date: string): Promise<ManPage[]> {
  const program = grammar();
  const documented = await completed(program);
  return [program, ...documented].map((command) => {
    const name = pageName(command);
    const below = command === program ? documented : documented.filter(({ parent }) => parent === command);
    return { file: `${name}.1`, text: `${pageOf(command, { name, release, date, below }).join('\n')}\n` };
  });
}

function grammar(): Command {
  const nowhere = new Writable({ write: (_chunk, _encoding, done) => done() });
  const io = {
    stdin: Readable.from([]),
    stdout: nowhere,
    stderr: nowhere,
    env: {},
    now: Date.now,
    signal: new AbortController().signal,
  };
  const outputs = { out: new Output(nowhere), err: new Output(nowhere) };
  return buildProgram(io, outputs, async () => undefined, { color: false, typed: new TypedLine(commands) });
}

/** The commands below `parent` that have a grammar, and those below them, complete. */
async function completed(parent: Command): Promise<Command[]> {
  const all: Command[] = [];
  for (const command of parent.commands) {
    await complete(command);
    if (examplesOf(command).length > 0) all.push(command, ...(await completed(command)));
  }
  return all;
}

function pageName(command: Command): string {
  return command.parent === null ? command.name() : `${pageName(command.parent)}-${command.name()}`;
}

function typedName(command: Command): string {
  return command.parent === null ? command.name() : `${typedName(command.parent)} ${command.name()}`;
}

interface PageFacts {
  readonly name: string;
  readonly release: string;
  readonly date: string;
  /** The commands of pages below this one. */
  readonly below: readonly Command[];
}

function pageOf(command: Command, { name, release, date, below }: PageFacts): string[] {
  const isProgram = command.parent === null;
  const [title = ''] = command.description().split(':');
  const summary = isProgram ? title.charAt(0).toLowerCase() + title.slice(1) : command.summary();
  const [first = '', ...others] = command.description().split('\n\n');
  return [
    `.TH ${plain(name.toUpperCase())} 1 ${date} "${plain(release)}" imagelog`,
    '.SH NAME',
    `${plain(name)} \\- ${inline(summary)}`,
    '.SH SYNOPSIS',
    `\\fB${plain(typedName(command))}\\fR ${inline(command.usage())}`,
    '.SH DESCRIPTION',
    ...[first, ...others].flatMap((text, at) => [...(at === 0 ? [] : ['.PP']), line(text)]),
    ...listed(
      'ARGUMENTS',
      command.registeredArguments.map((each) => [`\\fI${plain(each.name())}\\fR`, each.description]),
    ),
    ...optionsOf(command),
    ...listed(
      'COMMANDS',
      below.map((each) => [`\\fB${plain(pageName(each))}\\fR(1)`, each.summary()]),
    ),
    ...examplesSection(command),
    ...(isProgram ? [] : ['.SH SEE ALSO', `\\fB${plain(pageName(command.parent as Command))}\\fR(1)`]),
  ];
}

function optionsOf(command: Command): string[] {
  const isGlobal = (option: Option): boolean => option.helpGroupHeading === GLOBAL_OPTIONS_HEADING;
  const visible = command.createHelp().visibleOptions(command);
  const row = (option: Option): [string, string] => [flags(option), option.description];
  const common = visible.filter(isGlobal);
  const own = visible.filter((option) => !isGlobal(option)).map(row);
  if (command.parent === null) return [...listed('OPTIONS', own), ...listed('GLOBAL OPTIONS', common.map(row))];
  const names = common.map((option) => `\\fB${plain(option.long ?? option.flags)}\\fR`);
  return [...listed('OPTIONS', own), '.SH GLOBAL OPTIONS', `${names.join(', ')}: see \\fBimagelog\\fR(1).`];
}

function examplesSection(command: Command): string[] {
  const examples = examplesOf(command);
  if (examples.length === 0) return [];
  return ['.SH EXAMPLES', ...examples.flatMap(([typed, does]) => ['.TP', `\\fB${plain(typed)}\\fR`, line(does)])];
}

function listed(title: string, rows: readonly (readonly [term: string, text: string])[]): string[] {
  if (rows.length === 0) return [];
  return [`.SH ${title}`, ...rows.flatMap(([term, text]) => ['.TP', term, line(text)])];
}

function flags({ flags: text }: Option): string {
  const [names = '', ...value] = text.split(' ');
  const last = value.pop();
  const bold = [names, ...value].map((each) => `\\fB${plain(each.replace(/,$/, ''))}\\fR`).join(', ');
  if (last === undefined) return bold;
  return last.startsWith('-')
    ? `${bold}, \\fB${plain(last)}\\fR`
    : `${bold} \\fI${plain(last.replace(/[<>]/g, ''))}\\fR`;
}

/** A line of text, which roff must not take for a request. */
function line(text: string): string {
  return inline(text).replace(/^(?=[.'])/, '\\&');
}

/** Text with what is in backticks in bold. */
function inline(text: string): string {
  return plain(text).replace(/`([^`]+)`/g, '\\fB$1\\fR');
}

/** Escapes what roff would change: backslashes, and hyphens, which it would make dashes. */
function plain(text: string): string {
  return text
    .replaceAll('\\', '\\e')
    .replaceAll('-', '\\-')
    .replaceAll("'", '\\(aq')
    .replaceAll('"', '\\(dq')
    .replaceAll('~', '\\(ti')
    .replaceAll('^', '\\(ha')
    .replace(/[^\n -~]/gu, (character) => `\\[u${hex(character)}]`);
}

function hex(character: string): string {
  return (character.codePointAt(0) ?? 0).toString(16).toUpperCase().padStart(4, '0');
}

/** Writes the pages of this package to dist/man. */
async function writeManPages(): Promise<void> {
  const { name, version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Record<string, string>;
  const epoch = process.env['SOURCE_DATE_EPOCH'];
  const day = (epoch === undefined ? new Date() : new Date(Number(epoch) * 1_000)).toISOString().slice(0, 10);
  const folder = join(root, 'dist', 'man');
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  for (const { file, text } of await manPages(`${name} ${version}`, day)) writeFileSync(join(folder, file), text);
}

if (process.argv[1] === fileURLToPath(import.meta.url)) await writeManPages();
