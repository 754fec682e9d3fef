import { parsePrivateKey } from '../../log/note.js';
import { createKeyFile, readKeyText } from '../../store/keys.js';
import { readSidecar } from '../../store/open/sidecar.js';
import type { KeyFlags } from '../command-flags.js';
import { type CommandContext, writeJson } from '../context.js';
import { printable } from '../render/text.js';
import { UsageError } from '../exit-codes.js';

/** `imagelog key`: makes a private key, or looks at one, and prints its verifier key. */
export async function key(context: CommandContext, file: string, { name, show }: KeyFlags): Promise<void> {
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
