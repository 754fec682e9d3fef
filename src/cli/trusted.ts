import type { CommandContext } from './context.js';
import { MAX_NOTE_BYTES } from '../limits.js';

/**
 * Reads `path` (`-`: standard input); stops past `limitBytes`, for the parser to reject.
 * @throws {StoreError} FILE_NOT_FOUND, IO_FAILED
 */
export async function readInput({ io, files }: CommandContext, path: string, limitBytes: number): Promise<Uint8Array> {
  return path === '-' ? readStream(io.stdin, limitBytes) : files.read(path, limitBytes);
}

async function readStream(stream: AsyncIterable<Uint8Array>, limitBytes: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of stream) {
    chunks.push(chunk);
    size += chunk.length;
    if (size > limitBytes) break;
  }
  return Buffer.concat(chunks);
}

/* Trust anchors to check evidence against: the --key and --against flags. */

/**
 * Resolves a verifier key, given as text or file; a private key yields its public half.
 * @throws {StoreError} FILE_NOT_FOUND, KEY_INVALID, KEY_EXPOSED, IO_FAILED
 */
export async function trustedKey(
  { files }: CommandContext,
  keyOrFile: string | undefined,
): Promise<string | undefined> {
  if (keyOrFile === undefined || /\+[0-9a-f]{8}\+/.test(keyOrFile)) return keyOrFile;
  return files.verifierKey(keyOrFile);
}

/** Reads checkpoints, `-` for standard input. @throws {StoreError} FILE_NOT_FOUND, IO_FAILED */
export function trustedCheckpoints(context: CommandContext, files: readonly string[] = []): Promise<string[]> {
  return Promise.all(
    files.map(async (file) => new TextDecoder().decode(await readInput(context, file, MAX_NOTE_BYTES))),
  );
}
