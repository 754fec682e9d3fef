import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import type { Actions } from './actions.js';
import { addAllCommands } from './commands/all-commands.js';
import { addAt } from './commands/at.js';
import type { Declaration } from './commands/declaration.js';
import { addProgramOptions, commonGroupsLast } from './global-options.js';
import type { Outputs } from './context.js';
import { hintLine } from './failure.js';
import type { CliIo } from './output.js';
import { UsageError } from './exit-codes.js';
import { colorsFor, printable } from './render/text.js';

/** Returns the version of the installed package. */
function version(): string {
  const manifest = JSON.parse(
    readFileSync(nearestManifest(dirname(fileURLToPath(import.meta.url))), 'utf8'),
  ) as unknown;
  const isNamed = typeof manifest === 'object' && manifest !== null && 'version' in manifest;
  return isNamed ? String(manifest.version) : 'unknown';
}

// The compiled file stands at one depth in the package and at another in a checkout.
function nearestManifest(folder: string): string {
  const path = join(folder, 'package.json');
  // At the top of all folders the reader says that it is missing.
  return existsSync(path) || dirname(folder) === folder ? path : nearestManifest(dirname(folder));
}

/** Returns the command line's grammar, each command bound to its action; `color` is false with `--no-color`. */
export function buildProgram(io: CliIo, outputs: Outputs, actions: Actions, color: boolean): Command {
  const program = addProgramOptions(new Command('imagelog'))
    .description('A container image store that never forgets: what it holds, and all that ever happened to it.')
    .version(version(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'show help')
    .helpCommand(false)
    // Options after a command's name are that command's, so that `log --actor` can ask for an actor's events.
    .enablePositionalOptions()
    .showSuggestionAfterError(true)
    .configureHelp({ groupItems: commonGroupsLast, styleTitle: colorsFor(io.stdout, io.env, color).bold })
    .exitOverride();
  configureText(program, io, color);
  const declaration: Declaration = { program, io, outputs, actions };
  addAllCommands(declaration);
  addAt(declaration);
  addHelp(program);
  return program.addHelpText('after', '\nThe store is made by the first `load`. `imagelog help load` shows examples.');
}

// Commander's own help command meets an unknown name with the whole help and no word about it.
function addHelp(program: Command): void {
  program
    .command('help')
    .summary('show help of a command, with examples')
    .description('Show help of a command, with examples.')
    .helpGroup('Help:')
    .argument('[command...]', 'a command')
    .action((names: string[]) => {
      let command: Command | undefined = program;
      for (const name of names) command = command?.commands.find((each) => each.name() === name);
      if (command === undefined) throw new UsageError(`cannot show help of ${names.join(' ')}: no such command`);
      return command.help();
    });
}

function configureText(program: Command, io: CliIo, color: boolean): void {
  const { stdout, stderr } = io;
  const errColors = colorsFor(stderr, io.env, color);
  program.configureOutput({
    writeOut: (text) => void stdout.write(text),
    writeErr: (text) => void stderr.write(text),
    getOutHelpWidth: () => helpWidth(stdout.columns),
    getErrHelpWidth: () => helpWidth(stderr.columns),
    getOutHasColors: () => colorsFor(stdout, io.env, color).isColorSupported,
    getErrHasColors: () => errColors.isColorSupported,
    outputError: (text, write) => {
      const message = printable(
        text
          .trim()
          .replace(/^error: /, '')
          .replaceAll('\n', ' '),
      );
      const hint = hintLine('`imagelog help COMMAND` shows how, with examples', errColors);
      write(`${errColors.red('imagelog:')} ${message}\n${hint}\n`);
    },
  });
}

// Wider lines are hard to read, and narrower ones hold no option with its text.
function helpWidth(columns: number | undefined): number {
  return Math.min(100, Math.max(60, columns ?? 80));
}
