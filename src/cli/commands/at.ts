import { Argument, Command } from 'commander';
import type { When } from '../../store/past/audit.js';
import { addGlobalOptions } from '../global-options.js';
import { WHEN_HELP } from '../when.js';
import { addAllCommands } from './all-commands.js';
import { PAST_GROUP } from './diff.js';
import { type Declaration, declareCommand } from './declaration.js';
import { pointInTime } from './option-values.js';

/** Declares `at`, which runs another command as of a point in time. */
export function addAt(declaration: Declaration): void {
  const command = declareCommand(declaration, {
    usage: 'at',
    group: PAST_GROUP,
    summary: 'run a command that reads, in the past',
    about:
      `Takes images, tree, inspect, history, resolve, refs, log and stats, with their options. ${WHEN_HELP} ` +
      'Images that were deleted since are there.',
    kind: 'reads',
    examples: [
      ['imagelog at 2026-01-31 images --tree', 'draw what was there at the end of that day'],
      ['imagelog at 2h inspect shop/app:prod', 'show what ran two hours ago, also when it was deleted since'],
      ['imagelog at "#1200" refs shop/app:prod --json', 'what was known of a name after event 1200'],
      ['imagelog at 2026-01-31T14:05+01:00 resolve shop/app:prod', 'print what it was at that moment'],
    ],
  });
  command
    .addArgument(new Argument('<when>', 'the point in time').argParser(pointInTime(declaration.io.now)))
    .argument('<command...>', 'the command with its options')
    // What follows the point in time is that command's.
    .passThroughOptions()
    .action(async (at: When, words: string[]) => {
      await inPast(declaration, command, at).parseAsync(words, { from: 'user' });
    });
}

/** Returns the commands as of `at`: they stand below `command`, so that its options and those before it hold. */
function inPast(declaration: Declaration, command: Command, at: When): Command {
  const program = addGlobalOptions(new Command('WHEN'), 'reads').copyInheritedSettings(command).helpCommand(false);
  program.parent = command;
  addAllCommands({ ...declaration, program, at });
  return program;
}
