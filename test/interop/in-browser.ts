import { createViews } from '../../projections/views.js';
import { StoreError } from '../../src/errors.js';
import { bytesToBase64 } from '../../src/log/note.js';
import { checkProof as check } from '../../src/log/checkpoint.js';
import { formatEventRow, parseEventRow } from '../../src/log/rows.js';
import { Frontier } from '../../src/log/merkle.js';
import { bytesToHex, hexToBytes } from '../../src/model/digest.js';
import { plainViews } from '../support/plain-views.js';

/** Folds a log, given as the hex of its records: returns its root and its views, as text. */
export function fold(records: readonly string[]): string {
  const rows = records.map((record) => formatEventRow(hexToBytes(record)));
  const tree = new Frontier();
  for (const row of rows) tree.append(row.slice(0, 32));
  const views = createViews();
  views.fold(rows.map((row, at) => parseEventRow(row, at + 1)));
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
