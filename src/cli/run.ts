import { Command } from 'commander';
import { type Act, addCommands, addGlobalOptions, commandTerm, commonGroupsLast, complete } from './command.js';
import { withConfig } from './settings.js';
import { commands } from './commands.js';
import type { Outputs } from './context.js';
import { exitCodes, exitCodesText, UsageError } from './exit-codes.js';
import { hintLine, type Reporting, reportFailure, usageHint } from './failure.js';
import { type CliIo, Output, OutputFailed } from './output.js';
import { printable } from '../model/texts.js';
import { colorsFor } from './render/text.js';
import { TypedLine } from './typed-line.js';
import { version } from '../store/version.js';

/**
 * Runs one command line (`argv` without the program name). Returns the exit code: 0 done, 1 failed,
 * 2 usage, 3 not found, 4 damage, 5 busy, 130 and 143 interrupted. Never throws; all output is flushed.
 */
export async function run(argv: readonly string[], io: CliIo, act: Act = (_, action) => action()): Promise<number> {
  const outputs = { out: new Output(io.stdout), err: new Output(io.stderr) };
  // Help and usage errors are printed before the options are parsed.
  const reporting = { color: !argv.includes('--no-color'), typed: new TypedLine(commands) };
  let code = await perform(argv, io, { outputs, act, reporting });
  await outputs.out.flush();
  // The last lines may fail after the action has finished.
  const failure: unknown = outputs.out.closed.reason;
  if (code === exitCodes.done && failure instanceof OutputFailed) {
    code = await reportFailure(failure, io, outputs, reporting);
  }
  await outputs.err.flush();
  return code;
}

interface Performance {
  readonly outputs: { readonly out: Output; readonly err: Output };
  readonly act: Act;
  readonly reporting: Reporting;
}

async function perform(argv: readonly string[], io: CliIo, { outputs, act, reporting }: Performance): Promise<number> {
  try {
    const { configured, perform } = configure(io, act);
    await buildProgram(configured, outputs, perform, reporting).parseAsync([...argv], { from: 'user' });
    return exitCodes.done;
  } catch (error) {
    return reportFailure(error, io, outputs, reporting);
  }
}

/** Commands that work without the configuration file, as help does: a shell runs one when it starts. */
const WITHOUT_CONFIG: readonly string[] = ['completion', 'version'];

/**
 * Applies the configuration file; one that cannot be read fails a command when it is performed. A
 * client of a server has applied its own.
 */
function configure(io: CliIo, act: Act): { readonly configured: CliIo; readonly perform: Act } {
  if (io.client !== undefined) return { configured: io, perform: act };
  try {
    return { configured: withConfig(io), perform: act };
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    const perform: Act = async (name, action, args) => {
      if (!WITHOUT_CONFIG.includes(name)) throw error;
      await act(name, action, args);
    };
    return { configured: io, perform };
  }
}

/** Builds the command line grammar. */
export function buildProgram(io: CliIo, outputs: Outputs, act: Act, { color, typed }: Reporting): Command {
  // Options before the command name may belong to any command.
  const program = addGlobalOptions(new Command('imagelog'), 'writes')
    .description('A container image store that never forgets: its images, and all that ever happened to them.')
    .version(version(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'show help')
    .helpCommand(false)
    // Options after a command name are the command's own, so `log --actor` can filter events.
    .enablePositionalOptions()
    .showSuggestionAfterError(true)
    .configureHelp({
      groupItems: commonGroupsLast,
      subcommandTerm: commandTerm,
      styleTitle: colorsFor(io.stdout, io.env, color).bold,
    })
    .exitOverride();
  configureText(program, io, { color, typed });
  addCommands(program, { io, outputs, act, commands, typed, run });
  addHelp(program);
  return program
    .addHelpText(
      'after',
      '\nThe first `load` creates the store. `imagelog help load` shows examples, and\n`imagelog help log` how to search: a ticket, a pattern, what was deleted, what a\nconsumer still owes, as CSV.',
    )
    .addHelpText('after', `\nExit codes: ${exitCodesText.join('\n  ')}`);
}

// Commander's own help command answers an unknown name with the full help and no error.
function addHelp(program: Command): void {
  program
    .command('help')
    .summary('show help of a command, with examples')
    .description('Show help of a command, with examples.')
    .helpGroup('Help:')
    .argument('[command...]', 'a command')
    .action(async (names: string[]) => {
      let command = program;
      for (const name of names) {
        const below = command.commands.find((each) => each.name() === name || each.aliases().includes(name));
        if (below === undefined) throw new UsageError(`cannot show help of ${names.join(' ')}: no such command`);
        await complete(below);
        command = below;
      }
      command.help();
    });
}

function configureText(program: Command, io: CliIo, { color, typed }: Reporting): void {
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
      const hint = hintLine(usageHint(typed), errColors);
      write(`${errColors.red('imagelog:')} ${message}\n${hint}\n`);
    },
  });
}

// Wider lines are hard to read; narrower ones cannot fit an option and its text.
function helpWidth(columns: number | undefined): number {
  return Math.min(100, Math.max(60, columns ?? 80));
}
