import test from 'ava';
import { checkOS } from '../../src/model/image.js';
import { hostOs } from '../../src/model/platform.js';
import { storeError } from '../support/store-error.js';

test("the host's operating system is supported in any case", (t) => {
  t.notThrows(() => checkOS(hostOs()));
  t.notThrows(() => checkOS(hostOs().toUpperCase()));
  t.notThrows(() => checkOS('Windows', 'windows'));
});

test('another operating system, or none, is OS_UNSUPPORTED and says which was expected', (t) => {
  const error = storeError(t, 'OS_UNSUPPORTED', () => checkOS('windows', 'linux'));
  t.is(error.message, 'operating system "windows" is not supported: expected "linux"');
  t.deepEqual(error.data, { os: 'windows', expected: 'linux' });
  storeError(t, 'OS_UNSUPPORTED', () => checkOS('', 'linux'));
  storeError(t, 'OS_UNSUPPORTED', () => checkOS('plan10'));
});
