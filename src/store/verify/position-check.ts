import { isStoreError } from '../../errors.js';
import { parsePosition } from '../../log/consumer-position.js';
import type { Reading, VerifySource } from './verify-source.js';

/** Checks that the position of every consumer is one, and not after the end of the log. */
export async function checkPositions(source: VerifySource, reading: Reading): Promise<void> {
  const { report } = reading;
  for await (const { name, row } of source.positions?.(reading) ?? []) {
    const place = `consumer ${name}`;
    try {
      const { seq } = parsePosition(row);
      if (seq >= 0 && seq <= source.size) continue;
      const message = `the position of the consumer ${name} is ${seq}, and the log ends at ${source.size}`;
      report({ code: 'POSITION_AHEAD', place, message, seq, expected: source.size, found: seq });
    } catch (error) {
      if (!isStoreError(error)) throw error;
      report({ code: 'POSITION_DAMAGED', place, message: error.message });
    }
  }
}
