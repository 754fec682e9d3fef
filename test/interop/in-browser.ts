import { createViews } from '../../projections/views.js';
import { StoreError } from '../../src/errors.js';
import { bytesToBase64 } from '../../src/log/note.js';
import { checkProof as check } from '../../src/log/checkpoint.js';
import { formatEventRows, wholeEntries } from '../../src/log/event-rows.js';
import { Frontier } from '../../src/log/merkle.js';
import { bytesToHex, hexToBytes } from '../../src/model/digest.js';
import { plainViews } from '../support/plain-views.js';

/** Folds a log, given as the hex of its records: returns its root and its views, as text. */
export function fold(records: readonly string[]): string {
  const rows = formatEventRows(1, records.map(hexToBytes));
  const tree = new Frontier();
  const views = createViews();
  for (const { key, value, leaves } of rows) {
    for (const leaf of leaves) tree.append(leaf);
    views.fold(wholeEntries([key, value]).map(({ event }) => event));
  }
  const plain = JSON.stringify(plainViews(views.views), (_, value) =>
    value instanceof Uint8Array ? bytesToHex(value) : value,
  );
  return `${bytesToBase64(tree.root())}\n${plain}`;
}

/** Checks a proof by the log's key: returns what it proves, or why it does not. */
export async function checkProof(proof: string, key: string): Promise<string> {
  try {
    const { seq, event, vouchedBy } = await check(proof, { key });
    return `event ${seq}, ${event?.type}, by ${vouchedBy}`;
  } catch (error) {
    if (error instanceof StoreError) return error.code;
    throw error;
  }
}
