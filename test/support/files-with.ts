import { randomBytes } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';

/** Text that nothing compresses and no other test has, 128 characters. */
export function newSecret(): string {
  return randomBytes(96).toString('base64url');
}

/** Characters that stand together in a file wherever the secret does, also where LevelDB compressed what is around it. */
const PIECE_LENGTH = 16;

/** Resolves with the files below `directory` that have a piece of `secret` in them. */
export async function filesWith(directory: string, secret: string): Promise<string[]> {
  const pieces = secret.match(new RegExp(`.{${PIECE_LENGTH}}`, 'g')) ?? [];
  const entries = await readdir(directory, { recursive: true, withFileTypes: true });
  const found: string[] = [];
  for (const entry of entries.filter((each) => each.isFile())) {
    const path = join(entry.parentPath, entry.name);
    const bytes = await readFile(path);
    if (pieces.some((piece) => bytes.includes(piece))) found.push(path);
  }
  return found.sort();
}
