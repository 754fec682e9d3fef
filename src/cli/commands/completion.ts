import { InvalidArgumentError } from 'commander';
import { loadCode } from '../../errors.js';
import type { Grammar } from '../command.js';
import type { CommandContext } from '../context.js';
import { scripts, type Shell, shells } from '../completion/scripts.js';
import { printable } from '../render/text.js';

/** `imagelog completion`: prints a script that completes command lines, or what completes one. */
export const completionGrammar: Grammar = ({ commands }, command) => {
  const past = new Set(commands.flatMap((each) => (each.past === true ? [each.usage.split(' ')[0] ?? ''] : [])));
  // The script gives the words to complete after the shell.
  command.allowExcessArguments();
  return {
    about:
      'Completes commands, options, references, ids, consumers and files. The script asks this command for each word, with ' +
      'the words typed so far after the shell; names come from the server that holds the store, if there is one, else ' +
      'the store is only read. A failure gives nothing.',
    examples: [
      ['imagelog completion bash', 'for ~/.bashrc: source <(imagelog completion bash)'],
      ['imagelog completion zsh', 'for ~/.zshrc, after compinit: source <(imagelog completion zsh)'],
      ['imagelog completion fish | source', 'in ~/.config/fish/config.fish'],
    ],
    arguments: [['bash, zsh or fish', shellName]],
    action: async (context: CommandContext, shell: Shell) => {
      const { out } = context;
      const words = command.args.slice(1);
      if (words.length === 0) return out.line(scripts[shell]);
      const { candidatesFor } = await loadCode('of completion', import('../completion/candidates.js'));
      const all = { entries: commands, program: command.parent ?? command, past };
      const { kind, values } = await candidatesFor(all, words, context);
      await out.line(kind);
      for (const { value, description = '' } of values) await out.line(`${value}\t${printable(description)}`);
    },
  };
};

function shellName(text: string): Shell {
  const shell = shells.find((each) => each === text);
  if (shell !== undefined) return shell;
  throw new InvalidArgumentError('The shells are bash, zsh and fish.');
}
