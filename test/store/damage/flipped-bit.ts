import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ExecutionContext } from 'ava';
import { type Outcome, outcomeOf, type OutcomeOptions } from './outcome.js';
import { copyOf, type WholeStore } from './whole-store.js';

/** A bit of a file of a store. */
export interface Bit {
  /** The file's path below the store's directory. */
  readonly path: string;
  readonly byte: number;
  readonly bit: number;
}

/** What becomes of a copy of a store in which one bit is another. */
export async function flippedOutcome(
  t: ExecutionContext,
  whole: WholeStore,
  { path, byte, bit }: Bit,
  options?: OutcomeOptions,
): Promise<Outcome> {
  const directory = await copyOf(t, whole);
  const bytes = await readFile(join(directory, path));
  bytes[byte] = (bytes[byte] as number) ^ (1 << bit);
  await writeFile(join(directory, path), bytes);
  try {
    return await outcomeOf(directory, whole.answers, options);
  } catch (cause) {
    throw new Error(`bit ${bit} of byte ${byte} of ${path}, which has ${bytes.length}: ${String(cause)}`, { cause });
  }
}
