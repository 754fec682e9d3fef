import { InvalidArgumentError } from 'commander';
import { loadCode } from '../../errors.js';
import type { Grammar } from '../command.js';
import type { CommandContext } from '../context.js';
import { type Shell, shells } from '../completion/shells.js';
import { printable } from '../render/text.js';

/** `imagelog completion`: prints a script that completes command lines, or what completes one. */
export const completionGrammar: Grammar = ({ io }, command) => ({
  about:
    'Completes commands, options, references, ids, consumers and files. The script asks this command for each word, with ' +
    'the words typed so far after the shell; the store is then only read, and a failure gives nothing.',
  examples: [
    ['source <(imagelog completion bash)', 'in ~/.bashrc, for bash'],
    ['source <(imagelog completion zsh)', 'in ~/.zshrc after compinit, for zsh'],
    ['imagelog completion fish | source', 'in ~/.config/fish/config.fish, for fish'],
  ],
  arguments: [['bash, zsh or fish', shellName], ['the words to complete, as the script gives them']],
  action: async ({ out, signal }: CommandContext, shell: Shell, words: readonly string[]) => {
    if (words.length === 0) {
      const { scripts } = await loadCode('of completion', import('../completion/scripts.js'));
      return out.line(scripts[shell]);
    }
    const { candidatesFor } = await loadCode('of completion', import('../completion/candidates.js'));
    const { kind, values } = await candidatesFor(command.parent ?? command, words, { env: io.env, signal });
    await out.line(kind);
    for (const { value, description = '' } of values) await out.line(`${value}\t${printable(description)}`);
  },
});

function shellName(text: string): Shell {
  const shell = shells.find((each) => each === text);
  if (shell !== undefined) return shell;
  throw new InvalidArgumentError('The shells are bash, zsh and fish.');
}
