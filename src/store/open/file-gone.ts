import { join } from 'node:path';
import { StoreError } from '../../errors.js';

/** Returns why a look at the database in `location` is no answer: a file that was there when it began was removed. Another look may be one. */
export function fileGone(location: string, name: string): StoreError {
  const path = join(location, name);
  return new StoreError('IO_FAILED', `cannot read ${path}: it was removed meanwhile`, { data: { path } });
}
