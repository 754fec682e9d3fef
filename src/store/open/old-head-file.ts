import { join } from 'node:path';
import { StoreError } from '../../errors.js';
import type { Log } from '../../log/log.js';
import { bytesToHex } from '../../model/digest.js';
import { readRegularFile } from '../files/regular-file.js';

/** What stood in place of the checkpoint in stores of the first version. */
const OLD_HEAD_FILE = 'head.json';

/** Returns the path of the old file in a store's directory. */
export function oldHeadPath(directory: string): string {
  return join(directory, OLD_HEAD_FILE);
}

/**
 * Resolves with whether a store has the file; when it has, the log holds the event that it names.
 * @throws {StoreError} LOG_CORRUPT when the log does not, IO_FAILED, STORE_NOT_WRITABLE
 */
export async function checkOldHead(directory: string, log: Log): Promise<boolean> {
  const text = await readOldHead(directory);
  if (text === undefined) return false;
  const expected = parseOldHead(text);
  if (expected === undefined) return true;
  const found = log.leafHash(expected.seq);
  if (found !== undefined && bytesToHex(found) === expected.leafHash) return true;
  const what =
    found === undefined
      ? `the log ends at seq ${log.head.seq}, expected at least ${expected.seq}: its end was lost`
      : `event ${expected.seq} of the log is not the one that was written`;
  throw new StoreError('LOG_CORRUPT', `the store is damaged: ${what}`, {
    data: { seq: expected.seq, head: log.head.seq },
  });
}

/**
 * Resolves with the seq of the event that the file names; 0 when there is no file, or it says nothing.
 * @throws {StoreError} IO_FAILED, STORE_NOT_WRITABLE
 */
export async function oldHeadSeq(directory: string): Promise<number> {
  return parseOldHead((await readOldHead(directory)) ?? '')?.seq ?? 0;
}

async function readOldHead(directory: string): Promise<string | undefined> {
  const bytes = await readRegularFile(oldHeadPath(directory));
  return bytes && new TextDecoder().decode(bytes);
}

function parseOldHead(text: string): { readonly seq: number; readonly leafHash: string } | undefined {
  try {
    const { seq, leafHash } = Object(JSON.parse(text)) as Record<string, unknown>;
    return typeof seq === 'number' && seq >= 1 && typeof leafHash === 'string' ? { seq, leafHash } : undefined;
  } catch {
    // Not JSON: it says nothing about the log.
    return undefined;
  }
}
