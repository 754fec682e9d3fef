import { StoreError } from '../errors.js';
import { MAX_ORIGIN_BYTES } from '../limits.js';

// Go's unicode.IsSpace, C0 and C1 controls, and what is no Unicode.
const NOT_IN_A_NAME = /[\s+\p{Cc}\p{Surrogate}]/u;

/**
 * Returns `name` when it can name a log and its key: no Unicode spaces, control characters or plus (C2SP signed-note, Format), and
 * at most MAX_ORIGIN_BYTES in UTF-8.
 * @throws {StoreError} ORIGIN_INVALID
 */
export function checkOrigin(name: string): string {
  const size = new TextEncoder().encode(name).length;
  const found = originFault(name, size);
  if (found === undefined) return name;
  const shown = JSON.stringify(name.slice(0, MAX_ORIGIN_BYTES));
  throw new StoreError('ORIGIN_INVALID', `${shown} cannot name a log or a key: it ${found}`, { data: { size } });
}

function originFault(name: string, size: number): string | undefined {
  if (name === '') return 'is empty';
  if (size > MAX_ORIGIN_BYTES) return `has ${size} bytes, at most ${MAX_ORIGIN_BYTES} are allowed`;
  if (NOT_IN_A_NAME.test(name)) return 'has a space, a control character or a plus';
  return undefined;
}
