import { Command } from 'commander';
import type { Actions } from './actions.js';
import { addArchiveCommands } from './commands/archives.js';
import type { Declaration } from './commands/declaration.js';
import { commonGroupsLast } from './command-help.js';
import { addImageCommands } from './commands/images.js';
import { addLogCommands } from './commands/log.js';
import { addReferenceCommands } from './commands/references.js';
import type { Outputs } from './context.js';
import { hintLine } from './failure.js';
import { addProgramOptions } from './global-options.js';
import type { CliIo } from './io.js';
import { version } from './version.js';
import { colorsFor } from './render/colors.js';
import { printable } from './render/printable.js';

/** Returns the command line's grammar, each command bound to its action. */
export function buildProgram(io: CliIo, outputs: Outputs, actions: Actions): Command {
  const program = addProgramOptions(new Command('imagelog'))
    .description('A container image store that never forgets: what it holds, and all that ever happened to it.')
    .version(version(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'show help')
    .helpCommand('help [command]', 'show help of a command, with examples')
    // Options after a command's name are that command's, so that `log --actor` can ask for an actor's events.
    .enablePositionalOptions()
    .showSuggestionAfterError(true)
    .configureHelp({ groupItems: commonGroupsLast, styleTitle: colorsFor(io.stdout, io.env, true).bold })
    .exitOverride();
  configureText(program, io);
  const declaration: Declaration = { program, io, outputs, actions };
  addArchiveCommands(declaration);
  addImageCommands(declaration);
  addReferenceCommands(declaration);
  addLogCommands(declaration);
  return program.addHelpText('after', '\nThe store is made by the first `load`. `imagelog help load` shows examples.');
}

function configureText(program: Command, io: CliIo): void {
  const { stdout, stderr } = io;
  const errColors = colorsFor(stderr, io.env, true);
  program.configureOutput({
    writeOut: (text) => void stdout.write(text),
    writeErr: (text) => void stderr.write(text),
    getOutHelpWidth: () => helpWidth(stdout.columns),
    getErrHelpWidth: () => helpWidth(stderr.columns),
    getOutHasColors: () => colorsFor(stdout, io.env, true).isColorSupported,
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
