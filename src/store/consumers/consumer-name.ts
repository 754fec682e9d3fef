import { StoreError } from '../../errors.js';
import { MAX_CONSUMER_NAME_LENGTH } from '../../limits.js';
import { mustBeString } from '../argument-types.js';

const NAME = /^[A-Za-z0-9._-]+(?:@(?:0|[1-9][0-9]*))?$/;

/**
 * Refuses what is no name of a consumer: letters, digits, dots, dashes and underscores, then `@` and a whole number where
 * there is a version.
 * @throws {StoreError} CONSUMER_INVALID
 * @throws {TypeError} when it is no string
 */
export function checkConsumerName(name: string): void {
  mustBeString('name', name);
  if (name.length <= MAX_CONSUMER_NAME_LENGTH && NAME.test(name)) return;
  const shown = JSON.stringify(name.slice(0, MAX_CONSUMER_NAME_LENGTH + 1));
  throw new StoreError(
    'CONSUMER_INVALID',
    `${shown} is no name of a consumer: expected 1 to ${MAX_CONSUMER_NAME_LENGTH} letters, digits, dots, dashes and underscores, with @ and a whole number at the end for a version`,
    { data: { name: name.slice(0, MAX_CONSUMER_NAME_LENGTH + 1), limit: MAX_CONSUMER_NAME_LENGTH } },
  );
}
