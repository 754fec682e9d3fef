import test from 'ava';
import {
  LOGIN_FAILURE_WINDOW_MS,
  MAX_LOGIN_FAILURE_KEYS,
  MAX_LOGIN_FAILURES_PER_ADDRESS,
  MAX_LOGIN_FAILURES_PER_USER,
} from '../../../src/limits.js';
import { type Attempt, LoginLimits } from '../../../src/server/access/passwords.js';

/** Limits with a clock, and a way to fail `count` times. */
function limited(): {
  readonly limits: LoginLimits;
  readonly pass: (ms: number) => void;
  readonly fail: (count: number, attempt: (at: number) => Attempt) => (number | undefined)[];
} {
  let time = 1_000_000;
  const limits = new LoginLimits(() => time);
  return {
    limits,
    pass: (ms) => {
      time += ms;
    },
    fail: (count, attempt) => Array.from({ length: count }, (_, at) => limits.begin(attempt(at))),
  };
}

const free = (count: number): undefined[] => Array<undefined>(count).fill(undefined);

test('a user is locked after so many failures, from any address, until the window ends', (t) => {
  const { limits, pass, fail } = limited();
  const guess = (at: number): Attempt => ({ address: `192.0.2.${at}`, user: 'alice' });
  t.deepEqual(fail(MAX_LOGIN_FAILURES_PER_USER, guess), free(MAX_LOGIN_FAILURES_PER_USER));
  t.is(limits.begin(guess(99)), LOGIN_FAILURE_WINDOW_MS / 1000);
  t.is(limits.begin({ address: '192.0.2.99', user: 'bob' }), undefined, 'others may');
  pass(LOGIN_FAILURE_WINDOW_MS - 1);
  t.is(limits.begin(guess(99)), 1);
  pass(1);
  t.is(limits.begin(guess(99)), undefined);
});

test('an address is locked after so many failures, as any user', (t) => {
  const { limits, fail } = limited();
  const guess = (at: number): Attempt => ({ address: '192.0.2.1', user: `user${at}` });
  t.deepEqual(fail(MAX_LOGIN_FAILURES_PER_ADDRESS, guess), free(MAX_LOGIN_FAILURES_PER_ADDRESS));
  t.not(limits.begin(guess(99)), undefined);
  t.not(limits.begin({ address: '::ffff:192.0.2.1', user: undefined }), undefined, 'in its other form too');
  t.is(limits.begin({ address: '192.0.2.2', user: 'user99' }), undefined);
  t.is(limits.begin({ address: undefined, user: 'user98' }), undefined);
});

test('addresses of one /64 count as one', (t) => {
  const { limits, fail } = limited();
  fail(MAX_LOGIN_FAILURES_PER_ADDRESS, (at) => ({ address: `2001:db8::${at.toString(16)}`, user: undefined }));
  t.not(limits.begin({ address: '2001:db8:0:0:ffff::1', user: undefined }), undefined);
  t.not(limits.begin({ address: '2001:db8::192.0.2.1', user: undefined }), undefined);
  t.is(limits.begin({ address: '2001:db8:0:1::1', user: undefined }), undefined);
  t.is(limits.begin({ address: 'fe80::1%eth0', user: undefined }), undefined);
});

test('logins that succeed do not count, and each is counted before it is known', (t) => {
  const { limits, fail } = limited();
  const attempt: Attempt = { address: '192.0.2.1', user: 'alice' };
  for (let each = 0; each < 3 * MAX_LOGIN_FAILURES_PER_ADDRESS; each++) {
    t.is(limits.begin(attempt), undefined);
    limits.succeeded(attempt);
  }
  fail(MAX_LOGIN_FAILURES_PER_USER, () => attempt);
  t.not(limits.begin(attempt), undefined, 'as many guesses at once');
  limits.succeeded(attempt);
  t.is(limits.begin(attempt), undefined);
  limits.succeeded({ address: '192.0.2.77', user: 'nobody' });
});

test('a clock set back locks nobody out for longer', (t) => {
  const { limits, pass, fail } = limited();
  const attempt: Attempt = { address: undefined, user: 'alice' };
  fail(MAX_LOGIN_FAILURES_PER_USER, () => attempt);
  pass(-1_000);
  t.is(limits.begin(attempt), undefined);
});

test('a full table drops the oldest window', (t) => {
  const { limits, fail } = limited();
  const first: Attempt = { address: undefined, user: 'first' };
  const second: Attempt = { address: undefined, user: 'second' };
  for (const attempt of [first, second]) fail(MAX_LOGIN_FAILURES_PER_USER, () => attempt);
  fail(MAX_LOGIN_FAILURE_KEYS - 1, (at) => ({ address: undefined, user: `user${at}` }));
  t.is(limits.begin(first), undefined);
  t.is(limits.begin(second), undefined, 'dropped by the return of the first');
});
