import test from 'ava';
import type { ErrorCode } from '../../../src/errors.js';
import { openFailure, readFailure } from '../../../src/log/leveldb/open-level.js';

const opening = test.macro({
  exec(t, message: string, levelCode: string | undefined, code: ErrorCode) {
    const inner = Object.assign(new Error(message), levelCode === undefined ? {} : { code: levelCode });
    // `level` wraps what LevelDB says.
    for (const cause of [inner, new Error('Database failed to open', { cause: inner })]) {
      const error = openFailure('/somewhere/log', cause);
      t.is(error.code, code);
      t.is(error.cause, cause);
      t.true(error.message.startsWith('cannot open the log /somewhere/log: '));
    }
  },
  title: (_, message, __, code) => `an opening that fails with "${message}" is told as ${code}`,
});

test(opening, 'IO error: lock LOCK: already held by process', 'LEVEL_LOCKED', 'STORE_LOCKED');
test(opening, 'Corruption: bad block', 'LEVEL_CORRUPTION', 'LOG_CORRUPT');
test(opening, 'log: does not exist (create_if_missing is false)', 'LEVEL_INVALID_ARGUMENT', 'LOG_CORRUPT');
test(opening, 'IO error: No space left on device', 'LEVEL_IO_ERROR', 'DISK_FULL');
test(opening, 'IO error: Permission denied', 'LEVEL_IO_ERROR', 'STORE_NOT_WRITABLE');
test(opening, 'IO error: Read-only file system', undefined, 'STORE_NOT_WRITABLE');
test(opening, 'something else', undefined, 'LOG_FAILED');

test('damage that LevelDB itself finds while reading is damage of the log', (t) => {
  const damage = Object.assign(new Error('Corruption: block checksum mismatch'), { code: 'LEVEL_CORRUPTION' });
  t.is(readFailure(damage, false).code, 'LOG_CORRUPT');
  t.is(readFailure(damage, true).code, 'STORE_CLOSED');
  t.is(readFailure(new Error('else'), false).code, 'LOG_FAILED');
  t.is(readFailure('a text', false).code, 'LOG_FAILED');
});
