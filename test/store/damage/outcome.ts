import { lstat, readdir, readFile, readlink } from 'node:fs/promises';
import { join } from 'node:path';
import { isStoreError, type StoreError } from '../../../src/errors.js';
import type { OpenOptions } from '../../../src/store/store.js';
import { type Answers, answersOf } from './answers.js';

/** What becomes of a damaged store: it is refused, or opens and refuses some answers, or answers as it did before. */
export type Outcome =
  | { readonly is: 'refused'; readonly error: StoreError }
  | { readonly is: 'partial'; readonly refused: ReadonlyMap<string, StoreError> }
  | { readonly is: 'whole' };

export interface OutcomeOptions extends OpenOptions {
  /** Files that a refused open may have changed: LevelDB rewrites its own before anything can be read. */
  readonly mayChange?: RegExp;
}

/**
 * Opens a damaged store and asks it everything. Throws when an answer is another than that of the whole store, when an error is not one of
 * the store's, or when an open that was refused changed a file.
 */
export async function outcomeOf(
  directory: string,
  whole: Answers,
  { mayChange, ...options }: OutcomeOptions = {},
): Promise<Outcome> {
  const before = await namesAndBytes(directory);
  let answers: Answers;
  try {
    answers = await answersOf(directory, { actor: 'tester', ...options });
  } catch (error) {
    if (!isStoreError(error)) throw error;
    const changes = changesBetween(before, await namesAndBytes(directory)).filter((path) => !mayChange?.test(path));
    if (changes.length > 0) throw new Error(`a refused open (${error.message}) changed ${changes.join(', ')}`);
    return { is: 'refused', error };
  }
  const refused = new Map<string, StoreError>();
  for (const [question, answer] of whole) {
    const found = answers.get(question);
    if (isStoreError(found)) refused.set(question, found);
    else if (found !== answer) throw new Error(`${question}: ${String(found)}\nexpected ${String(answer)}`);
  }
  return refused.size === 0 ? { is: 'whole' } : { is: 'partial', refused };
}

/** Everything below a directory: what each path is, and the bytes of files, but for those that LevelDB writes about itself. */
async function namesAndBytes(directory: string): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const entry of await readdir(directory, { recursive: true })) {
    if (/^log\/LO(?:CK|G|G\.old)$/.test(entry)) continue;
    const path = join(directory, entry);
    const status = await lstat(path);
    if (status.isFile()) found.set(entry, (await readFile(path)).toString('latin1'));
    else if (status.isSymbolicLink()) found.set(entry, `link to ${await readlink(path)}`);
    else found.set(entry, status.isDirectory() ? 'directory' : 'special');
  }
  return found;
}

function changesBetween(before: ReadonlyMap<string, string>, after: ReadonlyMap<string, string>): string[] {
  return [...new Set([...before.keys(), ...after.keys()])].filter((path) => before.get(path) !== after.get(path));
}
