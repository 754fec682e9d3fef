import { Command } from 'commander';
import type { When } from '../../store/past/audit.js';
import { addCommands, addGlobalOptions, type Grammar } from '../command.js';
import type { CommandContext } from '../context.js';
import { pointInTime, WHEN_HELP } from '../option-values.js';

/** `imagelog at`: runs another command at a past point in time. */
export const atGrammar: Grammar = (declaration, command) => ({
  about:
    `Takes images, tree, inspect, history, resolve, refs, log and stats, with their options. ${WHEN_HELP} ` +
    'Images that were deleted since are there.',
  examples: [
    ['imagelog at 2026-01-31 images --tree', 'draw what was there at the end of that day'],
    ['imagelog at 2h inspect shop/app:prod', 'show what ran two hours ago, also when it was deleted since'],
    ['imagelog at "#1200" refs shop/app:prod --json', 'what was known of a name after event 1200'],
    ['imagelog at 2026-01-31T14:05+01:00 resolve shop/app:prod', 'print what it was at that moment'],
  ],
  arguments: [['the point in time', pointInTime(declaration.io.now)], ['the command with its options']],
  passThrough: true,
  action: async (_: CommandContext, at: When, words: readonly string[]) => {
    const program = addGlobalOptions(new Command('WHEN'), 'reads').copyInheritedSettings(command).helpCommand(false);
    // A child of `command`, so that earlier options apply.
    program.parent = command;
    const commands = declaration.commands.filter(({ usage }) => !usage.startsWith('at '));
    addCommands(program, { ...declaration, commands, at });
    await program.parseAsync(words, { from: 'user' });
  },
});
