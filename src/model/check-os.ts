import { StoreError } from '../errors.js';
import { hostOs } from './host.js';

/**
 * Returns when `os` is `expected`, by default this machine's, in whatever case.
 * @throws {StoreError} OS_UNSUPPORTED when it is another
 */
export function checkOS(os: string, expected: string = hostOs()): void {
  if (os.toLowerCase() === expected.toLowerCase()) return;
  const message = `operating system ${JSON.stringify(os)} is not supported: expected ${JSON.stringify(expected)}`;
  throw new StoreError('OS_UNSUPPORTED', message, { data: { os, expected } });
}
