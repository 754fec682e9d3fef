import { Command } from 'commander';
import type { When } from '../../store/past/audit.js';
import { addCommands, addGlobalOptions, type Grammar } from '../command.js';
import type { CommandContext } from '../context.js';
import { pointInTime, WHEN_HELP } from '../option-values.js';
import { PAST_PROGRAM } from '../typed-line.js';

/** `imagelog at`: runs another command at a past point in time. */
export const atGrammar: Grammar = (declaration, command) => ({
  about:
    `Takes images, tree, search, inspect, history, meta, referrers, resolve, refs, log and stats, with their options. ${WHEN_HELP} ` +
    'Includes images that were deleted since. Standard error names the event that decided the answer.',
  examples: [
    ['imagelog at 2026-01-31 images --tree', 'draw the images at the end of that day'],
    ['imagelog at 2h inspect shop/app:prod', 'show the image of two hours ago, even if deleted since'],
    ['imagelog at @1200 refs shop/app:prod --json', 'show the periods of a name up to event 1200'],
    ['imagelog at "last tuesday 14:00" resolve shop/app:prod', 'print what it was then, by the clock on the wall'],
    ['imagelog at 2026-01-31T14:05+01:00 resolve shop/app:prod', 'print what it was at that moment'],
  ],
  arguments: [['the point in time', pointInTime(declaration.io)], ['the command with its options']],
  passThrough: true,
  action: async (_: CommandContext, at: When, words: readonly string[]) => {
    const program = addGlobalOptions(new Command(PAST_PROGRAM), 'reads')
      .copyInheritedSettings(command)
      .helpCommand(false);
    // A child of `command`, so that earlier options apply.
    program.parent = command;
    const commands = declaration.commands.filter(({ usage }) => !usage.startsWith('at '));
    addCommands(program, { ...declaration, commands, at });
    await program.parseAsync(words, { from: 'user' });
  },
});
