import { parsePrivateKey } from '../../log/note.js';
import { createKeyFile, readKeyText } from '../../store/keys.js';
import { readSidecar } from '../../store/open/sidecar.js';
import { type Grammar, nonEmptyText } from '../command.js';
import { type CommandContext, writeJson } from '../context.js';
import { UsageError } from '../exit-codes.js';
import { option } from '../option-values.js';
import { printable } from '../../model/texts.js';

interface KeyFlags {
  readonly name?: string;
  readonly show?: boolean;
}

/** `imagelog key`: creates or shows a private key and prints its verifier key. */
export const keyGrammar: Grammar = () => ({
  about:
    'Writes a new private key to FILE, for its owner alone, and prints the verifier key: give that to everyone who verifies. ' +
    'What the key signed is remembered in the folder FILE.signed, so that it never signs two histories: keep both together.',
  examples: [
    ['imagelog key /etc/imagelog/log.key', 'make a key for the store that is there'],
    ['imagelog key log.key --name example.com/images', 'make a key for a future store, which takes its name from it'],
    ['imagelog key --show log.key', 'print the verifier key of a private key again'],
  ],
  arguments: [['the file of the private key']],
  options: [
    option('--name <origin>', 'the log that it signs for; by default that of the store', nonEmptyText),
    option('--show', 'print the verifier key of an existing private key'),
  ],
  action: key,
});

async function key(context: CommandContext, file: string, { name, show }: KeyFlags): Promise<void> {
  if (show === true && name !== undefined)
    throw new UsageError('--show shows a key that has its name: leave out --name');
  const verifierKey =
    show === true
      ? (await parsePrivateKey(await readKeyText(file, 'private'))).verifierKey
      : await make(context, file, name);
  if (context.json) return writeJson(context, { file, verifierKey });
  await context.out.line(printable(verifierKey));
}

async function make({ directory }: CommandContext, file: string, name: string | undefined): Promise<string> {
  const origin = name ?? (await readSidecar(directory))?.origin;
  if (origin !== undefined) return createKeyFile(file, origin);
  throw new UsageError(`name the log with --name: there is no store in ${directory} that has one`);
}
