import test from 'ava';
import { loadCode } from '../src/errors.js';
import { rejection } from './support/rejection.js';

test('code that cannot be loaded is reported by name, and why', async (t) => {
  const cause = new Error('EMFILE');
  const error = await rejection(t, 'IO_FAILED', loadCode('of tests', Promise.reject(cause)));
  t.regex(error.message, /code of tests/);
  t.is(error.cause, cause);
  t.is(await loadCode('of tests', Promise.resolve('code')), 'code');
});
