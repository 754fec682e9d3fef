import { MAX_NOTE_BYTES } from '../limits.js';
import { parsePrivateKey } from '../log/note-key.js';
import { readKeyText } from '../store/keys/key-file.js';
import type { CommandContext } from './context.js';
import { readInput } from './read-input.js';

/* What a person trusts, and evidence is held against: the flags --key and --against of whatever checks. */

/**
 * Resolves with a verifier key: the text itself, or that of a file; of a private key its public half.
 * @throws {StoreError} FILE_NOT_FOUND, KEY_INVALID, KEY_EXPOSED, IO_FAILED
 */
export async function trustedKey(keyOrFile: string | undefined): Promise<string | undefined> {
  if (keyOrFile === undefined || /\+[0-9a-f]{8}\+/.test(keyOrFile)) return keyOrFile;
  const text = await readKeyText(keyOrFile, 'any');
  return text.startsWith('PRIVATE') ? (await parsePrivateKey(text)).verifierKey : text;
}

/**
 * Resolves with the texts of the checkpoints in files, `-` for the standard input.
 * @throws {StoreError} FILE_NOT_FOUND, IO_FAILED
 */
export function trustedCheckpoints(context: CommandContext, files: readonly string[] = []): Promise<string[]> {
  return Promise.all(
    files.map(async (file) => new TextDecoder().decode(await readInput(context, file, MAX_NOTE_BYTES))),
  );
}
