import { existsSync, readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Command } from 'commander';
import { type Act, addCommands, addGlobalOptions, commonGroupsLast, complete } from './command.js';
import { commands } from './commands.js';
import type { Outputs } from './context.js';
import { exitCodes, exitCodesText, UsageError } from './exit-codes.js';
import { hintLine, reportFailure } from './failure.js';
import { type CliIo, Output, OutputFailed } from './output.js';
import { colorsFor, printable } from './render/text.js';

/**
 * Runs one command line (`argv` without the program name). Returns the exit code: 0 done, 1 failed,
 * 2 usage, 3 not found, 4 damage, 130 and 143 interrupted. Never throws; all output is flushed.
 */
export async function run(argv: readonly string[], io: CliIo, act: Act = (_, action) => action()): Promise<number> {
  const outputs = { out: new Output(io.stdout), err: new Output(io.stderr) };
  let code = await perform(argv, io, outputs, act);
  await outputs.out.flush();
  // The last lines may fail after the action has finished.
  const failure: unknown = outputs.out.closed.reason;
  if (code === exitCodes.done && failure instanceof OutputFailed) {
    code = await reportFailure(failure, io, outputs, wantsColor(argv));
  }
  await outputs.err.flush();
  return code;
}

async function perform(
  argv: readonly string[],
  io: CliIo,
  outputs: { readonly out: Output; readonly err: Output },
  act: Act,
): Promise<number> {
  const color = wantsColor(argv);
  try {
    await buildProgram(io, outputs, act, color).parseAsync([...argv], { from: 'user' });
    return exitCodes.done;
  } catch (error) {
    return reportFailure(error, io, outputs, color);
  }
}

// Help and usage errors are printed before the options are parsed.
function wantsColor(argv: readonly string[]): boolean {
  return !argv.includes('--no-color');
}

/** Builds the command line grammar; `color` is false with `--no-color`. */
function buildProgram(io: CliIo, outputs: Outputs, act: Act, color: boolean): Command {
  // Options before the command name may belong to any command.
  const program = addGlobalOptions(new Command('imagelog'), 'writes')
    .description('A container image store that never forgets: its images, and all that ever happened to them.')
    .version(version(), '-V, --version', 'print the version')
    .helpOption('-h, --help', 'show help')
    .helpCommand(false)
    // Options after a command name are the command's own, so `log --actor` can filter events.
    .enablePositionalOptions()
    .showSuggestionAfterError(true)
    .configureHelp({ groupItems: commonGroupsLast, styleTitle: colorsFor(io.stdout, io.env, color).bold })
    .exitOverride();
  configureText(program, io, color);
  addCommands(program, { io, outputs, act, commands });
  addHelp(program);
  return program
    .addHelpText('after', '\nThe first `load` creates the store. `imagelog help load` shows examples.')
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
        const below = command.commands.find((each) => each.name() === name);
        if (below === undefined) throw new UsageError(`cannot show help of ${names.join(' ')}: no such command`);
        await complete(below);
        command = below;
      }
      command.help();
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

// Wider lines are hard to read; narrower ones cannot fit an option and its text.
function helpWidth(columns: number | undefined): number {
  return Math.min(100, Math.max(60, columns ?? 80));
}

function version(): string {
  const manifest = JSON.parse(
    readFileSync(nearestManifest(dirname(fileURLToPath(import.meta.url))), 'utf8'),
  ) as unknown;
  const isNamed = typeof manifest === 'object' && manifest !== null && 'version' in manifest;
  return isNamed ? String(manifest.version) : 'unknown';
}

// The compiled file's depth differs between package and checkout.
function nearestManifest(folder: string): string {
  const path = join(folder, 'package.json');
  // At the filesystem root, let the read fail with the missing file.
  return existsSync(path) || dirname(folder) === folder ? path : nearestManifest(dirname(folder));
}
